"""The smallest true difference that a comparison would probably have found."""

from __future__ import annotations

from sercli.results.bootstrap import Interval

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
