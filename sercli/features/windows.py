"""Spectra of overlapping windows: checks of their settings, and the transform in chunks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from sercli.errors import RequestError

_CHUNK = 1000
"""Frames that are transformed at once, so that memory does not grow with the recording."""


def check_lld(name: str, level: str) -> None:
    """Refuse another level than ``lld``.

    Raises:
        RequestError: The level is another one.
    """
    if level != "lld":
        raise RequestError(
            f"features.level={level}: the set {name} does not have it; set features.level=lld"
        )


def check_positive(**options: float) -> None:
    """Refuse options that are not positive and finite.

    Raises:
        RequestError: One is not.
    """
    for name, value in options.items():
        if not 0 < value < math.inf:
            raise RequestError(f"features.options.{name}={value:g}: must be above 0")


def check_f_max(f_max: float, sampling_rate: int) -> None:
    """Refuse an upper edge above half the sampling rate, both in Hz.

    Raises:
        RequestError: It is.
    """
    if f_max > sampling_rate / 2:
        raise RequestError(
            f"features.options.f_max={f_max:g}: must be at most half the sampling rate, "
            f"{sampling_rate / 2:g} Hz"
        )


def too_many_bands(bands: int, sampling_rate: int) -> RequestError:
    """Return the error that some bands have no bin of the spectrum."""
    return RequestError(
        f"features.options.bands={bands}: at {sampling_rate} Hz some of the bands would be "
        "narrower than a bin of the spectrum, and empty; take fewer"
    )


def count_samples(sampling_rate: int, least: int = 1, **lengths: float) -> list[int]:
    """Convert options from ms to samples.

    >>> count_samples(16000, window=25.0, hop=10.0)
    [400, 160]

    Args:
        sampling_rate: In Hz.
        least: Fewest samples of each.
        lengths: Option → its value, in ms.

    Raises:
        RequestError: One is shorter than ``least`` samples.
    """
    counts = []
    for name, length in lengths.items():
        counts.append(round(length * sampling_rate / 1000))
        if counts[-1] < least:
            few = "a sample" if least == 1 else f"{least} samples"
            raise RequestError(
                f"features.options.{name}={length:g}: shorter than {few} at {sampling_rate} Hz"
            )
    return counts


def transform_windows(
    signal: np.ndarray, size: int, hop: int, transform: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return the transform of every window of a signal.

    Args:
        signal: (samples,), at least ``size``.
        size: Samples of a window.
        hop: Samples between two windows.
        transform: Function from windows, (frames, size), to (frames, features).

    Returns:
        (1 + (samples − size) // hop, features).
    """
    windows = np.lib.stride_tricks.sliding_window_view(signal, size)[::hop]
    chunks = [windows[i : i + _CHUNK] for i in range(0, len(windows), _CHUNK)]
    return np.concatenate([transform(each) for each in chunks])
