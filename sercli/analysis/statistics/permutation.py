"""The paired permutation test over speakers.

If two systems are equal, their results on a speaker are exchangeable. So the two are swapped,
speaker by speaker, in every possible way (Fisher 1935; for recognition systems Noreen 1989); the
p-value is the share of swaps with a difference at least as large as the observed one. Whole
speakers are swapped because utterances of one speaker are not independent.

That takes the trained models as given. Models of another seed would move all speakers of a fold
together (`sercli.results.variance`). This is added to every swap as noise with Student's t
distribution, which is our extension: without it, where one model tests all speakers, 36 to 58 % of
equal systems come out as different; with it 3 to 5 % (benchmarks/statistics.md). One seed does not
show that noise, so whole folds are swapped then.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from sercli.results.counts import Counts, Floats
from sercli.results.variance import ModelVariance, difference_variance, resampling_units

EXACT = 13
"""Speakers up to which all swaps are counted, 2¹³ at most; else some are drawn (our choice)."""

SWAPS = 10_000
"""Swaps that are drawn, the identity included (our choice)."""


def permutation_p(a: Counts, b: Counts, *, matched: bool = False) -> float:
    """Return the two-sided p-value of UA(a) − UA(b).

    Args:
        a: Counts of one system.
        b: Counts of the other, on the same utterances.
        matched: True if both use the same trained models, seed by seed.

    >>> names, fold, total = tuple("abcdef"), np.arange(6), np.full((6, 1), 10.0)
    >>> good, poor = np.full((2, 6, 1), 8.0), np.full((2, 6, 1), 5.0)
    >>> a, b = (Counts(names, ("any",), fold, total, right) for right in (good, poor))
    >>> permutation_p(a, b)
    0.03125
    """
    a, b = resampling_units(a, b)
    each = _of_each_speaker(a, b)
    swapped = _swaps(len(each)) @ each
    observed = abs(float(each.sum()))
    noise = difference_variance(a, b, matched=matched)
    share = float(_beyond(swapped, observed, noise).mean())
    return min(1.0, max(share, smallest_p(len(each))))


def smallest_p(number: int) -> float:
    """Return the smallest p-value that a number of speakers (or folds) allows.

    >>> smallest_p(10)
    0.001953125
    """
    return max(2.0 ** (1 - number), 1 / SWAPS if number > EXACT else 0.0)


def _of_each_speaker(a: Counts, b: Counts) -> Floats:
    """Return the part of each speaker in UA(a) − UA(b); a swap changes its sign."""
    difference = (a.correct.mean(axis=0) - b.correct.mean(axis=0)) / a.total.sum(axis=0)
    return np.asarray(difference.mean(axis=1))


def _beyond(swapped: Floats, observed: float, noise: ModelVariance) -> Floats:
    """Return for each swap the probability of a difference at least as large as observed."""
    if noise.variance == 0:
        return np.asarray(np.abs(swapped) >= observed - 1e-12, dtype=np.float64)
    from scipy.special import stdtr

    scale = np.sqrt(noise.variance)
    above, below = (swapped - observed) / scale, (-swapped - observed) / scale
    return np.asarray(stdtr(noise.freedom, above) + stdtr(noise.freedom, below))


@lru_cache(maxsize=2)
def _swaps(speakers: int) -> Floats:
    """Return the signs of all swaps, (swaps, speakers); the first row is the identity."""
    if speakers <= EXACT:
        bits = np.arange(2**speakers)[:, None] >> np.arange(speakers) & 1
    else:
        bits = np.random.default_rng(2).integers(2, size=(SWAPS, speakers))
        bits[0] = 0
    return np.asarray(1.0 - 2.0 * bits)
