"""Is the difference of two systems more than chance? The test by swapped speakers.

If the systems are equal, then what one of them gave for a speaker could as well have come from
the other. So the two are swapped, speaker by speaker, in every possible way (Fisher 1935; for
systems of recognition Noreen 1989), and the p-value is the share of the ways in which they differ
at least as much as they do. Whole speakers are swapped, because utterances of one speaker are not
independent.

That takes the trained models as they are. The models of another seed would move all speakers of a
fold together (`sercli.results.variance`), which is added to every swap as noise with Student's
t distribution. This is our extension: without it, where one model tests all speakers, 36 to 58 %
of equal systems come out as different; with it 3 to 5 % (benchmarks/statistics.md). One seed does
not show that noise, so that then whole folds are swapped.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from sercli.results.counts import Counts, Floats
from sercli.results.variance import ModelVariance, model_variance, resampling_units

EXACT = 13
"""Up to so many speakers all swaps are counted, 2¹³ at most; else some are drawn (our choice)."""

SWAPS = 10_000
"""Swaps that are drawn, the one that was observed included (our choice)."""


def permutation_p(a: Counts, b: Counts) -> float:
    """Return the two-sided p-value of UA(a) − UA(b); both are tested on the same utterances."""
    a, b = resampling_units(a, b)
    each = _of_each_speaker(a, b)
    swapped = _swaps(len(each)) @ each
    observed = abs(float(each.sum()))
    noise = model_variance([a, b])
    share = float(_beyond(swapped, observed, noise).mean())
    return min(1.0, max(share, smallest_p(len(each))))


def smallest_p(number: int) -> float:
    """Return the smallest p-value that so many speakers (or folds) allow, whatever they gave."""
    return max(2.0 ** (1 - number), 1 / SWAPS if number > EXACT else 0.0)


def _of_each_speaker(a: Counts, b: Counts) -> Floats:
    """What each speaker adds to UA(a) − UA(b); a swap changes its sign."""
    difference = (a.correct.mean(axis=0) - b.correct.mean(axis=0)) / a.total.sum(axis=0)
    return np.asarray(difference.mean(axis=1))


def _beyond(swapped: Floats, observed: float, noise: ModelVariance) -> Floats:
    """How probable it is after each swap to be at least as far from zero as was observed."""
    if noise.variance == 0:
        return np.asarray(np.abs(swapped) >= observed - 1e-12, dtype=np.float64)
    from scipy.special import stdtr

    scale = np.sqrt(noise.variance)
    above, below = (swapped - observed) / scale, (-swapped - observed) / scale
    return np.asarray(stdtr(noise.freedom, above) + stdtr(noise.freedom, below))


@lru_cache(maxsize=2)
def _swaps(speakers: int) -> Floats:
    """Signs, the first row being what was observed (swaps, speakers)."""
    if speakers <= EXACT:
        bits = np.arange(2**speakers)[:, None] >> np.arange(speakers) & 1
    else:
        bits = np.random.default_rng(2).integers(2, size=(SWAPS, speakers))
        bits[0] = 0
    return np.asarray(1.0 - 2.0 * bits)
