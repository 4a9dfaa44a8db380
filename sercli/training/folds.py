"""Division of a corpus into folds, as the protocol says."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sercli.config.schema import ProtocolConfig
from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError
from sercli.results.folds import Fold, shared_speakers
from sercli.training.divisions import Division, Request, divide


def make_folds(manifest: Manifest, protocol: ProtocolConfig) -> list[Fold]:
    """Divide the targets as the protocol says.

    Only targets are divided. Their context turns follow them, whatever fold these are in.

    Raises:
        RequestError: The corpus does not state what the protocol divides by, has too little of
            it, or has a speaker on both sides where that is not allowed.
    """
    where = f"protocol {protocol.name} on {manifest.dataset}"
    request = Request(manifest.targets, protocol, where)
    folds = [_fold(division, request) for division in divide(request)]
    speakers = dict(zip(request.targets["utterance"], request.targets["speaker"], strict=True))
    for fold in folds:
        shared = shared_speakers(fold, speakers, protocol)
        if shared and not protocol.same_speakers:
            raise RequestError(
                f"{where}: speaker '{min(shared)}' would stand on both sides ({len(shared)} "
                "speakers would); divide by speaker, or set protocol.same_speakers=true if the "
                "split is meant so"
            )
    return folds


def _fold(division: Division, request: Request) -> Fold:
    choice, rest, dev = request.protocol.dev, division.rest, division.dev
    if choice == "test":
        return Fold(division.name, _ids(rest), _ids(division.test), _ids(division.test))
    if choice in _DRAWN_BY:
        dev = _drawn(division, request)
    train = rest.drop(index=dev.index)
    if dev.empty or train.empty:
        raise RequestError(
            f"{request.where}, fold {division.name}: {len(rest)} utterances are too few for train "
            f"and dev (protocol.dev={choice})"
        )
    return Fold(division.name, _ids(train), _ids(dev), _ids(division.test))


_DRAWN_BY = {"speaker": "speaker", "dialogues": "dialogue", "utterances": "utterance"}
"""What is drawn at random for dev → the column that tells one from another."""


def _drawn(division: Division, request: Request) -> pd.DataFrame:
    """Draw dev: one speaker, or dialogues or utterances until they are their share."""
    protocol, rest = request.protocol, division.rest
    groups = rest[_DRAWN_BY[protocol.dev]]
    if groups.isna().any():
        raise RequestError(
            f"{request.where}: {int(groups.isna().sum())} utterances belong to no dialogue; "
            "try protocol.dev=utterances"
        )
    random = np.random.default_rng([protocol.seed, *division.name.encode()])
    sizes = groups.value_counts().sort_index()
    sizes = sizes[random.permutation(sizes.index.to_numpy())]
    wanted = 1 if protocol.dev == "speaker" else protocol.dev_share * len(rest)
    drawn = sizes.index[sizes.cumsum().shift(fill_value=0) < wanted]
    return rest[groups.isin(drawn)]


def _ids(rows: pd.DataFrame) -> tuple[str, ...]:
    return tuple(rows["utterance"])
