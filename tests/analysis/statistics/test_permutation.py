"""The permutation test over speakers: its level, its power, its exactness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from helpers.simulated_runs import Design, counted, draw_corpus, draw_people, draw_system
from hypothesis import given
from hypothesis import strategies as st

from sercli.analysis.statistics import permutation
from sercli.analysis.statistics.permutation import permutation_p, smallest_p
from sercli.analysis.statistics.tests import mcnemar_p
from sercli.results.bootstrap import difference_interval
from sercli.results.counts import Counts


def made(
    right: Sequence[Sequence[int]], of: int = 10, folds: Sequence[int] | None = None
) -> Counts:
    """One class; how many utterances of each speaker are right (seeds, speakers)."""
    correct = np.array(right, dtype=float)[:, :, None]
    speakers = correct.shape[1]
    return Counts(
        speakers=tuple(f"s{number}" for number in range(speakers)),
        classes=("any",),
        fold=np.arange(speakers) if folds is None else np.array(folds),
        total=np.full((speakers, 1), float(of)),
        correct=correct,
    )


small = st.lists(st.integers(0, 10), min_size=4, max_size=4)


@given(small, small)
def test_the_p_value_is_the_share_of_all_swaps_that_differ_as_much(
    a: list[int], b: list[int]
) -> None:
    each = np.array(a) - np.array(b)
    sums = [abs(sum(signs * each)) for signs in product([1, -1], repeat=4)]

    share = np.mean([one >= abs(each.sum()) for one in sums])
    assert permutation_p(made([a]), made([b])) == pytest.approx(share)


def test_no_difference_has_a_p_value_of_one_whatever_the_rounding() -> None:
    assert permutation_p(made([[3, 1, 2, 1]], of=7), made([[0, 2, 3, 2]], of=7)) == 1


@given(small, small, small, small)
def test_neither_system_comes_first(a: list[int], b: list[int], c: list[int], d: list[int]) -> None:
    one, other = made([a, b], folds=[0, 0, 1, 1]), made([c, d], folds=[0, 0, 1, 1])

    assert permutation_p(one, other) == pytest.approx(permutation_p(other, one))


def test_a_difference_that_all_speakers_show_has_the_smallest_p_there_can_be() -> None:
    worse, better = made([[4] * 10]), made([[6] * 10])

    assert permutation_p(better, worse) == smallest_p(10) == 2 / 2**10


def test_drawn_swaps_agree_with_all_swaps(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = made([[7, 6, 5, 8, 4, 6, 7, 5, 6, 4]]), made([[5, 7, 4, 6, 6, 5, 6, 6, 4, 3]])
    exact = permutation_p(a, b)

    monkeypatch.setattr(permutation, "EXACT", 5)
    permutation._swaps.cache_clear()
    drawn = permutation_p(a, b)
    permutation._swaps.cache_clear()
    assert 0.01 < exact < 0.5
    assert drawn == pytest.approx(exact, abs=0.02)


def test_models_that_move_all_speakers_together_make_a_difference_less_certain() -> None:
    """All speakers say that a is better; so they would if only its trainings had been lucky."""
    lucky, unlucky = [7] * 10, [3] * 10
    b = made([[4] * 10] * 3)
    one_model, own_models = (
        made([lucky, lucky, unlucky], folds=folds) for folds in ([0] * 10, range(10))
    )

    assert permutation_p(one_model, b) > 0.2
    assert permutation_p(own_models, b) == smallest_p(10)


def test_with_one_seed_whole_folds_are_swapped() -> None:
    """All speakers say that a is better; but there are three models, not six speakers."""
    folds = [0, 0, 1, 1, 2, 2]
    a, b = (made([right], folds=folds) for right in ([7, 6, 8, 7, 9, 9], [4] * 6))

    assert permutation_p(a, b) == smallest_p(3) == 0.25
    other_numbers = replace(b, fold=2 - b.fold)
    assert permutation_p(a, other_numbers) == 0.25
    assert difference_interval(a, other_numbers) == difference_interval(a, b)


def test_more_speakers_allow_smaller_p_values() -> None:
    assert [smallest_p(number) for number in (1, 2, 9, 10)] == [1, 0.5, 2 / 2**9, 2 / 2**10]
    assert smallest_p(100) == 1e-4


def _rates(design: Design, better: float, repetitions: int) -> tuple[float, float]:
    """How often swapped speakers find a difference, and how often McNemar's test does."""
    random = np.random.default_rng(11)
    found = []
    for _ in range(repetitions):
        corpus = draw_corpus(design, random)
        people = draw_people(design, corpus, random)
        a, b = (draw_system(design, corpus, people, each, random) for each in (better, 0.0))
        p = permutation_p(counted(corpus, a), counted(corpus, b))
        found.append((p < 0.05, mcnemar_p(a[0], b[0]) < 0.05))
    swaps, mcnemar = np.mean(found, axis=0)
    return float(swaps), float(mcnemar)


@pytest.mark.parametrize("folds", [1, pytest.param(5, marks=pytest.mark.exhaustive), 10])
def test_equal_systems_are_seldom_found_different_except_by_mcnemar(folds: int) -> None:
    swaps, mcnemar = _rates(Design(folds=folds), better=0.0, repetitions=300)

    assert swaps <= 0.075  # 0.05 and two standard errors
    assert mcnemar > 0.15


def test_a_large_difference_is_found() -> None:
    swaps, _ = _rates(Design(), better=0.3, repetitions=60)

    assert swaps > 0.8


def test_wa_is_tested_as_the_ua_of_one_class() -> None:
    random = np.random.default_rng(5)
    design = Design()
    corpus = draw_corpus(design, random)
    people = draw_people(design, corpus, random)
    a, b = (counted(corpus, draw_system(design, corpus, people, 0.0, random)) for _ in range(2))
    shuffled = [replace(each, classes=each.classes[::-1]) for each in (a, b)]

    of_one = [each.of_one_class() for each in (a, b)]
    assert permutation_p(*of_one) == permutation_p(*(each.of_one_class() for each in shuffled))
    assert permutation_p(*of_one) != permutation_p(a, b)
