"""Division of a corpus into folds, as the protocol says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sercli.config.schema import ProtocolConfig
from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError, counted
from sercli.results.folds import Fold, shared_speakers
from sercli.training.data import Data

_DRAWN_BY = {
    "speaker": "speaker",
    "speakers": "speaker",
    "dialogues": "dialogue",
    "utterances": "utterance",
}
"""Groups that dev is drawn from at random → their column of the manifest."""

_COLUMNS = ("utterance", "speaker", "gender", "dialogue")
"""The columns in use: selecting rows of all columns takes three times as long."""


def make_folds(manifest: Manifest, protocol: ProtocolConfig) -> list[Fold]:
    """Divide the targets of a corpus into folds.

    Only targets are divided. Their context turns follow them, whatever fold these are in.

    Raises:
        RequestError: The corpus lacks the column that the protocol divides by, is too small, or
            has a speaker in both training and test where that is not allowed.
    """
    where = f"protocol {protocol.name} on {manifest.dataset}"
    columns = dict.fromkeys([*_COLUMNS, protocol.unit, protocol.column])
    request = Request(manifest.targets[list(columns)], protocol, where)
    folds = [_fold(division, request) for division in divide(request)]
    speakers = dict(zip(request.targets["utterance"], request.targets["speaker"], strict=True))
    for fold in folds:
        shared = shared_speakers(fold, speakers, protocol)
        if shared and not protocol.same_speakers:
            raise RequestError(
                f"{where}: speaker '{min(shared)}' would be in training and test "
                f"({counted(len(shared), 'speaker')} in all); divide by speaker, or set "
                "protocol.same_speakers=true if the split is meant so"
            )
    return folds


def check_samples(folds: Sequence[Fold], data: Data) -> None:
    """Refuse folds with the same audio in test and, from another corpus, in train or dev.

    Raises:
        RequestError: A test utterance has the samples of one in train or dev.
    """
    table = data.manifest.table
    if table["corpus"].isna().all():
        return
    corpora = dict(zip(table["utterance"], table["corpus"], strict=True))
    for fold in folds:
        tested = {data.contents[name]: name for name in fold.test if name in data.contents}
        others = (*fold.train, *fold.dev)
        twins = {name: tested[x] for name in others if (x := data.contents.get(name)) in tested}
        twins = {name: test for name, test in twins.items() if corpora[name] != corpora[test]}
        if twins:
            other, test = next(iter(twins.items()))
            raise RequestError(
                f"fold {fold.name}: {corpora[other]} has {counted(len(twins), 'utterance')} with "
                f"the samples of test utterances of {corpora[test]}, e.g. '{other}' and '{test}'; "
                "leave one of the two corpora out"
            )


def _fold(division: Division, request: Request) -> Fold:
    choice, rest, dev = request.protocol.dev, division.rest, division.dev
    if choice == "test":
        return Fold(division.name, _ids(rest), _ids(division.test), _ids(division.test))
    if choice in _DRAWN_BY:
        dev = _drawn(division, request)
    train = rest.drop(index=dev.index)
    if dev.empty or train.empty:
        raise RequestError(
            f"{request.where}, fold {division.name}: {counted(len(rest), 'utterance')}, too few "
            f"for train and dev (protocol.dev={choice})"
        )
    return Fold(division.name, _ids(train), _ids(dev), _ids(division.test))


def _drawn(division: Division, request: Request) -> pd.DataFrame:
    """Draw dev: one speaker, or enough speakers, dialogues or utterances for its share.

    Of several corpora, speakers are drawn from each, so that dev covers all training corpora.
    """
    protocol, rest = request.protocol, division.rest
    if protocol.dev == "speakers" and rest["corpus"].notna().any():
        parts = [replace(division, rest=part) for _, part in rest.groupby("corpus")]
        return pd.concat([_drawn_from(part, request) for part in parts]).sort_index()
    return _drawn_from(division, request)


def _drawn_from(division: Division, request: Request) -> pd.DataFrame:
    protocol, rest = request.protocol, division.rest
    groups = rest[_DRAWN_BY[protocol.dev]]
    if groups.isna().any():
        raise RequestError(
            f"{request.where}: {counted(int(groups.isna().sum()), 'utterance')} without a "
            "dialogue; try protocol.dev=utterances"
        )
    random = np.random.default_rng([protocol.seed, *division.name.encode()])
    sizes = groups.value_counts().sort_index()
    sizes = sizes[random.permutation(sizes.index.to_numpy())]
    wanted = 1 if protocol.dev == "speaker" else protocol.dev_share * len(rest)
    drawn = sizes.index[sizes.cumsum().shift(fill_value=0) < wanted]
    return rest[groups.isin(drawn)]


def _ids(rows: pd.DataFrame) -> tuple[str, ...]:
    return tuple(rows["utterance"])


@dataclass(frozen=True)
class Request:
    """Targets to divide.

    Attributes:
        targets: Rows of the manifest with a label.
        protocol: The protocol.
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
                f"{self.where}: {counted(int(values.isna().sum()), 'utterance')} without a {name}; "
                f"{remedy}"
            )
        return values


