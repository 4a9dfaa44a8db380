"""Counts of recognised utterances by speaker and class, the sufficient statistics of UA and WA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """The predictions of one system, counted.

    Attributes:
        speakers: Names, sorted.
        classes: Names of the classes that occur, sorted.
        fold: Number of the fold that tests each speaker (of the first, if several do).
        total: Utterances (speakers, classes).
        correct: Correctly recognised utterances (seeds, speakers, classes).
    """

    speakers: tuple[str, ...]
    classes: tuple[str, ...]
    fold: npt.NDArray[np.intp]
    total: Floats
    correct: Floats

    @property
    def ua(self) -> Floats:
        """UA of every seed, pooled over folds."""
        return np.asarray((self.correct.sum(axis=1) / self.total.sum(axis=0)).mean(axis=-1))

    def of_folds(self) -> Counts:
        """Take the speakers of a fold together, as if they were one."""
        folds = np.unique(self.fold)
        member = (self.fold == folds[:, None]).astype(np.float64)
        return replace(
            self,
            speakers=tuple(f"fold {number}" for number in folds),
            fold=folds,
            total=member @ self.total,
            correct=member @ self.correct,
        )

    def of_one_class(self) -> Counts:
        """Merge the classes: the UA of the result is the WA of these."""
        return replace(
            self,
            classes=("any",),
            total=self.total.sum(axis=-1, keepdims=True),
            correct=self.correct.sum(axis=-1, keepdims=True),
        )


def count(test: pd.DataFrame, speakers: Mapping[Any, str]) -> Counts:
    """Count the predictions of one part under one selection.

    >>> test = pd.DataFrame(
    ...     {"seed": 0, "fold": "f", "utterance": ["u", "v"], "label": ["a", "b"],
    ...      "predicted": ["a", "a"]}
    ... )
    >>> count(test, {"u": "s1", "v": "s2"}).ua
    array([0.5])

    Args:
        test: Predictions of the same utterances by every seed: seed, fold, utterance, label,
            predicted.
        speakers: Utterance id → speaker.

    Raises:
        ValueError: An utterance has no speaker.
    """
    speaker, names = speaker_codes(test["utterance"], speakers)
    label, classes = _sorted_codes(test["label"])
    seed, seeds = pd.factorize(test["seed"])

    shape = (len(seeds), len(names), len(classes))
    cell = np.ravel_multi_index((seed, speaker, label), shape)
    total = np.bincount(cell, minlength=np.prod(shape)).reshape(shape)[0]
    correct = np.bincount(cell, weights=is_right(test), minlength=np.prod(shape)).reshape(shape)
    return Counts(
        speakers=tuple(map(str, names)),
        classes=tuple(map(str, classes)),
        fold=first_folds(test["fold"], speaker, len(names)),
        total=total.astype(np.float64),
        correct=correct.astype(np.float64),
    )


def speaker_codes(
    utterances: pd.Series[Any], speakers: Mapping[Any, str]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[Any]]:
    """Return the code of the speaker of each utterance among the sorted speakers, and these.

    Args:
        utterances: Utterance ids.
        speakers: Utterance id → speaker.

    Raises:
        ValueError: An utterance has no speaker.
    """
    utterance, ids = pd.factorize(utterances)
    spoken = np.array([speakers.get(each) for each in ids], dtype=object)
    speaker_of, names = pd.factorize(spoken, sort=True)
    if (speaker_of < 0).any():
        raise ValueError("utterances of unknown speakers")
    return speaker_of[utterance], names


def first_folds(
    folds: pd.Series[Any], speaker: npt.NDArray[np.intp], speakers: int
) -> npt.NDArray[np.intp]:
    """Return the number of the first fold that tests each speaker.

    Args:
        folds: Name of the fold of each prediction.
        speaker: Code of its speaker (`speaker_codes`).
        speakers: Number of speakers.
    """
    fold, names = _sorted_codes(folds)
    first = np.full(speakers, len(names))
    np.minimum.at(first, speaker, fold)
    return first


def _sorted_codes(values: pd.Series[Any]) -> tuple[npt.NDArray[np.intp], npt.NDArray[Any]]:
    """Return the code of each value among the sorted values, and these; fast on codes, too.

    `pandas.factorize` sorts the values of a categorical by their codes, not by name.
    """
    codes, found = pd.factorize(values)
    names = np.asarray(found)
    order = np.argsort(names)
    return np.argsort(order)[codes], names[order]


def is_right(predictions: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return a mask of the correct predictions; fast on columns of codes and of names."""
    label, classes = pd.factorize(predictions["label"])
    predicted, names = pd.factorize(predictions["predicted"])
    return np.asarray(label == pd.Index(classes).get_indexer(pd.Index(names))[predicted])
