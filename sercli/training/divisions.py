"""Divisions: what tests and what does not, before anything is chosen for dev."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sercli.config.schema import ProtocolConfig
from sercli.errors import RequestError


@dataclass(frozen=True)
class Request:
    """What is divided.

    Attributes:
        targets: The rows of the manifest that the task uses.
        protocol: How.
        where: Protocol and corpus, for messages.
    """

    targets: pd.DataFrame
    protocol: ProtocolConfig
    where: str

    def column(self, name: str, remedy: str) -> pd.Series[str]:
        """Return a column in which no target may be empty."""
        values = self.targets[name]
        if values.isna().any():
            raise RequestError(
                f"{self.where}: {int(values.isna().sum())} utterances state no {name}; {remedy}"
            )
        return values


@dataclass(frozen=True)
class Division:
    """A fold before dev is chosen.

    Attributes:
        name: What is left out.
        test: Rows that test.
        rest: Rows that do not.
        dev: Those of the rest that the division itself has for dev.
    """

    name: str
    test: pd.DataFrame
    rest: pd.DataFrame
    dev: pd.DataFrame


def divide(request: Request) -> Iterator[Division]:
    """Divide the targets as ``protocol.folds`` says.

    Raises:
        RequestError: The corpus does not state what is needed, or has too little of it.
    """
    return _DIVISIONS[request.protocol.folds](request)


def _leave_one_out(request: Request) -> Iterator[Division]:
    """Each unit tests; the one after it (after the last: the first) is there for dev."""
    unit, targets = request.protocol.unit, request.targets
    other = "loso_speaker" if unit == "session" else "loso_session"
    units = request.column(unit, f"try protocol={other}")
    names = sorted(units.unique())
    _check_number_of_units(len(names), request)
    _check_speakers_of_units(units, request)
    for test, following in zip(names, [*names[1:], names[0]], strict=True):
        yield Division(
            name=test,
            test=targets[units == test],
            rest=targets[units != test],
            dev=targets[units == following],
        )


def _by_column(request: Request) -> Iterator[Division]:
    """One fold, whose sides the values of a column state."""
    protocol, targets = request.protocol, request.targets
    values = targets[protocol.column]
    if values.isna().all():
        raise RequestError(
            f"{request.where}: the corpus states no {protocol.column}; try protocol=loso_speaker"
        )
    _check_sides(protocol)
    sides = {side: targets[values.isin(names)] for side, names in protocol.sides.items()}
    for side, rows in sides.items():
        if rows.empty and (side != "dev" or protocol.dev == "column"):
            there = ", ".join(sorted(values.dropna().unique()))
            raise RequestError(
                f"{request.where}: no utterance for {side}; set protocol.sides.{side} to values "
                f"of the column {protocol.column} ({there})"
            )
    rest = targets[targets.index.isin([*sides["train"].index, *sides["dev"].index])]
    yield Division("test", sides["test"], rest, sides["dev"])


def _speaker_pair(request: Request) -> Iterator[Division]:
    """One fold: a random speaker of each gender tests."""
    targets, genders = request.targets, request.column("gender", "try protocol=loso_speaker")
    random = np.random.default_rng(request.protocol.seed)
    pair = []
    for gender in ("female", "male"):
        candidates = sorted(targets["speaker"][genders == gender].unique())
        if not candidates:
            raise RequestError(f"{request.where}: there is no {gender} speaker")
        pair.append(str(random.choice(candidates)))
    test = targets["speaker"].isin(pair)
    yield Division("+".join(pair), targets[test], targets[~test], targets[:0])


_DIVISIONS: dict[str, Callable[[Request], Iterator[Division]]] = {
    "leave_one_out": _leave_one_out,
    "column": _by_column,
    "speaker_pair": _speaker_pair,
}


def _check_number_of_units(number: int, request: Request) -> None:
    sides = ["test", "dev", "train"] if request.protocol.dev == "next" else ["test", "train"]
    if number < len(sides):
        raise RequestError(
            f"{request.where}: needs {len(sides)} {request.protocol.unit}s ({', '.join(sides)}), "
            f"and there are {number}"
        )


def _check_speakers_of_units(units: pd.Series[str], request: Request) -> None:
    found = units.groupby(request.targets["speaker"]).nunique()
    if (found > 1).any() and not request.protocol.same_speakers:
        speaker = found.index[found > 1][0]
        raise RequestError(
            f"{request.where}: speaker '{speaker}' would stand on both sides, being in "
            f"{int(found[speaker])} {request.protocol.unit}s; try protocol=loso_speaker"
        )


def _check_sides(protocol: ProtocolConfig) -> None:
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        if both := set(protocol.sides[one]) & set(protocol.sides[other]):
            raise RequestError(f"protocol.sides: '{min(both)}' cannot be both {one} and {other}")
