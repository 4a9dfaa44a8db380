"""95 % intervals of UA and of differences of UA: whole speakers are drawn anew.

Utterances of one speaker are not independent, so that the speaker is what is resampled (the
cluster bootstrap, Field & Welsh 2007). With ten speakers the plain percentiles are too close
together: they hold the true UA in 89 % of cases, not in 95 % (benchmarks/statistics.md). So they
are taken further out, as far as Student's t lies outside the normal distribution (the expanded
percentile interval, Hesterberg 2015), and the distribution of the resamples is convolved with that
of what the speakers of a fold have in common (`sercli.results.variance`). Both variances are
estimates, each with degrees of freedom of its own: their t values are averaged by variance (Cochran
& Cox 1957).

Nothing depends on a seed where speakers are few: up to ten, all resamples are enumerated (Fisher &
Hall 1991), each multiset of speakers once, weighted by its number of orders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import combinations
from math import comb, factorial

import numpy as np

from sercli.results.counts import Counts, Floats
from sercli.results.variance import (
    ModelVariance,
    difference_variance,
    model_variance,
    resampling_units,
)

RESAMPLES = 100_000
"""Most resamples for an interval (our choice). Ten speakers have 92 378 in all; of more speakers
as many are drawn as fit the memory, a tenth at least: ends then move by 1 to 3 % of a standard
error."""

_NODES = 1024
"""Grid points of a distribution that is convolved (our choice: errors are far below
1/1000 of its range)."""

COVERAGE = 0.95


@dataclass(frozen=True)
class Interval:
    """A confidence interval and its parts; all NaN where there is but one speaker (or fold).

    Attributes:
        low: Lower end, a fraction.
        high: Upper end.
        error: Standard error of the figure.
        multiple: Half width of the interval of a normal figure in standard errors: t instead of
            1.96.
    """

    low: float
    high: float
    error: float
    multiple: float


NO_INTERVAL = Interval(*[float("nan")] * 4)


def interval(figure: Counts) -> Interval:
    """Return the confidence interval of a UA over other speakers and, with several seeds, models.

    >>> counts = Counts(
    ...     speakers=("a", "b"), classes=("any",), fold=np.array([0, 1]),
    ...     total=np.array([[10.0], [10.0]]), correct=np.array([[[6.0], [8.0]]]),
    ... )
    >>> found = interval(counts)
    >>> found.low < 0.7 < found.high
    True
    """
    noise = model_variance([figure])
    values = partial(_recalls, total=figure.total, correct=figure.correct.mean(axis=0))
    return figure_interval(values, len(figure.speakers), noise, least=0.0)


def difference_interval(a: Counts, b: Counts, *, matched: bool = False) -> Interval:
    """Return the confidence interval of UA(a) − UA(b), tested on the same utterances.

    Both are resampled together, so that what makes a speaker hard for both cancels (the paired
    bootstrap). With one seed, folds are resampled (`sercli.results.variance.resampling_units`).

    Args:
        a: Counts of one system.
        b: Counts of the other.
        matched: True if both use the same trained models, seed by seed.
    """
    a, b = resampling_units(a, b)
    difference = a.correct.mean(axis=0) - b.correct.mean(axis=0)
    values = partial(_recalls, total=a.total, correct=difference)
    noise = difference_variance(a, b, matched=matched)
    return figure_interval(values, len(a.speakers), noise, least=-1.0)


def figure_interval(
    values_of: Callable[[Floats], Floats], speakers: int, noise: ModelVariance, *, least: float
) -> Interval:
    """Return the confidence interval of any figure of the predictions of speakers.

    Args:
        values_of: Function from the count of each speaker in each resample, (resamples, speakers),
            to the figure of each resample.
        speakers: Number of speakers.
        noise: Variance between trained models.
        least: Lower limit of the figure; the upper one is 1.
    """
    if speakers < 2:
        return NO_INTERVAL
    drawn, weights = _resamples(speakers)
    values = values_of(drawn)
    variance = float(weights @ np.square(values - weights @ values))
    narrow = (speakers - 1) / speakers  # a resample varies about its mean, not about the truth
    t = _t(variance / narrow, speakers, noise)
    shared = narrow * noise.variance
    low, high = _quantiles(values, weights, np.sqrt(shared), _levels(t / np.sqrt(narrow)))
    low, high = np.clip([low, high], least, 1).tolist()
    return Interval(low, high, float(np.sqrt((variance + shared) / narrow)), t)


def _t(variance: float, speakers: int, noise: ModelVariance) -> float:
    """Average the t values of the variance by speakers and of the noise that they share."""
    from scipy.special import stdtrit

    of_speakers, of_noise = stdtrit([speakers - 1, noise.freedom], (1 + COVERAGE) / 2)
    share = noise.variance / (variance + noise.variance) if noise.variance else 0.0
    return float((1 - share) * of_speakers + share * of_noise)


def _levels(multiple: float) -> Floats:
    """Levels of the normal quantiles at ± ``multiple`` standard deviations."""
    from scipy.special import ndtr

    return np.asarray(ndtr([-multiple, multiple]))


def _quantiles(values: Floats, weights: Floats, deviation: float, levels: Floats) -> Floats:
    """Return quantiles of weighted values, to each of which normal noise is added.

    Args:
        values: (n,).
        weights: (n,), with sum 1.
        deviation: Standard deviation of the noise.
        levels: Levels of the quantiles.
    """
    if not deviation:
        found = np.quantile(values, levels, weights=weights, method="inverted_cdf")
        return np.asarray(found, dtype=np.float64)
    from scipy.special import ndtr

    nodes, masses = _on_nodes(values, weights)
    low = np.full(len(levels), nodes[0] - 9 * deviation)
    high = np.full(len(levels), nodes[-1] + 9 * deviation)
    for _ in range(40):  # bisection of the distribution function, down to rounding
        middle = (low + high) / 2
        below = ndtr((middle[:, None] - nodes) / deviation) @ masses < levels
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


def _on_nodes(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Divide every weight between the two nearest of equidistant points; keeps the mean."""
    nodes = np.linspace(values.min(), values.max(), _NODES)
    if nodes[0] == nodes[-1]:
        return nodes[:1], np.ones(1)
    places = (values - nodes[0]) / (nodes[1] - nodes[0])
    left = np.minimum(places.astype(np.intp), _NODES - 2)
    right = (places - left) * weights
    masses = np.bincount(left, weights - right, _NODES) + np.bincount(left + 1, right, _NODES)
    return nodes, np.asarray(masses, dtype=np.float64)


