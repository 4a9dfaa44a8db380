"""Intervals, shared noise, power and almost-stochastic order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.simulated_runs import Design, counted, draw_corpus, draw_people, draw_system, true_ua
from scipy.stats import norm, t

from sercli.analysis.statistics.aso import almost_stochastic_order
from sercli.analysis.statistics.tests import detectable
from sercli.results.bootstrap import Interval, difference_interval, interval
from sercli.results.counts import Counts
from sercli.results.variance import model_variance


def drawn(design: Design, *better: float, seed: int = 0) -> list[Counts]:
    random = np.random.default_rng(seed)
    corpus = draw_corpus(design, random)
    people = draw_people(design, corpus, random)
    return [counted(corpus, draw_system(design, corpus, people, x, random)) for x in better]


def test_the_interval_of_a_mean_over_speakers_is_that_of_student() -> None:
    """With equally many utterances of each speaker, UA of one class is a mean of shares."""
    shares = 0.6 + 0.06 * norm.ppf((np.arange(8) + 0.5) / 8)
    counts = Counts(
        tuple("abcdefgh"),
        ("any",),
        np.arange(8),
        np.full((8, 1), 100.0),
        shares[None, :, None] * 100,
    )
    error = shares.std(ddof=1) / np.sqrt(8)

    found = interval(counts)

    assert found.error == pytest.approx(error, rel=0.01)
    assert found.multiple == pytest.approx(t.ppf(0.975, 7))
    low, high = t.interval(0.95, 7, loc=shares.mean(), scale=error)
    assert found.high - found.low == pytest.approx(high - low, rel=0.03)
    assert (found.low + found.high) / 2 == pytest.approx(shares.mean(), abs=0.001)


@pytest.mark.parametrize(
    "design", [Design(), Design(folds=1), Design(speakers=9, folds=9, seeds=1)], ids=str
)
def test_intervals_hold_the_truth_as_often_as_they_say(design: Design) -> None:
    random = np.random.default_rng(3)
    truth, gain = true_ua(design), true_ua(design, 0.1) - true_ua(design)
    held = []
    for _ in range(200):
        corpus = draw_corpus(design, random)
        people = draw_people(design, corpus, random)
        a, b = (counted(corpus, draw_system(design, corpus, people, x, random)) for x in (0.1, 0.0))
        one, between = interval(b), difference_interval(a, b)
        held.append((one.low <= truth <= one.high, between.low <= gain <= between.high))

    assert np.mean(held, axis=0).min() > 0.91  # 0.95 less two and a half standard errors


def test_the_paired_interval_is_narrower_than_that_of_either_system() -> None:
    pairs = [drawn(Design(), 0.0, 0.0, seed=seed) for seed in range(20)]

    of_one = np.mean([interval(a).error for a, _ in pairs])
    assert np.mean([difference_interval(a, b).error for a, b in pairs]) < of_one / 1.3


def test_the_interval_of_a_difference_turns_round_with_it() -> None:
    a, b = drawn(Design(seeds=1), 0.1, 0.0)
    forth, back = difference_interval(a, b), difference_interval(b, a)

    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low))


def test_an_interval_stays_between_nothing_and_all() -> None:
    (counts,) = drawn(Design(folds=1, seeds=2), 6.0)

    assert interval(counts).high <= 1


def test_one_speaker_has_no_interval() -> None:
    (counts,) = drawn(Design(speakers=1, folds=1), 0.0)

    assert np.isnan(interval(counts).low)
    assert np.isnan(detectable(interval(counts)))


def test_speakers_with_models_of_their_own_share_no_noise() -> None:
    a, b = drawn(Design(folds=10), 0.0, 0.0)

    assert model_variance([a, b]).variance == 0


def test_one_seed_shows_no_noise() -> None:
    assert model_variance(drawn(Design(folds=1, seeds=1), 0.0)).variance == 0


def test_with_one_fold_the_shared_noise_is_what_seeds_do_beyond_single_speakers() -> None:
    (counts,) = drawn(Design(folds=1, seeds=4, training=0.5), 0.0)
    by_speaker = (counts.correct / counts.total.sum(axis=0)).mean(axis=2)

    noise = model_variance([counts])

    of_speakers = by_speaker.var(axis=0, ddof=1).sum()
    assert noise.variance == pytest.approx((counts.ua.var(ddof=1) - of_speakers) / 4)
    assert noise.variance > 0
    assert noise.freedom == 3


def test_the_variance_of_a_difference_is_estimated_without_bias() -> None:
    """Var(UA(a) − UA(b)) over other speakers and trainings, against the mean estimate of it."""
    design = replace(Design(), folds=2)
    seen = [drawn(design, 0.0, 0.0, seed=seed) for seed in range(250)]
    differences = [a.ua.mean() - b.ua.mean() for a, b in seen]
    estimates = [difference_interval(a, b).error ** 2 for a, b in seen]

    assert np.mean(estimates) == pytest.approx(np.var(differences), rel=0.2)


def test_the_detectable_difference_is_that_of_a_textbook_example() -> None:
    """Bloom 1995: with many degrees of freedom, 2.80 standard errors."""
    assert detectable(Interval(0, 0, 0.01, 1.96)) == pytest.approx(0.0280, abs=1e-4)


def test_the_detectable_difference_is_detected_four_times_out_of_five() -> None:
    design = Design(folds=10)
    promised = np.mean(
        [detectable(difference_interval(*drawn(design, 0.0, 0.0, seed=s))) for s in range(40)]
    )
    steps = np.linspace(0, 0.5, 26)
    better = float(
        np.interp(promised, [true_ua(design, x) - true_ua(design) for x in steps], steps)
    )

    found = [
        difference_interval(*drawn(design, better, 0.0, seed=seed)).low > 0
        for seed in range(100, 300)
    ]

    assert np.mean(found) == pytest.approx(0.8, abs=0.08)


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
