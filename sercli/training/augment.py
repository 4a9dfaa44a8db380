"""Augmentation of the training turns of a fold.

Copies of a turn are made from its audio (`sercli.features.copies`), and each use of a turn draws it
or one of its copies. CopyPaste and SpecAugment act on the steps of a batch, in this order. Only the
turns to classify are augmented: their context, dev and test are as they are. All draws follow from
the seed and the fold, by a generator of their own, so that initial weights and the order of the
turns are those of training without augmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sercli.config.schema import Config
from sercli.errors import RequestError, nearest
from sercli.features.copies import OF_AUDIO, audio_copies, built
from sercli.features.sets import of_stream, reads_text
from sercli.models import reads_dialogues
from sercli.models.interface import Batch, Criterion
from sercli.results.folds import Fold
from sercli.training.copy_paste import CopyPaste, Paster
from sercli.training.data import Data
from sercli.training.packed import PackedTurns
from sercli.training.spec_augment import Masker, SpecAugment

OF_STEPS: Mapping[str, Callable[..., CopyPaste | SpecAugment]] = {
    "copy_paste": CopyPaste,
    "spec_augment": SpecAugment,
}
"""Augmentations of the steps of a batch, by name."""

AUGMENTATIONS: Mapping[str, Callable[..., Any]] = {**OF_AUDIO, **OF_STEPS}
"""All augmentations, by name."""


def check_augmentation(config: Config) -> None:
    """Refuse augmentations that are unknown, invalid, or do not fit features and classes.

    Raises:
        RequestError: With the remedy.
    """
    for name in config.augment:
        if name not in AUGMENTATIONS:
            raise RequestError(f"unknown key 'augment.{name}'.{nearest(name, AUGMENTATIONS)}")
    for part in built(config.augment, OF_STEPS):
        part.check(config)
    audio_copies(config.augment, config.features)
    _check_streams(config)
    if config.augment and reads_dialogues(config.model):
        raise RequestError(
            f"augment={next(iter(config.augment))} changes frames, and model "
            f"{config.model['name']} reads the means of turns; set augment=none"
        )


def _check_streams(config: Config) -> None:
    """Refuse augmentations that change a turn but not its streams.

    Raises:
        RequestError: With the remedy.
    """
    if config.streams and "copy_paste" in config.augment:
        raise RequestError(
            "augment=copy_paste joins excerpts of turns, and streams cannot be cut at the "
            "same times; remove one of the two"
        )
    changed = [name for name in config.augment if name in OF_AUDIO]
    for name, features in config.streams.items() if changed else ():
        with of_stream(name):
            if not reads_text(features):
                raise RequestError(
                    f"augment={changed[0]} changes audio, and the stream '{name}' would not "
                    "change; remove the augmentation"
                )


def check_partners(config: Config, data: Data) -> None:
    """Refuse CopyPaste on a corpus in which no turn has an eligible other turn.

    Raises:
        RequestError: With the remedy.
    """
    for part in built(config.augment, OF_STEPS):
        if isinstance(part, CopyPaste):
            names = list(data.manifest.targets["utterance"])
            if not Paster(part, data, names, config.features).possible:
                same = "of the same speaker " if part.speaker == "same" else ""
                remedy = "set augment.copy_paste.speaker=any" if same else "set augment=none"
                raise RequestError(
                    f"augment=copy_paste: no turn of {data.manifest.dataset} has another {same}"
                    f"that augment.copy_paste.scheme={part.scheme} could paste to it; {remedy}"
                )


def describe_augmentation(config: Config) -> str | None:
    """Describe the augmentations of a configuration; None without one."""
    parts = built(config.augment, AUGMENTATIONS)
    return "; ".join(map(str, parts)) or None


def fold_augmenter(config: Config, data: Data, fold: Fold, seed: int) -> Augmenter | None:
    """Return the augmenter of a fold run; None without augmentation."""
    if not config.augment:
        return None
    random = np.random.default_rng([seed, *f"{fold.name} augment".encode()])
    return Augmenter(config, data, fold.train, random)


class Augmenter:
    """Draw the augmented batches of a fold run.

    Args:
        config: The configuration.
        data: The corpus.
        train: Ids of the training utterances.
        random: Random generator of all draws.
    """

    def __init__(
        self, config: Config, data: Data, train: Sequence[str], random: np.random.Generator
    ) -> None:
        self._random, self._versions = random, Versions(data.packed)
        self._paster: Paster | None = None
        self._masker: Masker | None = None
        for part in built(config.augment, OF_STEPS):
            if isinstance(part, CopyPaste):
                self._paster = Paster(part, data, train, config.features)
            else:
                self._masker = Masker(part, config.features)

    def batch(
        self,
        rows: np.ndarray,
        collate: Callable[..., Batch],
        criterion: Callable[[np.ndarray, np.ndarray | None], Criterion],
    ) -> Batch:
        """Return a batch of training turns, augmented.

        Args:
            rows: Rows of the utterances.
            collate: Function of rows and ``criterion`` that gathers them.
            criterion: Function of rows and of the rows of turns pasted to them, or None.
        """
        random, others = self._random, None
        if self._paster is not None:
            others = self._paster.others(rows, random)
        batch = collate(self._versions.draw(rows, random), criterion=criterion(rows, others))
        turns = batch.current
        if self._paster is not None and others is not None:
            given = collate(self._versions.draw(others, random), rule="similar").current
            turns = self._paster.paste(turns, given, others != rows, random)
        if self._masker is not None:
            turns = self._masker(turns, random)
        return replace(batch, current=turns)


class Versions:
    """The versions of each utterance: the turn itself and its copies.

    Args:
        turns: The turns of a corpus and of their copies.
    """

    def __init__(self, turns: PackedTurns) -> None:
        of = turns.original
        rows = np.arange(len(of))
        copies = np.flatnonzero(of != rows)
        self._copies = copies[np.argsort(of[copies], kind="stable")]
        self._first = np.searchsorted(of[self._copies], rows)
        self._number = np.bincount(of[copies], minlength=len(of))

    def draw(self, rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Draw a version of each of some utterances, all with equal probability."""
        if not len(self._copies):
            return rows
        version = random.integers(0, self._number[rows] + 1)
        return np.where(version == 0, rows, self._copies[self._first[rows] + version - 1])

    def all(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of some utterances and of all their copies."""
        copies = [self._copies[self._first[row] :][: self._number[row]] for row in rows]
        return np.concatenate([rows, *copies])