def _recalls(drawn: Floats, total: Floats, correct: Floats) -> Floats:
    """Mean recall of every resample over the classes that it has."""
    there, right = drawn @ total, drawn @ correct
    classes = there.shape[1]
    if there.all():
        return np.asarray((right / there) @ np.full(classes, 1 / classes))
    recalls = np.divide(right, there, out=np.full(there.shape, np.nan), where=there > 0)
    return np.asarray(np.nanmean(recalls, axis=1))


@lru_cache(maxsize=2)
def _resamples(speakers: int) -> tuple[Floats, Floats]:
    """Return resamples of speakers, the same for all systems.

    Returns:
        The count of each speaker in each resample, (resamples, speakers), and the probability of
        each resample, (resamples,).
    """
    if comb(2 * speakers - 1, speakers) <= RESAMPLES:
        return _all_resamples(speakers)
    draws = int(np.clip(10 * RESAMPLES // speakers, RESAMPLES // 10, RESAMPLES))
    shares = [1 / speakers] * speakers
    drawn = np.random.default_rng(0).multinomial(speakers, shares, size=draws)
    return drawn.astype(float), np.full(draws, 1 / draws)


def _all_resamples(speakers: int) -> tuple[Floats, Floats]:
    """Enumerate the multisets of speakers by stars and bars."""
    places = 2 * speakers - 1
    bars = np.array(list(combinations(range(places), speakers - 1)))
    counts = np.diff(bars, axis=1, prepend=-1, append=places) - 1
    factorials = np.array([float(factorial(n)) for n in range(speakers + 1)])
    weights = factorials[-1] / factorials[counts].prod(axis=1) / float(speakers) ** speakers
    return counts.astype(float), weights
