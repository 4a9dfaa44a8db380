"""Log-mel spectra and MFCCs as Kaldi defines them, by kaldi-native-fbank."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np

from sercli.errors import RequestError, nearest
from sercli.features.audio import AudioError
from sercli.features.windows import too_many_bands

_LEVELS = ("lld", "lld_delta")


@dataclass(frozen=True)
class SpectralSet:
    """Log-mel spectra or MFCCs, with or without deltas.

    Kaldi's defaults but for the number of columns: frames of 25 ms every 10 ms, without padding;
    Povey window, pre-emphasis 0.97; triangular filters from 20 Hz to half the sampling rate; MFCCs
    with lifter 22 and the log energy instead of the zeroth coefficient. Dither is off, so that
    equal signals give equal frames.

    Attributes:
        name: ``log_mel`` or ``mfcc``.
        level: ``lld`` or ``lld_delta``.
        bands: Filters of the mel filter bank.
        coefficients: Cepstral coefficients, the log energy included; 0: log-mel energies.
    """

    library: ClassVar[str] = "kaldi-native-fbank"

    name: str
    level: str
    bands: int
    coefficients: int = 0

    def __post_init__(self) -> None:
        if self.level not in _LEVELS:
            raise RequestError(
                f"features.level={self.level}: the set {self.name} does not have it."
                f"{nearest(self.level, _LEVELS)}"
            )
        if self.bands < 1:
            raise RequestError(f"features.options.bands={self.bands}: must be 1 or more")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the settings."""
        return hashlib.sha256(repr(astuple(self)).encode()).hexdigest()

    def extractor(self, sampling_rate: int) -> SpectralExtractor:
        """Set up the computation for signals of one sampling rate (Hz).

        Raises:
            RequestError: Some bands would be narrower than a bin of the spectrum, and empty.
        """
        check_bands(self.bands, sampling_rate)
        return SpectralExtractor(self, partial(_kaldi_frames, self, sampling_rate))


def log_mel(level: str, bands: int = 80) -> SpectralSet:
    """Return the set of log-mel energies.

    Args:
        level: ``features.level``.
        bands: Filters (80 as in Whisper: Radford et al. 2022, arXiv 2212.04356, §2.2).

    Raises:
        RequestError: The level or the number is invalid.
    """
    return SpectralSet("log_mel", level, bands)


def mfcc(level: str, bands: int = 23, coefficients: int = 13) -> SpectralSet:
    """Return the set of mel-frequency cepstral coefficients.

    Args:
        level: ``features.level``.
        bands: Filters (Kaldi's default).
        coefficients: Coefficients; the first is the log energy (Kaldi's default).

    Raises:
        RequestError: The level or the numbers are invalid.
    """
    if not 1 <= coefficients <= bands:
        raise RequestError(
            f"features.options.coefficients={coefficients}: must be from 1 to the number of "
            f"bands, {bands}"
        )
    return SpectralSet("mfcc", level, bands, coefficients)


class SpectralExtractor:
    """Compute log-mel spectra or MFCCs, with deltas at the level ``lld_delta``.

    Args:
        features: The feature set.
        static: Function from a signal on the scale of 16-bit samples, as in Kaldi, to its frames
            without deltas, float32 (frames, columns); no frames if it is shorter than one.

    Attributes:
        names: Column names, in order.
    """

    def __init__(self, features: SpectralSet, static: Callable[[np.ndarray], np.ndarray]) -> None:
        self._static, self._deltas = static, features.level == "lld_delta"
        self.names = _columns(features)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the frames of a signal.

        Args:
            signal: (samples,), within [−1, 1].

        Returns:
            float32 (1 + (samples − 25 ms) / 10 ms, features).

        Raises:
            AudioError: The signal is shorter than a frame.
        """
        static = self._static(signal * 32768)
        if not len(static):
            raise AudioError("shorter than one frame (25 ms)")
        if not self._deltas:
            return static
        return np.concatenate([static, regression_slopes(static)], axis=1)


def _columns(features: SpectralSet) -> tuple[str, ...]:
    if features.coefficients:
        names = ["log_energy", *(f"mfcc[{each}]" for each in range(1, features.coefficients))]
    else:
        names = [f"log_mel[{each}]" for each in range(features.bands)]
    deltas = [f"{name}_de" for name in names] if features.level == "lld_delta" else []
    return (*names, *deltas)


def _kaldi_frames(features: SpectralSet, sampling_rate: int, signal: np.ndarray) -> np.ndarray:
    online = _online(features, sampling_rate)
    online.accept_waveform(sampling_rate, signal)
    online.input_finished()
    return np.array([online.get_frame(each) for each in range(online.num_frames_ready)])


def _online(features: SpectralSet, sampling_rate: int) -> Any:
    import kaldi_native_fbank as kaldi

    options = kaldi.MfccOptions() if features.coefficients else kaldi.FbankOptions()
    options.frame_opts.samp_freq = sampling_rate
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = features.bands
    if features.coefficients:
        options.num_ceps = features.coefficients
        return kaldi.OnlineMfcc(options)
    return kaldi.OnlineFbank(options)


LOWEST = 20.0
"""Hz where the first filter begins (Kaldi's default)."""


def check_bands(bands: int, sampling_rate: int) -> None:
    """Refuse more bands than the spectrum has bins for.

    Raises:
        RequestError: Some would be narrower than a bin, and empty.
    """
    size = 2 ** int(np.ceil(np.log2(0.025 * sampling_rate)))
    bins = mel(np.arange(size // 2) * sampling_rate / size)
    edges = np.linspace(mel(LOWEST), mel(sampling_rate / 2), bands + 2)
    inside = np.searchsorted(bins, edges[2:], "left") - np.searchsorted(bins, edges[:-2], "right")
    if inside.min() < 1:
        raise too_many_bands(bands, sampling_rate)


def mel(hertz: Any) -> Any:
    """Return frequencies on Kaldi's mel scale."""
    return 1127 * np.log1p(hertz / 700)


def regression_slopes(frames: np.ndarray, reach: int = 2) -> np.ndarray:
    """Return deltas: the regression slope of each feature around each frame.

    Σ n·(x[t+n] − x[t−n]) / (2 Σ n²) over n = 1 … reach, with the ends repeated (Young et al., The
    HTK Book, 3.4, section 5.9), as in openSMILE's cDeltaRegression.

    Args:
        frames: (frames, features).
        reach: Frames on each side (2, as in openSMILE's feature sets).

    Returns:
        float32 (frames, features).
    """
    padded = np.pad(frames.astype(np.float64), ((reach, reach), (0, 0)), mode="edge")
    last = len(frames) + reach
    slopes = np.zeros(frames.shape)
    for n in range(1, reach + 1):
        slopes += n * (padded[reach + n : last + n] - padded[reach - n : last - n])
    slopes /= 2 * sum(n * n for n in range(1, reach + 1))
    return slopes.astype(np.float32)
