"""p-values of several comparisons, corrected for their number (Holm 1979)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
