"""How much the best of many points flatters itself on dev."""

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
"""Resamples in memory."""


@dataclass(frozen=True)
class Optimism:
    """The dev UA of the best point, as it is and without the gain from having chosen it.

    Attributes:
        points: How many complete points it was chosen from.
        dev_ua: Its dev UA, a fraction.
        corrected: What to expect of a point that is chosen in this way, of other speakers.
        optimism: By how much ``dev_ua`` is higher.
        interval: 95 % interval of ``corrected``.
    """

    points: int
    dev_ua: float
    corrected: float
    optimism: float
    interval: tuple[float, float]


def optimism(records: Sequence[Record]) -> Optimism | None:
    """Estimate the optimism of the best of several runs on dev.

    Predictions of dev are pooled over folds, and the figures of several seeds averaged, as in
    ``dev_ua``. That the training step of every run was chosen on the same dev raises all of them;
    this optimism is not counted here.

    Args:
        records: The runs that were compared. Diverged ones are left out.

    Returns:
        None where it cannot be told: fewer than two complete runs, fewer than two speakers, or
        runs that were not scored on the same utterances.
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
    """Estimate the optimism of the point with the highest UA, by BBC-CV.

    Bootstrap bias-corrected cross-validation (Tsamardinos, Greasidou & Borboudakis 2018, Machine
    Learning 107) repeats the choice: speakers are drawn with replacement, the best point among them
    is chosen, and scored on the speakers that were not drawn. We draw whole speakers where they
    draw examples, because utterances of one speaker are not independent. Choosing among fewer
    speakers than there are, it errs to the low side.

    Args:
        right: Utterances that are right, (points, speakers, classes); means over seeds.
        total: Utterances, (speakers, classes); at least two speakers.
    """
    scores = _ua(right.sum(axis=1), total.sum(axis=0))
    speakers = len(total)
    random = np.random.default_rng(0)
    drawn = random.multinomial(speakers, [1 / speakers] * speakers, size=ROUNDS)
    drawn = drawn[(drawn == 0).any(axis=1)]  # else nobody is left to score on
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
    """The UA outside each sample of the point that is the best inside: (samples,)."""
    inside = np.tensordot(drawn, right, axes=(1, 1))  # (samples, points, classes)
    chosen = _ua(inside, (drawn @ total)[:, None]).argmax(axis=1)
    left = (drawn == 0).astype(float)
    return _ua(np.einsum("ns,nsc->nc", left, right[chosen]), left @ total)


def _ua(right: Floats, total: Floats) -> Floats:
    """The mean recall over the classes that occur, which stand on the last axis."""
    recalls = np.divide(right, total, out=np.zeros_like(right), where=total > 0)
    scores: Floats = recalls.sum(axis=-1) / (total > 0).sum(axis=-1)
    return scores


def _on_dev(record: Record) -> pd.DataFrame:
    table = record.predictions()
    return table[(table["part"] == "dev") & (table["selection"] == "dev")]
