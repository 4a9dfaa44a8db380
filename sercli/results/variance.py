"""Between-model variance: the speakers of a fold are recognised by the same trained model.

With another seed, all of them would be recognised a little better or worse together. Speakers
alone, taken for independent, do not show that. Where one model tests all speakers, as with an
official split, it is most of the variance of a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sercli.results.counts import Counts, Floats


@dataclass(frozen=True)
class ModelVariance:
    """The variance of a UA, or of a difference, that resampled speakers do not show.

    Attributes:
        variance: In squared fractions; 0 where it is too small to be estimated.
        freedom: Degrees of freedom of the estimate; infinite where the variance is 0.
    """

    variance: float
    freedom: float


NO_VARIANCE = ModelVariance(0.0, float("inf"))


def resampling_units(a: Counts, b: Counts) -> tuple[Counts, Counts]:
    """Return the counts by the independent units of the difference of two systems.

    With several seeds these are the speakers, once the between-model variance is accounted for.
    One seed does not show that variance, so that whole folds take the place of speakers; without
    this, 10 % of equal systems come out as different with IEMOCAP's folds
    (benchmarks/statistics.md).
    """
    if min(len(a.correct), len(b.correct)) > 1:
        return a, b
    return a.of_folds(), replace(b, fold=a.fold).of_folds()


def model_variance(systems: Sequence[Counts]) -> ModelVariance:
    """Estimate the variance between trained models that speakers share.

    A prediction belongs to a speaker and to a trained model (fold × seed). By the rule for two
    ways of clustering (Cameron, Gelbach & Miller 2011) the variance is that by speakers, plus
    that by models, minus that by both; this is what the first lacks. Folds with one speaker each
    share nothing; one seed shows nothing of what another would do.

    Args:
        systems: One, or the two whose difference is taken: trained independently.
    """
    parts = [_shared(counts) for counts in systems if len(counts.correct) > 1]
    variance = sum(variance for variance, _ in parts)
    if variance <= 0:
        return NO_VARIANCE
    return ModelVariance(variance, float(sum(freedom for _, freedom in parts)))


def contribution_variance(own: Floats, fold: npt.NDArray[np.intp]) -> ModelVariance:
    """Estimate the variance between trained models of any figure; see `model_variance`.

    Args:
        own: First-order contribution of each speaker to the figure of each seed, (seeds, speakers).
        fold: Number of the fold that tests each speaker, (speakers,).
    """
    if len(own) < 2:
        return NO_VARIANCE
    variance, freedom = _of_models(own - own.mean(axis=0), fold)
    return ModelVariance(variance, float(freedom)) if variance > 0 else NO_VARIANCE


def difference_variance(a: Counts, b: Counts, *, matched: bool) -> ModelVariance:
    """Estimate the variance between trained models of a difference of two systems.

    Args:
        a: Counts of one system.
        b: Counts of the other.
        matched: True if both use the same trained models, seed by seed, as a fusion and one of its
            runs do; their models then vary together. False: trained independently.
    """
    if not matched:
        return model_variance([a, b])
    return model_variance([replace(a, correct=a.correct - b.correct)])


def _shared(counts: Counts) -> tuple[float, int]:
    own = (counts.correct - counts.correct.mean(axis=0)) / counts.total.sum(axis=0)
    return _of_models(own.mean(axis=-1), counts.fold)


def _of_models(by_both: Floats, fold: npt.NDArray[np.intp]) -> tuple[float, int]:
    """Return variance and degrees of freedom.

    Args:
        by_both: Contributions to the figure about their means over seeds, (seeds, speakers).
        fold: Number of the fold that tests each speaker, (speakers,).
    """
    seeds = len(by_both)
    folds = fold[:, None] == np.unique(fold)
    by_model = by_both @ folds
    squares = np.square(by_model).sum() - np.square(by_both).sum()
    return float(squares) / (seeds * (seeds - 1)), folds.shape[1] * (seeds - 1)
