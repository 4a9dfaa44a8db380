"""From frames to steps: z-normalisation and mean pooling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Statistics:
    """Mean and deviation of each feature.

    Attributes:
        mean: float64 (features,).
        deviation: float64 (features,), of the population; 1 where a feature never changes.
    """

    mean: np.ndarray
    deviation: np.ndarray


def frame_statistics(turns: Iterable[np.ndarray]) -> Statistics:
    """Describe all frames of several turns together.

    The deviation divides by n, as `scipy.stats.zscore` in the published code of IAAN
    (preprocess.py). A feature that never changes has no deviation to divide by: 1 takes its
    place, so that it becomes 0 throughout.

    One turn is looked at after the other, so that they need not all be in memory: the squares
    about the means of two parts are joined as in Chan, Golub and LeVeque (1979, eq. 2.1).

    Args:
        turns: Arrays (frames, features); at least one frame in all.
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
    return Statistics(
        mean=np.where(constant, low, mean),
        deviation=np.where(constant, 1.0, np.sqrt(squares / n)),
    )


def _squares(frames: np.ndarray) -> np.ndarray:
    """Sum the squares about the mean, of each feature."""
    sums: np.ndarray = frames.var(axis=0) * len(frames)
    return sums


def z_normalise(frames: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Subtract the mean and divide by the deviation.

    Args:
        frames: (frames, features).
        statistics: What to normalise by.

    Returns:
        float32 (frames, features).
    """
    scaled: np.ndarray = (frames - statistics.mean) / statistics.deviation
    return scaled.astype(np.float32)


def mean_pool(frames: np.ndarray, size: int) -> np.ndarray:
    """Average every ``size`` frames, after filling up the last group with zeros.

    The zeros count in the mean, as in the published code of IAAN (data.py).

    Args:
        frames: (frames, features).
        size: Frames of a step.

    Returns:
        float32 (⌈frames / size⌉, features).
    """
    steps = -(-len(frames) // size)
    padded = np.zeros((steps * size, frames.shape[1]), frames.dtype)  # np.pad takes 0.1 ms
    padded[: len(frames)] = frames
    groups = padded.reshape(steps, size, frames.shape[1])
    means: np.ndarray = groups.mean(axis=1, dtype=np.float64)
    return means.astype(np.float32)
