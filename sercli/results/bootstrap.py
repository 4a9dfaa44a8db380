"""95 % intervals of UA and of differences of UA: whole speakers are drawn anew.

Utterances of one speaker are not independent, so that the speaker is what is resampled (the
cluster bootstrap, Field & Welsh 2007). With ten speakers the plain percentiles are too close
together: they hold the true UA in 89 % of cases, not in 95 % (benchmarks/statistics.md). So they
are taken further out, as far as Student's t lies outside the normal distribution (the expanded
percentile interval, Hesterberg 2015), and every resample gets its share of what the speakers of a
fold have in common (`sercli.results.variance`). Both variances are estimates, each with degrees
of freedom of its own: their t values are averaged by variance (Cochran & Cox 1957).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sercli.results.counts import Counts, Floats
from sercli.results.variance import ModelVariance, model_variance, resampling_units

BOOTSTRAPS = 10_000
"""Resamples for an interval (our choice: its ends then move by about 0.1 points)."""

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
    return _interval(figure.total, figure.correct.mean(axis=0), [figure], least=0.0)


def difference_interval(a: Counts, b: Counts) -> Interval:
    """Return the confidence interval of UA(a) − UA(b), tested on the same utterances.

    Both are resampled together, so that what makes a speaker hard for both cancels (the paired
    bootstrap). With one seed, folds are resampled (`sercli.results.variance.resampling_units`).
    """
    a, b = resampling_units(a, b)
    return _interval(a.total, a.correct.mean(axis=0) - b.correct.mean(axis=0), [a, b], least=-1.0)


def _interval(
    total: Floats, correct: Floats, systems: Sequence[Counts], *, least: float
) -> Interval:
    speakers = len(total)
    if speakers < 2:
        return NO_INTERVAL
    noise = model_variance(systems)
    values = _resampled(total, correct)
    narrow = (speakers - 1) / speakers  # a resample varies about its mean, not about the truth
    t = _t(values.var() / narrow, speakers, noise)
    values = values + np.sqrt(narrow * noise.variance) * _normal()
    low, high = np.clip(np.quantile(values, _levels(t / np.sqrt(narrow))), least, 1)
    return Interval(float(low), float(high), float(values.std() / np.sqrt(narrow)), t)


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


def _resampled(total: Floats, correct: Floats) -> Floats:
    """Mean recall of every resample over the classes that it has."""
    drawn = _drawn(len(total))
    there, right = drawn @ total, drawn @ correct
    classes = there.shape[1]
    if there.all():
        return np.asarray((right / there) @ np.full(classes, 1 / classes))
    recalls = np.divide(right, there, out=np.full(there.shape, np.nan), where=there > 0)
    return np.asarray(np.nanmean(recalls, axis=1))


@lru_cache(maxsize=2)
def _drawn(speakers: int) -> Floats:
    """Count of each speaker in each resample, the same for all systems (resamples, speakers)."""
    shares = [1 / speakers] * speakers
    return np.random.default_rng(0).multinomial(speakers, shares, size=BOOTSTRAPS).astype(float)


@lru_cache(maxsize=1)
def _normal() -> Floats:
    return np.random.default_rng(1).normal(size=BOOTSTRAPS)
