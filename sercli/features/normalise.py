"""Z-normalisation of frames."""

from __future__ import annotations

from collections.abc import Sequence
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


def frame_statistics(turns: Sequence[np.ndarray]) -> Statistics:
    """Describe all frames of several turns together.

    The deviation divides by n, as `scipy.stats.zscore` in the published code of IAAN
    (preprocess.py). A feature that never changes has no deviation to divide by: 1 takes its
    place, so that it becomes 0 throughout.

    Args:
        turns: Arrays (frames, features); at least one frame in all.
    """
    frames = np.concatenate(turns).astype(np.float64)
    constant = frames.min(axis=0) == frames.max(axis=0)
    return Statistics(
        mean=np.where(constant, frames[0], frames.mean(axis=0)),
        deviation=np.where(constant, 1.0, frames.std(axis=0)),
    )


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
