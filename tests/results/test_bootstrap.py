"""Confidence intervals and the variance between trained models."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from helpers.simulated_runs import (
    Design,
    counted,
    draw_corpus,
    draw_counts,
    draw_people,
    draw_system,
    true_ua,
)
from scipy.stats import norm, t

from sercli.results import bootstrap
from sercli.results.bootstrap import difference_interval, interval
from sercli.results.counts import Counts
from sercli.results.variance import difference_variance, model_variance


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
    "design",
    [
        Design(),
        pytest.param(Design(folds=1), marks=pytest.mark.exhaustive),
        Design(speakers=9, folds=9, seeds=1),
    ],
    ids=str,
)
@pytest.mark.usefixtures("few_resamples")
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


def all_ordered_resamples(figure: Counts) -> np.ndarray:
    """The UA of each of the n^n equally probable resamples of n speakers."""
    correct = figure.correct.mean(axis=0)
    drawn = [list(names) for names in product(range(len(correct)), repeat=len(correct))]
    return np.array(
        [(correct[names].sum(0) / figure.total[names].sum(0)).mean() for names in drawn]
    )


@pytest.mark.parametrize(("speakers", "folds", "seeds"), [(2, 2, 1), (5, 5, 1), (5, 2, 3)])
def test_few_speakers_are_resampled_in_all_ways(speakers: int, folds: int, seeds: int) -> None:
    (counts,) = draw_counts(Design(speakers=speakers, folds=folds, seeds=seeds, training=1.0), 0.0)
    values, narrow = all_ordered_resamples(counts), (speakers - 1) / speakers
    shared = np.sqrt(narrow * model_variance([counts]).variance)
    assert bool(shared > 0) is (seeds > 1)

    found = interval(counts)

    assert found.error == pytest.approx(np.sqrt((values.var() + shared**2) / narrow), rel=1e-9)
    for end, sign in ((found.low, -1), (found.high, 1)):
        level = norm.cdf(sign * found.multiple / np.sqrt(narrow))
        if shared:
            reached = norm.cdf((end - values) / shared).mean()
            assert norm.ppf(reached) == pytest.approx(norm.ppf(level), abs=1e-3)
        else:
            assert end == pytest.approx(np.quantile(values, level, method="inverted_cdf"))


@pytest.mark.usefixtures("few_resamples")
def test_drawn_resamples_agree_with_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    (counts,) = draw_counts(Design(speakers=10, folds=10, seeds=1), 0.0)
    ends = []
    for most in (95_000, 92_000):
        monkeypatch.setattr(bootstrap, "RESAMPLES", most)
        bootstrap._resamples.cache_clear()
        found = interval(counts)
        ends.append([found.low, found.high])

    assert bootstrap._resamples(10)[0].shape == (92_000, 10)  # the second was drawn
    assert ends[1] != ends[0]
    assert ends[1] == pytest.approx(ends[0], abs=0.03 * found.error * 3)


@pytest.mark.usefixtures("few_resamples")
def test_the_paired_interval_is_narrower_than_that_of_either_system() -> None:
    pairs = [draw_counts(Design(), 0.0, 0.0, seed=seed) for seed in range(20)]

    of_one = np.mean([interval(a).error for a, _ in pairs])
    assert np.mean([difference_interval(a, b).error for a, b in pairs]) < of_one / 1.3


def test_the_interval_of_a_difference_turns_round_with_it() -> None:
    a, b = draw_counts(Design(seeds=1), 0.1, 0.0)
    forth, back = difference_interval(a, b), difference_interval(b, a)

    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low))


def test_an_interval_stays_between_nothing_and_all() -> None:
    (counts,) = draw_counts(Design(folds=1, seeds=2), 6.0)

    assert interval(counts).high <= 1


def test_one_speaker_has_no_interval() -> None:
    (counts,) = draw_counts(Design(speakers=1, folds=1), 0.0)

    assert np.isnan(interval(counts).low)


def test_speakers_with_models_of_their_own_share_no_noise() -> None:
    a, b = draw_counts(Design(folds=10), 0.0, 0.0)

    assert model_variance([a, b]).variance == 0


def test_one_seed_shows_no_noise() -> None:
    assert model_variance(draw_counts(Design(folds=1, seeds=1), 0.0)).variance == 0


def test_with_one_fold_the_shared_noise_is_what_seeds_do_beyond_single_speakers() -> None:
    (counts,) = draw_counts(Design(folds=1, seeds=4, training=0.5), 0.0)
    by_speaker = (counts.correct / counts.total.sum(axis=0)).mean(axis=2)

    noise = model_variance([counts])

    of_speakers = by_speaker.var(axis=0, ddof=1).sum()
    assert noise.variance == pytest.approx((counts.ua.var(ddof=1) - of_speakers) / 4)
    assert noise.variance > 0
    assert noise.freedom == 3


@pytest.mark.usefixtures("few_resamples")
def test_the_variance_of_a_difference_is_estimated_without_bias() -> None:
    """Var(UA(a) − UA(b)) over other speakers and trainings, against the mean estimate of it."""
    design = replace(Design(), folds=2)
    seen = [draw_counts(design, 0.0, 0.0, seed=seed) for seed in range(250)]
    differences = [a.ua.mean() - b.ua.mean() for a, b in seen]
    estimates = [difference_interval(a, b).error ** 2 for a, b in seen]

    assert np.mean(estimates) == pytest.approx(np.var(differences), rel=0.2)


def test_systems_of_the_same_models_vary_together() -> None:
    (counts,) = draw_counts(Design(folds=1, seeds=4, training=0.5), 0.0)
    assert model_variance([counts, counts]).variance > 0
    assert difference_variance(counts, counts, matched=True).variance == 0
