"""Deltas: how each feature changes from frame to frame."""

from __future__ import annotations

import numpy as np


def regression_slopes(frames: np.ndarray, reach: int = 2) -> np.ndarray:
    """Return the slope of each feature around each frame.

    Σ n·(x[t+n] − x[t−n]) / (2 Σ n²) over n = 1 … reach, the ends repeated (Young et al., The HTK
    Book, 3.4, section 5.9), which is openSMILE's cDeltaRegression too.

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
