"""McNemar's test of WA: the customary figure.

It takes utterances for independent. They are not, neither of one speaker nor of one trained
model, so that it finds too much: see benchmarks/statistics.md. The p-value to go by is that of
`sercli.reporting.statistics.permutation`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


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
