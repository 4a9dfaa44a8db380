"""Folds: the utterances that train a model, choose its training step, and test it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sercli.config.schema import ProtocolConfig


@dataclass(frozen=True)
class Fold:
    """One division of the targets.

    Attributes:
        name: The session, speaker or pair that is left out.
        train: Utterance ids.
        dev: Utterance ids that choose the training step; with ``protocol.dev=test`` those of
            test.
        test: Utterance ids that are left out.
    """

    name: str
    train: tuple[str, ...]
    dev: tuple[str, ...]
    test: tuple[str, ...]


def shared_speakers(fold: Fold, speakers: Mapping[str, str], protocol: ProtocolConfig) -> set[str]:
    """Return the speakers on two sides of a fold that should have none in common.

    No speaker of test should be elsewhere. Dev may share speakers with training where it is a
    share of the dialogues or utterances; it is test itself with ``protocol.dev=test``.

    Args:
        fold: The division.
        speakers: Utterance id → speaker.
        protocol: The protocol that divided it.
    """
    train, dev, test = (
        {speakers[name] for name in side} for side in (fold.train, fold.dev, fold.test)
    )
    shared = test & train
    if protocol.dev != "test":
        shared |= test & dev
    if protocol.dev in ("next", "column", "speaker", "speakers"):
        shared |= train & dev
    return shared
