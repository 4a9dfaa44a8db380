"""Almost stochastic order (ASO): does a system beat another one over training seeds?

ASO compares the distributions of scores over seeds, not their means alone. It takes the test set
as given, and so says nothing about other speakers.
"""

from __future__ import annotations

import numpy as np

from sercli.results.counts import Floats

BOOTSTRAPS = 1_000
"""Resamples of the seeds (Dror, Shlomov & Reichart 2019)."""

ALPHA = 0.05
"""Significance level of the bound."""


def almost_stochastic_order(a: Floats, b: Floats) -> float:
    """Return an upper bound on the violation of A being stochastically larger than B.

    Args:
        a: Scores of system A, one per seed; larger is better.
        b: Scores of system B.

    Returns:
        ε_min (Dror, Shlomov & Reichart 2019, after del Barrio, Cuesta-Albertos & Matrán 2018):
        below 0.5, A is almost stochastically larger at α = 0.05; 0: without exception. NaN with
        fewer than two seeds each; rough below five.

    >>> almost_stochastic_order(np.array([0.71, 0.72, 0.73]), np.array([0.61, 0.62, 0.63]))
    0.0
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
    """Return ε_W2 of pairs of samples: the share of W₂² where A is smaller, (pairs,).

    Quantile functions of samples are steps, so the integrals are sums. Equal samples give 0.5.
    """
    n, m = a.shape[1], b.shape[1]
    ends = np.unique(np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n]))
    widths = np.diff(ends, prepend=0)  # in units of 1/(n·m)
    a_steps = np.sort(a, axis=1)[:, (ends - 1) // m]
    b_steps = np.sort(b, axis=1)[:, (ends - 1) // n]
    squares = (a_steps - b_steps) ** 2 * widths
    whole = squares.sum(axis=1)
    against = np.where(a_steps < b_steps, squares, 0).sum(axis=1)
    half = np.full(len(whole), 0.5)
    return np.asarray(np.divide(against, whole, out=half, where=whole > 0))
