"""The metric of dimensional labels: the concordance correlation coefficient (CCC, Lin 1989).

    CCC = 2 cov(x, y) / (var x + var y + (mean x − mean y)²)

with covariance and variances of a population (divided by n); 0 where both are constant and equal.
Predictions are pooled over folds and speakers before it is computed, once per seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sercli.results.bootstrap import figure_interval
from sercli.results.counts import Floats, first_folds, speaker_codes
from sercli.results.variance import contribution_variance

SCORE = "ccc"
"""Name of the mean CCC over the dimensions, which selects the training step."""


def ccc(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """Return the concordance correlation coefficient of two series of numbers.

    >>> round(ccc([0, 1, 2], [0, 1, 1]), 3)
    0.667
    """
    x, y = (np.asarray(each, dtype=np.float64) for each in (truth, prediction))
    return float(_ccc(_sums(x, y).sum(axis=0)))


def scores_of(names: Sequence[str], truth: Floats, prediction: Floats) -> dict[str, float]:
    """Return ``ccc``, the mean CCC, and ``ccc_<dimension>``.

    Args:
        names: The dimensions.
        truth: (dimensions, utterances).
        prediction: (dimensions, utterances).
    """
    each = [ccc(x, y) for x, y in zip(truth, prediction, strict=True)]
    of_dimensions = {f"{SCORE}_{name}": value for name, value in zip(names, each, strict=True)}
    return {SCORE: float(np.mean(each)), **of_dimensions}


@dataclass(frozen=True)
class Moments:
    """Sums over the utterances of each speaker, from which the CCC of any speakers is computed.

    Attributes:
        fold: Number of the fold that tests each speaker (of the first, if several do).
        sums: n, Σx, Σy, Σx², Σy², Σxy of labels x and predictions y, (seeds, speakers, dimensions,
            6).
    """

    fold: npt.NDArray[np.intp]
    sums: Floats

    def of(self, dimension: int) -> Moments:
        """Return the sums of one dimension, by its position."""
        return Moments(self.fold, self.sums[:, :, [dimension]])

    def resampled(self, drawn: Floats) -> Floats:
        """Return the CCC, a mean over dimensions and seeds, of resamples of the speakers.

        Args:
            drawn: The count of each speaker in each resample, (resamples, speakers).
        """
        sums = np.tensordot(drawn, self.sums, axes=(1, 1))  # (resamples, seeds, dimensions, 6)
        return np.asarray(_ccc(sums).mean(axis=(1, 2)))

    @property
    def contributions(self) -> Floats:
        """The first-order contribution of each speaker to the CCC of each seed, (seeds, speakers).

        It is the influence of the speaker: the gradient of the CCC in the means of x, y, x², y² and
        xy, times the deviations of the speaker's sums from these means.
        """
        total = self.sums.sum(axis=1, keepdims=True)
        means = total / total[..., :1]
        apart = (self.sums - self.sums[..., :1] * means) / total[..., :1]
        return np.asarray((_gradient(means) * apart[..., 1:]).sum(axis=-1).mean(axis=-1))


def moments(test: pd.DataFrame, dimensions: Sequence[str], speakers: Mapping[Any, str]) -> Moments:
    """Sum up the predictions of one part under one selection.

    Args:
        test: Predictions of the same utterances by every seed: seed, fold, utterance, each
            dimension and ``predicted_<dimension>``.
        dimensions: Their names.
        speakers: Utterance id → speaker.

    Raises:
        ValueError: An utterance has no speaker.
    """
    speaker, names = speaker_codes(test["utterance"], speakers)
    seed, seeds = pd.factorize(test["seed"])
    sums = np.zeros((len(seeds), len(names), len(dimensions), 6))
    for place, name in enumerate(dimensions):
        columns = (test[column].to_numpy(np.float64) for column in (name, f"predicted_{name}"))
        np.add.at(sums[:, :, place], (seed, speaker), _sums(*columns))
    return Moments(first_folds(test["fold"], speaker, len(names)), sums)


def dimension_scores(predictions: pd.DataFrame, dimensions: Sequence[str]) -> dict[str, float]:
    """Return `scores_of` a table of predictions."""
    truth = predictions[list(dimensions)].to_numpy(np.float64).T
    predicted = predictions[[f"predicted_{name}" for name in dimensions]].to_numpy(np.float64).T
    return scores_of(dimensions, truth, predicted)


def dimension_intervals(
    test: pd.DataFrame, dimensions: Sequence[str], speakers: Mapping[Any, str], after: str = ""
) -> dict[str, list[float] | None]:
    """Return the 95 % confidence intervals of `scores_of`; None with one speaker.

    Args:
        test: Predictions, as for `moments`.
        dimensions: The dimensions.
        speakers: Utterance id → speaker.
        after: Suffix of the names.
    """
    found = moments(test, dimensions, speakers)
    of_dimensions = {
        f"{SCORE}_{name}{after}_ci": _ends(found.of(place)) for place, name in enumerate(dimensions)
    }
    return {f"{SCORE}{after}_ci": _ends(found), **of_dimensions}


def _ends(found: Moments) -> list[float] | None:
    noise = contribution_variance(found.contributions, found.fold)
    interval = figure_interval(found.resampled, len(found.fold), noise, least=-1.0)
    return None if isnan(interval.low) else [interval.low, interval.high]


def _sums(x: Floats, y: Floats) -> Floats:
    """Return 1, x, y, x², y² and xy of each utterance, (utterances, 6)."""
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)


def _ccc(sums: Floats) -> Floats:
    """Return the CCC of sums (…, 6)."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    both = 2 * (n * xy - x * y)
    spread = n * (xx + yy) - 2 * x * y
    return np.asarray(np.divide(both, spread, out=np.zeros_like(both), where=spread > 0))


def _gradient(means: Floats) -> Floats:
    """Return the gradient of the CCC in the means of x, y, x², y² and xy, (…, 5)."""
    _, x, y, xx, yy, xy = np.moveaxis(means, -1, 0)
    spread = xx + yy - 2 * x * y
    inverse = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    value = 2 * (xy - x * y) * inverse
    of_x, of_y = -2 * y * (1 - value), -2 * x * (1 - value)
    parts = [of_x, of_y, -value, -value, np.full_like(value, 2.0)]
    return np.asarray(np.stack(parts, axis=-1) * inverse[..., None])
