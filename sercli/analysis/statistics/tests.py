"""Tests of differences: Holm's correction, McNemar's test, and statistical power."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sercli.results.bootstrap import Interval
from sercli.results.counts import Floats


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """Correct p-values so that the chance of any false finding among them stays below α.

    Args:
        p_values: One per comparison; NaN where there is none, which does not count.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN is sorted last
    left = len(order) - np.arange(len(order))
    corrected = np.full(p.shape, np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * left), 1)
    return corrected


def mcnemar_p(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """Return the two-sided mid-p-value (Fagerland, Lydersen & Laake 2013).

    Args:
        a: Whether one system is right on each utterance.
        b: Whether the other is.
    """
    from scipy.special import bdtr

    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    fewer, either = min(only_a, only_b), only_a + only_b
    at_most = bdtr(fewer, either, 0.5)
    below = bdtr(fewer - 1, either, 0.5) if fewer else 0.0
    return float(min(1.0, at_most + below))  # both tails, less half of what was observed in each


POWER = 0.8


def detectable(difference: Interval) -> float:
    """Return the smallest true difference with 80 % power at α = 0.05, two-sided.

    The multiple of the standard error is that of Bloom (1995): what a difference must exceed to
    be significant, and the normal quantile of the power above it. It holds for one comparison;
    among many, Holm's correction asks for more.

    Args:
        difference: The interval of the measured difference; where it lies does not matter.

    Returns:
        A fraction; NaN where there is no interval.
    """
    from scipy.special import ndtri

    return float((difference.multiple + ndtri(POWER)) * difference.error)