@dataclass(frozen=True)
class Division:
    """A fold before dev is chosen.

    Attributes:
        name: Name of the fold: the unit that is left out.
        test: Test rows.
        rest: All other rows.
        dev: Rows of the rest that the division itself sets apart for dev.
    """

    name: str
    test: pd.DataFrame
    rest: pd.DataFrame
    dev: pd.DataFrame


def divide(request: Request) -> Iterator[Division]:
    """Divide the targets as ``protocol.folds`` says.

    Raises:
        RequestError: The corpus lacks the column that the protocol divides by, or is too small.
    """
    return _DIVISIONS[request.protocol.folds](request)


_WITHOUT = {
    "session": "try protocol=loso_speaker",
    "speaker": "try protocol=loso_session",
    "corpus": "name several corpora: dataset=several dataset.of=[emodb,savee]",
}
"""Unit → remedy for a corpus without it."""


def _leave_one_out(request: Request) -> Iterator[Division]:
    """Leave one unit out; the next one (after the last: the first) may be dev."""
    unit, targets = request.protocol.unit, request.targets
    units = request.column(unit, _WITHOUT[unit])
    names = sorted(units.unique())
    _check_count(len(names), request)
    _check_speakers(units, request)
    for test, following in zip(names, [*names[1:], names[0]], strict=True):
        yield Division(
            name=test,
            test=targets[units == test],
            rest=targets[units != test],
            dev=targets[units == following],
        )


def _by_column(request: Request) -> Iterator[Division]:
    """One fold, whose parts the values of a column state."""
    protocol, targets = request.protocol, request.targets
    values = targets[protocol.column]
    if values.isna().all():
        raise RequestError(
            f"{request.where}: the corpus states no {protocol.column}; "
            + _WITHOUT.get(protocol.column, "try protocol=loso_speaker")
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
    """One fold: a random speaker of each gender is left out."""
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


_PLURAL = {"session": "sessions", "speaker": "speakers", "corpus": "corpora"}


def _check_count(number: int, request: Request) -> None:
    sides = ["test", "dev", "train"] if request.protocol.dev == "next" else ["test", "train"]
    if number < len(sides):
        units = _PLURAL[request.protocol.unit]
        raise RequestError(
            f"{request.where}: needs {len(sides)} {units} ({', '.join(sides)}), found {number}"
        )


def _check_speakers(units: pd.Series[str], request: Request) -> None:
    found = units.groupby(request.targets["speaker"]).nunique()
    if (found > 1).any() and not request.protocol.same_speakers:
        speaker = found.index[found > 1][0]
        raise RequestError(
            f"{request.where}: speaker '{speaker}' would be in training and test, with data in "
            f"{int(found[speaker])} {_PLURAL[request.protocol.unit]}; try protocol=loso_speaker"
        )


def _check_sides(protocol: ProtocolConfig) -> None:
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        if both := set(protocol.sides[one]) & set(protocol.sides[other]):
            raise RequestError(f"protocol.sides: '{min(both)}' cannot be both {one} and {other}")
