"""Log-mel spectra and MFCCs with warped filters: vocal tract length perturbation (VTLP).

The filters' edges and centres are moved along the frequency axis by the piecewise linear function
of Jaitly and Hinton (2013, ICML workshop on deep learning for audio, speech and language), which
stretches or shrinks the vocal tract: α below 1 moves the filters down, so that the formants appear
in higher bands. The equations are otherwise Kaldi's, as in `sercli.features.spectral`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from sercli.errors import RequestError
from sercli.features.spectral import LOWEST, SpectralExtractor, SpectralSet, check_bands, mel

_PRE_EMPHASIS = 0.97
_POVEY = 0.85
"""Exponent of Kaldi's window, a Hann window to this power."""

_LIFTER = 22
_EPSILON = float(np.finfo(np.float32).eps)
"""Least energy before the logarithm (Kaldi's)."""


def warp(hertz: np.ndarray, factor: float, boundary: float, highest: float) -> np.ndarray:
    """Warp frequencies: f → α f up to a boundary, and from there linearly to the highest one.

    With F the boundary and S/2 the highest frequency, α f for f ≤ F min(α, 1) / α, and
    S/2 − (S/2 − F min(α, 1)) / (S/2 − F min(α, 1) / α) · (S/2 − f) above (Jaitly and Hinton 2013,
    section 3). 0 and S/2 stay where they are; α = 1 changes nothing.

    Args:
        hertz: Frequencies, from 0 to ``highest``.
        factor: α.
        boundary: F, below ``highest``.
        highest: Half the sampling rate, S/2.

    >>> warp(np.array([0.0, 1000.0, 8000.0]), 1.2, 4800.0, 8000.0)
    array([   0., 1200., 8000.])
    """
    top = boundary * min(factor, 1.0)
    slope = (highest - top) / (highest - top / factor)
    below = hertz <= top / factor
    warped: np.ndarray = np.where(below, factor * hertz, highest - slope * (highest - hertz))
    return warped


@dataclass(frozen=True)
class WarpedSet:
    """Log-mel spectra or MFCCs with warped filters.

    Attributes:
        base: The feature set.
        factor: Warp factor α.
        boundary: Frequency up to which the warp is α f, in Hz.
    """

    library: ClassVar[str] = SpectralSet.library
    """The library whose equations are used; numpy computes them."""

    base: SpectralSet
    factor: float
    boundary: float

    @property
    def name(self) -> str:
        """The name of the feature set."""
        return self.base.name

    @property
    def level(self) -> str:
        """``lld`` or ``lld_delta``."""
        return self.base.level

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the settings."""
        text = repr(("vtlp", self.factor, self.boundary, self.base.digest))
        return hashlib.sha256(text.encode()).hexdigest()

    def extractor(self, sampling_rate: int) -> SpectralExtractor:
        """Set up the computation for signals of one sampling rate (Hz).

        Raises:
            RequestError: The boundary is too high, or a warped band is narrower than a bin of the
                spectrum.
        """
        return SpectralExtractor(self.base, _WarpedFrames(self, sampling_rate))


class _WarpedFrames:
    """Kaldi's equations with warped filters, in numpy."""

    def __init__(self, features: WarpedSet, sampling_rate: int) -> None:
        self._base = base = features.base
        self._size, self._step = int(0.025 * sampling_rate), int(0.01 * sampling_rate)
        self._fft = 2 ** int(np.ceil(np.log2(self._size)))
        highest = sampling_rate / 2
        if not features.boundary < highest:
            raise RequestError(
                f"augment.vtlp.boundary={features.boundary:g}: must be below half the sampling "
                f"rate, {highest:g} Hz"
            )
        check_bands(base.bands, sampling_rate)
        low, high = mel(LOWEST), mel(highest)
        edges = 700 * np.expm1(np.linspace(low, high, base.bands + 2) / 1127)
        warped = warp(np.minimum(edges, highest), features.factor, features.boundary, highest)
        bins = np.linspace(0, highest, self._fft // 2, endpoint=False)
        self._filters = _triangles(mel(warped), mel(bins))
        if not self._filters.any(axis=1).all():
            raise RequestError(
                f"augment.vtlp.factors: with {features.factor:g}, some of features.options.bands="
                f"{base.bands} would be narrower than a bin of the spectrum, and empty; take fewer "
                "bands, or a factor nearer to 1"
            )
        self._window = np.hanning(self._size) ** _POVEY

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        if len(signal) < self._size:
            return np.empty((0, 0), np.float32)
        samples = signal.astype(np.float64)
        frames = np.lib.stride_tricks.sliding_window_view(samples, self._size)[:: self._step]
        frames = frames - frames.mean(axis=1, keepdims=True)
        energy = np.log(np.maximum((frames**2).sum(axis=1), _EPSILON))
        before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
        spectrum = np.fft.rfft((frames - _PRE_EMPHASIS * before) * self._window, self._fft)
        power = np.abs(spectrum[:, :-1]) ** 2
        bands = np.log(np.maximum(power @ self._filters.T, _EPSILON))
        if self._base.coefficients:
            bands = bands @ _cosines(self._base.bands, self._base.coefficients)
            bands[:, 0] = energy
        static: np.ndarray = bands.astype(np.float32)
        return static


def _triangles(edges: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Return triangular filters: 0 at an edge and at the next but one, 1 between; (bands, bins)."""
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    filters: np.ndarray = np.maximum(np.minimum(rising, falling), 0.0)
    return filters


def _cosines(bands: int, coefficients: int) -> np.ndarray:
    """Return the discrete cosine transform with Kaldi's lifter, (bands, coefficients)."""
    order = np.arange(coefficients)
    lifter = 1 + _LIFTER / 2 * np.sin(np.pi * order / _LIFTER)
    angles = np.pi / bands * np.outer(np.arange(bands) + 0.5, order)
    cosines: np.ndarray = np.sqrt(2 / bands) * np.cos(angles) * lifter
    return cosines
