"""Preprocessing of frames: z-normalisation and mean pooling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np


@dataclass(frozen=True)
class Statistics:
    """Mean and deviation of each feature.

    Attributes:
        mean: float64 (features,).
        squares: float64 (features,), the sum of squared deviations from the mean; 0 where a
            feature never changes.
        frames: Number of frames.
    """

    mean: np.ndarray
    squares: np.ndarray
    frames: int

    @cached_property
    def deviation(self) -> np.ndarray:
        """float64 (features,), of the population; 1 where a feature never changes."""
        return np.where(self.squares > 0, np.sqrt(self.squares / self.frames), 1.0)


def frame_statistics(turns: Iterable[np.ndarray]) -> Statistics:
    """Compute mean and deviation over all frames of several turns.

    The deviation divides by n, as `scipy.stats.zscore` in the published code of IAAN
    (preprocess.py). The deviation of a constant feature is set to 1, so that it becomes 0.

    Turns are read one after the other and need not all be in memory: the sums of squares of two
    parts are combined as in Chan, Golub and LeVeque (1979, eq. 2.1).

    Args:
        turns: Arrays (frames, features); at least one frame in total.

    Example:
        >>> turns = [np.array([[1.0, 5.0], [2.0, 5.0]]), np.array([[3.0, 5.0]])]
        >>> statistics = frame_statistics(turns)
        >>> statistics.mean, statistics.deviation.round(3)
        (array([2., 5.]), array([0.816, 1.   ]))
        >>> z_normalise(turns[1], statistics).round(3)
        array([[1.225, 0.   ]], dtype=float32)
    """
    turns = iter(turns)
    first = next(turns).astype(np.float64)
    low, high = first.min(axis=0), first.max(axis=0)
    n, mean, squares = len(first), first.mean(axis=0), _squares(first)
    for turn in turns:
        frames = turn.astype(np.float64)
        low, high = np.minimum(low, frames.min(axis=0)), np.maximum(high, frames.max(axis=0))
        away, share = frames.mean(axis=0) - mean, len(frames) / (n + len(frames))
        squares = squares + _squares(frames) + away**2 * n * share
        mean = mean + away * share
        n += len(frames)
    constant = low == high
    return Statistics(np.where(constant, low, mean), np.where(constant, 0.0, squares), n)


def pooled_statistics(parts: Iterable[Statistics]) -> Statistics:
    """Combine the statistics of several sets of frames into those of all frames.

    Args:
        parts: At least one.

    Example:
        >>> turns = [np.array([[1.0], [2.0]]), np.array([[6.0]])]
        >>> pooled = pooled_statistics(frame_statistics([turn]) for turn in turns)
        >>> pooled.mean, pooled.frames
        (array([3.]), 3)
    """
    return reduce(_pooled, parts)


def stack_statistics(parts: Sequence[Statistics]) -> dict[str, np.ndarray]:
    """Return several statistics as arrays, to be written to a file.

    Returns:
        ``mean`` and ``squares``, float64 (parts, features), and ``frames``, int64 (parts,).
    """
    return {
        "mean": np.stack([part.mean for part in parts]),
        "squares": np.stack([part.squares for part in parts]),
        "frames": np.array([part.frames for part in parts]),
    }


def unstack_statistics(arrays: Mapping[str, np.ndarray]) -> list[Statistics]:
    """Return the statistics that `stack_statistics` made arrays of."""
    return [
        Statistics(mean, squares, int(frames))
        for mean, squares, frames in zip(
            arrays["mean"], arrays["squares"], arrays["frames"], strict=True
        )
    ]


def _pooled(one: Statistics, other: Statistics) -> Statistics:
    away, share = other.mean - one.mean, other.frames / (one.frames + other.frames)
    return Statistics(
        one.mean + away * share,
        one.squares + other.squares + away**2 * one.frames * share,
        one.frames + other.frames,
    )


def _squares(frames: np.ndarray) -> np.ndarray:
    """Return the sum of squared deviations from the mean, for each feature."""
    sums: np.ndarray = frames.var(axis=0) * len(frames)
    return sums


def z_normalise(frames: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Subtract the mean and divide by the deviation.

    Args:
        frames: (frames, features).
        statistics: Mean and deviation of each feature.

    Returns:
        float32 (frames, features).
    """
    scaled: np.ndarray = (frames - statistics.mean) / statistics.deviation
    return scaled.astype(np.float32)


def mean_pool(frames: np.ndarray, size: int) -> np.ndarray:
    """Average every ``size`` frames; the last group is padded with zeros.

    The zeros count in the mean, as in the published code of IAAN (data.py). With fewer steps, a
    recurrent network has less to unroll.

    Args:
        frames: (frames, features).
        size: Frames of a step.

    Returns:
        float32 (⌈frames / size⌉, features).

    Example:
        >>> mean_pool(np.array([[1.0], [3.0], [4.0]]), 2)
        array([[2.],
               [2.]], dtype=float32)
    """
    steps = -(-len(frames) // size)
    padded = np.zeros((steps * size, frames.shape[1]), frames.dtype)  # np.pad takes 0.1 ms
    padded[: len(frames)] = frames
    groups = padded.reshape(steps, size, frames.shape[1])
    means: np.ndarray = groups.mean(axis=1, dtype=np.float64)
    return means.astype(np.float32)
