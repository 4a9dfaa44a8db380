"""Folds: which utterances train a model, choose its step, and test it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from sercli.config.schema import ProtocolConfig
from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError

MINIMUM_UNITS = 3
"""One unit to test, one to choose the step, and at least one to train."""


@dataclass(frozen=True)
class Fold:
    """One division of the targets.

    Attributes:
        name: The unit that is left out.
        train: Utterance ids.
        dev: Utterance ids of the unit that chooses the training step.
        test: Utterance ids of the unit that is left out.
    """

    name: str
    train: tuple[str, ...]
    dev: tuple[str, ...]
    test: tuple[str, ...]


def make_folds(manifest: Manifest, protocol: ProtocolConfig) -> list[Fold]:
    """Leave every unit out once; the next one (the first after the last) is the dev unit.

    Only targets are divided. Their context turns follow them, whatever fold these are in.

    Raises:
        RequestError: The corpus does not state the unit, has fewer than three, or has a
            speaker in more than one.
    """
    targets = manifest.targets
    units = _units(manifest, targets, protocol)
    names = sorted(units.unique())
    folds = []
    for position, test in enumerate(names):
        dev = names[(position + 1) % len(names)]
        folds.append(
            Fold(
                name=test,
                train=tuple(targets["utterance"][~units.isin([test, dev])]),
                dev=tuple(targets["utterance"][units == dev]),
                test=tuple(targets["utterance"][units == test]),
            )
        )
    return folds


def _units(manifest: Manifest, targets: pd.DataFrame, protocol: ProtocolConfig) -> pd.Series[str]:
    units = targets[protocol.unit]
    where = f"protocol {protocol.name} on {manifest.dataset}"
    if units.isna().any():
        other = "loso_speaker" if protocol.unit == "session" else "loso_session"
        raise RequestError(
            f"{where}: {int(units.isna().sum())} utterances state no {protocol.unit}; "
            f"try protocol={other}"
        )
    if units.nunique() < MINIMUM_UNITS:
        raise RequestError(
            f"{where}: needs {MINIMUM_UNITS} {protocol.unit}s (test, dev, train), "
            f"and there are {units.nunique()}"
        )
    sides = units.groupby(targets["speaker"]).nunique()
    if (sides > 1).any():
        speaker = sides.index[sides > 1][0]
        raise RequestError(
            f"{where}: speaker '{speaker}' would stand on both sides, being in "
            f"{int(sides[speaker])} {protocol.unit}s; try protocol=loso_speaker"
        )
    return units
