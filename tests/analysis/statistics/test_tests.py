"""McNemar's test, Holm's correction and statistical power."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.simulated_runs import Design, draw_counts, true_ua
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from sercli.analysis.statistics.tests import detectable, holm, mcnemar_p
from sercli.results.bootstrap import NO_INTERVAL, Interval, difference_interval


def crossed(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    table = ((both, True, True), (only_a, True, False), (only_b, False, True))
    rows = [(a, b) for count, a, b in (*table, (neither, False, False)) for _ in range(count)]
    a, b = np.array(rows, dtype=bool).T
    return a, b


def test_mcnemar_gives_the_published_mid_p_value() -> None:
    """Bentur et al. 2009, as in Fagerland, Lydersen & Laake 2013: exact 0.070, mid-p 0.039."""
    assert mcnemar_p(*crossed(1, 1, 7, 12)) == pytest.approx(0.0390625)


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_mid_p_value_lies_half_an_observation_below_the_exact_one(b: int, c: int) -> None:
    if b == c:
        assert mcnemar_p(*crossed(1, b, c, 1)) == pytest.approx(1.0)
        return
    exact = binomtest(b, b + c, 0.5).pvalue
    observed = binomtest(b, b + c, 0.5, alternative="less").pvalue
    observed -= binomtest(b - 1, b + c, 0.5, alternative="less").pvalue if b else 0
    assert mcnemar_p(*crossed(1, b, c, 1)) == pytest.approx(exact - observed, abs=1e-9)


def test_systems_that_agree_everywhere_do_not_differ_by_mcnemar() -> None:
    assert mcnemar_p(*crossed(5, 0, 0, 5)) == 1.0


def test_holm_corrects_step_by_step() -> None:
    """0.005 × 4, 0.01 × 3, 0.03 × 2, and 0.04, which cannot fall below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_comparisons_that_were_not_made_do_not_count() -> None:
    corrected = holm([0.01, float("nan"), 0.04])

    assert corrected[[0, 2]].tolist() == pytest.approx([0.02, 0.04])
    assert np.isnan(corrected[1])
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_finds_what_stepping_down_finds(p_values: list[float]) -> None:
    rejected = set()
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] * (len(p_values) - step) >= 0.05:
            break
        rejected.add(int(index))

    assert set(np.flatnonzero(holm(p_values) < 0.05).tolist()) == rejected


def test_the_detectable_difference_is_that_of_a_textbook_example() -> None:
    """Bloom 1995: with many degrees of freedom, 2.80 standard errors."""
    assert detectable(Interval(0, 0, 0.01, 1.96)) == pytest.approx(0.0280, abs=1e-4)


@pytest.mark.usefixtures("few_resamples")
def test_the_detectable_difference_is_detected_four_times_out_of_five() -> None:
    design = Design(folds=10)
    promised = np.mean(
        [detectable(difference_interval(*draw_counts(design, 0.0, 0.0, seed=s))) for s in range(40)]
    )
    steps = np.linspace(0, 0.5, 26)
    better = float(
        np.interp(promised, [true_ua(design, x) - true_ua(design) for x in steps], steps)
    )

    found = [
        difference_interval(*draw_counts(design, better, 0.0, seed=seed)).low > 0
        for seed in range(100, 300)
    ]

    assert np.mean(found) == pytest.approx(0.8, abs=0.08)


def test_without_an_interval_nothing_is_detectable() -> None:
    assert np.isnan(detectable(NO_INTERVAL))
