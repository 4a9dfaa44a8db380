"""Linear-frequency spectrograms of a window, a hop and a transform of any length."""

from __future__ import annotations

import hashlib
import math
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from sercli.errors import RequestError
from sercli.features.audio import AudioError
from sercli.features.windows import (
    check_f_max,
    check_lld,
    check_positive,
    count_samples,
    transform_windows,
)

_SCALES = ("magnitude", "log")

_FLOOR = 1e-7
"""Magnitude below which the logarithm is not taken (our choice)."""


@dataclass(frozen=True)
class Spectrogram:
    """Magnitudes of the Fourier transform of Hamming windows, without padding or pre-emphasis.

    Attributes:
        level: ``lld``.
        window: Length of a window, in ms.
        hop: Time between frames, in ms.
        n_fft: Samples of the transform; a window is padded with zeros.
        f_max: Frequency in Hz below which bins are kept.
        scale: ``magnitude`` or ``log``, its natural logarithm.
    """

    name: ClassVar[str] = "spectrogram"
    library: ClassVar[str] = "numpy"

    level: str
    window: float
    hop: float
    n_fft: int
    f_max: float
    scale: str

    def __post_init__(self) -> None:
        check_lld(self.name, self.level)
        if self.scale not in _SCALES:
            raise RequestError(
                f"features.options.scale={self.scale}: must be one of {', '.join(_SCALES)}"
            )
        check_positive(window=self.window, hop=self.hop, n_fft=self.n_fft, f_max=self.f_max)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the settings."""
        return hashlib.sha256(repr((self.name, astuple(self))).encode()).hexdigest()

    def extractor(self, sampling_rate: int) -> SpectrogramExtractor:
        """Set up the computation for signals of one sampling rate (Hz)."""
        return SpectrogramExtractor(self, sampling_rate)


def spectrogram(
    level: str,
    window: float = 40.0,
    hop: float = 10.0,
    n_fft: int = 1600,
    f_max: float = 4000.0,
    scale: str = "magnitude",
) -> Spectrogram:
    """Return the set of spectrograms; the defaults are those of Li et al. (Interspeech 2018).

    The paper does not state the scale; magnitudes are our choice.

    Args:
        level: ``features.level``.
        window: Length of a window, in ms.
        hop: Time between frames, in ms.
        n_fft: Samples of the transform.
        f_max: Frequency in Hz below which bins are kept.
        scale: ``magnitude`` or ``log``.

    Raises:
        RequestError: The level or an option is invalid.
    """
    return Spectrogram(level, window, hop, n_fft, f_max, scale)


class SpectrogramExtractor:
    """Compute spectrograms.

    Args:
        features: The feature set.
        sampling_rate: Sampling rate of all signals, in Hz.

    Attributes:
        names: Column names, in order of frequency.

    Raises:
        RequestError: A window or a hop is shorter than a sample, a window longer than the
            transform, or ``f_max`` above half the sampling rate.
    """

    def __init__(self, features: Spectrogram, sampling_rate: int) -> None:
        self._features = features
        self._size, self._hop = count_samples(
            sampling_rate, window=features.window, hop=features.hop
        )
        if self._size > features.n_fft:
            raise RequestError(
                f"features.options.n_fft={features.n_fft}: must be at least the window, "
                f"{self._size} samples at {sampling_rate} Hz"
            )
        check_f_max(features.f_max, sampling_rate)
        self._shape = np.hamming(self._size)
        bins = math.ceil(features.f_max * features.n_fft / sampling_rate)
        self.names = tuple(f"spectrogram[{each}]" for each in range(bins))

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the frames of a signal.

        Args:
            signal: (samples,), within [−1, 1].

        Returns:
            float32 (1 + (samples − window) / hop, features).

        Raises:
            AudioError: The signal is shorter than a window.
        """
        if len(signal) < self._size:
            raise AudioError(f"shorter than one frame ({self._features.window:g} ms)")
        return transform_windows(signal, self._size, self._hop, self._transformed)

    def _transformed(self, windows: np.ndarray) -> np.ndarray:
        spectra = np.fft.rfft(windows * self._shape, self._features.n_fft)
        found = np.abs(spectra[:, : len(self.names)])
        if self._features.scale == "log":
            found = np.log(np.maximum(found, _FLOOR))
        return found.astype(np.float32)
