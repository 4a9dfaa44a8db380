"""Tests of differences: Holm's correction, McNemar's test, and statistical power."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sercli.results.bootstrap import Interval
from sercli.results.counts import Floats


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """Correct p-values for the number of comparisons (Holm 1979).

    The probability of any false positive among them stays below α.

    Args:
        p_values: One per comparison; NaN for a comparison that was not made.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN is sorted last
    left = len(order) - np.arange(len(order))
    corrected = np.full(p.shape, np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * left), 1)
    return corrected


def mcnemar_p(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """Return the two-sided mid-p-value of McNemar's test (Fagerland, Lydersen & Laake 2013).

    The test takes utterances to be independent. They are not, neither those of one speaker nor
    those of one trained model, so it finds too many differences (benchmarks/statistics.md). Prefer
    `sercli.analysis.statistics.permutation`.

    Args:
        a: True where one system is right, per utterance.
        b: True where the other is.

    >>> f"{mcnemar_p(np.array([True] * 8 + [False] * 2), np.array([False] * 8 + [True] * 2)):.3f}"
    '0.065'
    """
    from scipy.special import bdtr

    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    fewer, either = min(only_a, only_b), only_a + only_b
    at_most = bdtr(fewer, either, 0.5)
    below = bdtr(fewer - 1, either, 0.5) if fewer else 0.0
    return float(min(1.0, at_most + below))  # both tails, less half of the observation in each


POWER = 0.8
"""The customary power of a test (our choice)."""


def detectable(difference: Interval) -> float:
    """Return the minimum detectable difference: 80 % power at α = 0.05, two-sided.

    The multiple of the standard error is that of Bloom (1995): the critical value plus the normal
    quantile of the power. It holds for one comparison; Holm's correction of several needs more.

    Args:
        difference: Interval of the measured difference; only its width matters.

    Returns:
        A fraction; NaN without an interval.

    >>> f"{detectable(Interval(0.0, 0.2, error=0.05, multiple=1.96)):.3f}"
    '0.140'
    """
    from scipy.special import ndtri

    return float((difference.multiple + ndtri(POWER)) * difference.error)
