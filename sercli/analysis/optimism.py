"""Optimism of the best of many trials on dev, by bootstrap bias-corrected cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sercli.results.counts import Floats, count
from sercli.results.run_record import Record

ROUNDS = 10_000
"""Resamples (our choice: the correction then moves by about 0.03 points from seed to seed)."""

_AT_ONCE = 500
"""Resamples in memory at a time."""


@dataclass(frozen=True)
class Optimism:
    """The dev UA of the best trial, and its value corrected for selection.

    Attributes:
        trials: Number of complete trials.
        dev_ua: Dev UA of the best, a fraction.
        corrected: UA to expect, on other speakers, of a trial selected in this way.
        optimism: ``dev_ua`` minus ``corrected``.
        interval: 95 % confidence interval of ``corrected``.
    """

    trials: int
    dev_ua: float
    corrected: float
    optimism: float
    interval: tuple[float, float]


def optimism(records: Sequence[Record]) -> Optimism | None:
    """Estimate the optimism of the best of several runs on dev.

    Predictions on dev are pooled over folds and averaged over seeds, as in ``dev_ua``. The
    optimism from selecting the training step of every run on the same dev is not included.

    Args:
        records: The runs of the trials. Diverged ones are left out.

    Returns:
        None if it cannot be estimated: fewer than two complete runs, fewer than two speakers, or
        runs with different dev utterances.
    """
    complete = [record for record in records if record.status == "complete"]
    if len(complete) < 2:
        return None
    speakers = complete[0].utterances().set_index("utterance")["speaker"].to_dict()
    try:
        counts = [count(_on_dev(record), speakers) for record in complete]
    except ValueError:  # utterances that the first run does not have
        return None
    first = counts[0]
    alike = all(
        (each.speakers, each.classes) == (first.speakers, first.classes)
        and np.array_equal(each.total, first.total)
        for each in counts
    )
    if not alike or len(first.speakers) < 2:
        return None
    return best_of(np.stack([each.correct.mean(axis=0) for each in counts]), first.total)


def best_of(right: Floats, total: Floats) -> Optimism:
    """Estimate the optimism of the trial with the highest UA, by BBC-CV.

    Bootstrap bias-corrected cross-validation (Tsamardinos, Greasidou & Borboudakis 2018, Machine
    Learning 107) repeats the selection: speakers are drawn with replacement, the best trial on them
    is selected and scored on the speakers that were not drawn. We draw whole speakers where they
    draw examples, because utterances of one speaker are not independent. Selecting on fewer
    speakers than there are, it is conservative.

    Args:
        right: Right predictions, (trials, speakers, classes); means over seeds.
        total: Utterances, (speakers, classes); at least two speakers.

    >>> found = best_of(np.array([[[8.0], [6.0]], [[5.0], [5.0]]]), np.array([[10.0], [10.0]]))
    >>> found.trials, found.dev_ua
    (2, 0.7)
    """
    scores = _ua(right.sum(axis=1), total.sum(axis=0))
    speakers = len(total)
    random = np.random.default_rng(0)
    drawn = random.multinomial(speakers, [1 / speakers] * speakers, size=ROUNDS)
    drawn = drawn[(drawn == 0).any(axis=1)]  # else no speaker is left to score on
    outside = np.concatenate(
        [
            _scores_outside(drawn[first : first + _AT_ONCE], right, total)
            for first in range(0, len(drawn), _AT_ONCE)
        ]
    )
    corrected = float(outside.mean())
    low, high = np.percentile(outside, [2.5, 97.5]).tolist()
    best = float(scores.max())
    return Optimism(len(right), best, corrected, best - corrected, (low, high))


def _scores_outside(drawn: npt.NDArray[np.int64], right: Floats, total: Floats) -> Floats:
    """Return the UA, outside each sample, of the trial that is the best inside, (samples,)."""
    inside = np.tensordot(drawn, right, axes=(1, 1))  # (samples, trials, classes)
    chosen = _ua(inside, (drawn @ total)[:, None]).argmax(axis=1)
    left = (drawn == 0).astype(float)
    return _ua(np.einsum("ns,nsc->nc", left, right[chosen]), left @ total)


def _ua(right: Floats, total: Floats) -> Floats:
    """Return the mean recall over the classes that occur, on the last axis."""
    recalls = np.divide(right, total, out=np.zeros_like(right), where=total > 0)
    scores: Floats = recalls.sum(axis=-1) / (total > 0).sum(axis=-1)
    return scores


def _on_dev(record: Record) -> pd.DataFrame:
    table = record.predictions()
    return table[(table["part"] == "dev") & (table["selection"] == "dev")]
