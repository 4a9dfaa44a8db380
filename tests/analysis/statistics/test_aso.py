"""Almost stochastic order."""

from __future__ import annotations

import numpy as np
import pytest

from sercli.analysis.statistics.aso import almost_stochastic_order

A = np.array([0.60, 0.66, 0.64])
B = np.array([0.61, 0.63, 0.62, 0.65])


def test_seeds_that_are_all_better_dominate_without_exception() -> None:
    assert almost_stochastic_order(A + 1, B) == 0
    assert almost_stochastic_order(B, A + 1) == 1


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (A, B, 0.856),
        ([0.652, 0.661, 0.648, 0.670, 0.655], [0.640, 0.655, 0.651, 0.643, 0.668], 0.490),
    ],
)
def test_the_order_agrees_with_another_implementation(
    a: list[float], b: list[float], expected: float
) -> None:
    """Run once with deepsig 1.2.8, 1 000 resamples; both draw them, so that digits differ."""
    assert almost_stochastic_order(np.array(a), np.array(b)) == pytest.approx(expected, abs=0.03)


def test_two_seeds_are_needed_for_an_order() -> None:
    assert np.isnan(almost_stochastic_order(A[:1], B))


def test_systems_that_are_the_same_have_no_order() -> None:
    assert almost_stochastic_order(A, A) >= 0.5
