"""Log-mel spectra as the front end of PANNs computes them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from sercli.errors import RequestError
from sercli.features.audio import AudioError
from sercli.features.windows import (
    check_f_max,
    check_lld,
    check_positive,
    count_samples,
    too_many_bands,
    transform_windows,
)

_FLOOR = 1e-10
"""Power below which the logarithm is not taken."""


@dataclass(frozen=True)
class PannsSet:
    """Log-mel energies in dB of centred Hann windows, with Slaney's mel filters.

    Attributes:
        level: ``lld``.
        bands: Filters of the mel filter bank.
        window: Length of a window and of its transform, in ms.
        hop: Time between frames, in ms.
        f_min: Lower edge of the first filter, in Hz.
        f_max: Upper edge of the last filter, in Hz.
    """

    name: ClassVar[str] = "log_mel_panns"
    library: ClassVar[str] = "numpy"

    level: str
    bands: int
    window: float
    hop: float
    f_min: float
    f_max: float

    def __post_init__(self) -> None:
        check_lld(self.name, self.level)
        check_positive(bands=self.bands, window=self.window, hop=self.hop, f_max=self.f_max)
        if not 0 <= self.f_min < self.f_max:
            raise RequestError(
                f"features.options.f_min={self.f_min:g}: must be from 0 to below f_max, "
                f"{self.f_max:g}"
            )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the settings."""
        return hashlib.sha256(repr((self.name, astuple(self))).encode()).hexdigest()

    def extractor(self, sampling_rate: int) -> PannsExtractor:
        """Set up the computation for signals of one sampling rate (Hz)."""
        return PannsExtractor(self, sampling_rate)


def log_mel_panns(
    level: str,
    bands: int = 64,
    window: float = 32.0,
    hop: float = 10.0,
    f_min: float = 50.0,
    f_max: float = 8000.0,
) -> PannsSet:
    """Return the set of log-mel energies of PANNs (Kong et al. 2020, arXiv 1912.10211).

    The defaults are those of its networks for 16 kHz (qiuqiangkong/audioset_tagging_cnn).

    Args:
        level: ``features.level``.
        bands: Filters.
        window: Length of a window and of its transform, in ms.
        hop: Time between frames, in ms.
        f_min: Lower edge of the first filter, in Hz.
        f_max: Upper edge of the last filter, in Hz.

    Raises:
        RequestError: The level or an option is invalid.
    """
    return PannsSet(level, bands, window, hop, f_min, f_max)


class PannsExtractor:
    """Compute log-mel energies, 10·log₁₀ of the power in each filter, at least −100 dB.

    The signal is reflected at its ends by half a window, so that frame t is centred on t hops.

    Args:
        features: The feature set.
        sampling_rate: Sampling rate of all signals, in Hz.

    Attributes:
        names: Column names, in order of frequency.

    Raises:
        RequestError: A window or a hop is shorter than two samples, ``f_max`` is above half the
            sampling rate, or some bands would be narrower than a bin of the spectrum, and empty.
    """

    def __init__(self, features: PannsSet, sampling_rate: int) -> None:
        self._features = features
        self._size, self._hop = count_samples(
            sampling_rate, least=2, window=features.window, hop=features.hop
        )
        check_f_max(features.f_max, sampling_rate)
        self._shape = np.hanning(self._size + 1)[:-1]
        bins = np.arange(self._size // 2 + 1) * sampling_rate / self._size
        self._filters = slaney_filters(bins, features.bands, features.f_min, features.f_max)
        if not self._filters.any(axis=1).all():
            raise too_many_bands(features.bands, sampling_rate)
        self.names = tuple(f"log_mel[{each}]" for each in range(features.bands))

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the frames of a signal.

        Args:
            signal: (samples,), within [−1, 1].

        Returns:
            float32 (1 + samples / hop, bands).

        Raises:
            AudioError: The signal is at most half a window, too short to be reflected.
        """
        reach = self._size // 2
        if len(signal) <= reach:
            raise AudioError(f"not longer than half a frame ({self._features.window / 2:g} ms)")
        padded = np.pad(signal.astype(np.float64), reach, mode="reflect")
        return transform_windows(padded, self._size, self._hop, self._energies)

    def _energies(self, windows: np.ndarray) -> np.ndarray:
        power = np.abs(np.fft.rfft(windows * self._shape)) ** 2
        decibels: np.ndarray = 10 * np.log10(np.maximum(power @ self._filters.T, _FLOOR))
        return decibels.astype(np.float32)


def slaney_filters(bins: np.ndarray, bands: int, f_min: float, f_max: float) -> np.ndarray:
    """Return triangular filters of equal area, evenly spaced on Slaney's mel scale.

    The triangles are linear in Hz. The scale is linear up to 1 kHz (15 mel) and logarithmic above,
    27 mel to a factor of 6.4 (Slaney 1998, Auditory Toolbox, version 2).

    Args:
        bins: Frequencies of the bins of a spectrum, in Hz.
        bands: Number of filters.
        f_min: Lower edge of the first filter, in Hz.
        f_max: Upper edge of the last filter, in Hz.

    Returns:
        (bands, bins).

    >>> slaney_filters(np.array([0.0, 100, 200, 300, 400]), 2, 100.0, 400.0) * 100
    array([[0., 0., 1., 0., 0.],
           [0., 0., 0., 1., 0.]])
    """
    edges = _hertz(np.linspace(_mel(f_min), _mel(f_max), bands + 2))[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters: np.ndarray = np.minimum(rising, falling).clip(0) * 2 / (edges[2:] - edges[:-2])
    return filters


_BREAK, _STEP = 15.0, math.log(6.4) / 27
"""The mel value of 1 kHz, and the logarithm of the ratio of a mel above it."""


def _mel(hertz: float) -> float:
    return 3 * hertz / 200 if hertz < 1000 else _BREAK + math.log(hertz / 1000) / _STEP


def _hertz(mel: Any) -> np.ndarray:
    above = 1000 * np.exp(_STEP * (np.maximum(mel, _BREAK) - _BREAK))
    found: np.ndarray = np.where(mel < _BREAK, 200 * mel / 3, above)
    return found
