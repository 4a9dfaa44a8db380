"""A surface through noisy points."""

from __future__ import annotations

import warnings

import numpy as np

MOST = 150
"""Points of a fit; of more, some are drawn at random (our choice: a fit then takes a second)."""


def smooth(points: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Fit a Gaussian process with noise to values in the plane, and return its mean elsewhere.

    Matérn covariance (ν = 5/2) with a length of its own in each direction; lengths, variance
    and noise by maximum likelihood (Rasmussen & Williams 2006, chapters 4 and 5).

    Args:
        points: Where the values were measured, (n, 2), in the unit square.
        values: (n,).
        wanted: Where the surface is wanted, (m, 2), in the unit square.

    Returns:
        (m,).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    if len(points) > MOST:
        drawn = np.random.default_rng(0).choice(len(points), MOST, replace=False)
        points, values = points[drawn], values[drawn]
    lengths = Matern([0.3, 0.3], (0.05, 10.0), nu=2.5)
    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * lengths + WhiteKernel(0.1, (1e-3, 1.0))
    process = GaussianProcessRegressor(kernel, normalize_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a flat surface has no length
        process.fit(points, values)
    mean: np.ndarray = process.predict(wanted)
    return mean
