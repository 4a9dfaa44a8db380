"""Almost-stochastic order: would a training of one system as a rule beat one of the other?

It compares how the figures of seeds are distributed, not their means alone, and takes the test
set for given: it says nothing of other speakers.
"""

from __future__ import annotations

import numpy as np

from sercli.results.counts import Floats

BOOTSTRAPS = 1_000
"""Resamples of the seeds (Dror, Shlomov & Reichart 2019)."""

ALPHA = 0.05


def almost_stochastic_order(a: Floats, b: Floats) -> float:
    """Bound how far A is from being stochastically larger than B.

    Args:
        a: A figure of one system for every seed; the larger the better.
        b: The same of the other system.

    Returns:
        ε_min (Dror, Shlomov & Reichart 2019, after del Barrio, Cuesta-Albertos & Matrán 2018):
        below 0.5, A is almost stochastically larger at α = 0.05, and 0 means without exception.
        NaN with fewer than two seeds each; below five it is a rough figure.
    """
    from scipy.special import ndtri

    n, m = len(a), len(b)
    if min(n, m) < 2:
        return float("nan")
    random = np.random.default_rng(3)
    violation = _violation(a[None], b[None])[0]
    resampled = _violation(
        a[random.integers(n, size=(BOOTSTRAPS, n))], b[random.integers(m, size=(BOOTSTRAPS, m))]
    )
    bound = violation - resampled.std() * float(ndtri(ALPHA))  # the factors √(nm/(n+m)) cancel
    return float(np.clip(bound, 0, 1))


def _violation(a: Floats, b: Floats) -> Floats:
    """Return ε_W2 of pairs of samples: the share of W₂² that speaks against A (pairs).

    Quantile functions of samples are steps, so that the integrals are sums; equal samples speak
    neither way (0.5).
    """
    n, m = a.shape[1], b.shape[1]
    ends = np.unique(np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n]))
    widths = np.diff(ends, prepend=0)  # in parts of n·m
    a_steps = np.sort(a, axis=1)[:, (ends - 1) // m]
    b_steps = np.sort(b, axis=1)[:, (ends - 1) // n]
    squares = (a_steps - b_steps) ** 2 * widths
    whole = squares.sum(axis=1)
    against = np.where(a_steps < b_steps, squares, 0).sum(axis=1)
    half = np.full(len(whole), 0.5)
    return np.asarray(np.divide(against, whole, out=half, where=whole > 0))
