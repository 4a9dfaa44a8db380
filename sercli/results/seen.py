"""The utterances that trained weights have seen, compared with those that a fold tests.

Weights have seen an utterance if it trained them, chose their training step, or did so for the
weights that they started from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sercli.errors import SercliError, one_line
from sercli.untrusted import read_json, read_parquet

FILE = "seen.parquet"
"""Table of the utterances seen by the initial weights, or by the networks of a model folder."""

COLUMNS = ("corpus", "speaker", "utterance", "content")


@dataclass(frozen=True)
class Overlap:
    """The test utterances and speakers of a fold that weights have seen.

    Attributes:
        utterances: Ids of the test utterances that they have seen.
        speakers: Test speakers of whom they have seen an utterance.
    """

    utterances: tuple[str, ...]
    speakers: tuple[str, ...]


def identities(utterances: pd.DataFrame, corpus: str) -> pd.DataFrame:
    """Return the identity of utterances, which is the same in all runs and manifests.

    Args:
        utterances: ``utterances.parquet`` of a record
            (`sercli.training.data.describe_utterances`).
        corpus: Name of the corpus of utterances that state none.

    Returns:
        The columns ``corpus``; ``speaker`` and ``utterance``, named as in the corpus; and
        ``content``, the SHA-256 of the samples, missing in records of older versions. The index
        is the utterance id of the run or manifest.
    """
    table = utterances.reindex(columns=list(COLUMNS)).astype("object")
    table["corpus"] = table["corpus"].fillna(corpus)
    for column in ("speaker", "utterance"):
        names = zip(table["corpus"], table[column], strict=True)
        table[column] = [name.removeprefix(f"{within}/") for within, name in names]
    return table.astype("str").set_index(pd.Index(utterances["utterance"]))


def seen_by_fold(folder: Path, corpus: str) -> dict[str, pd.DataFrame]:
    """Read the utterances that the networks of a record have seen.

    Args:
        folder: The record.
        corpus: Name of its corpus.

    Returns:
        Fold → table of `identities`.

    Raises:
        SercliError: A file is missing or damaged.
    """
    folds, table, earlier = _read(folder, corpus)
    return {
        name: _joined(
            table.loc[[*fold["train"], *fold["dev"]]],
            *(seen for which, seen in earlier.items() if which == name),
        )
        for name, fold in folds.items()
    }


def seen_by_all(folder: Path, corpus: str) -> pd.DataFrame:
    """Read the utterances that networks trained on all folds of a record have seen.

    Args:
        folder: The record.
        corpus: Name of its corpus.

    Returns:
        Table of `identities`.

    Raises:
        SercliError: A file is missing or damaged.
    """
    _, table, earlier = _read(folder, corpus)
    return _joined(table, *earlier.values())


def _read(folder: Path, corpus: str) -> tuple[Any, pd.DataFrame, dict[str, pd.DataFrame]]:
    """Return the folds, the identities by utterance id, and what the initial weights had seen."""
    try:
        folds = read_json(folder / "folds.json")
        utterances = read_parquet(folder / "utterances.parquet")
    except Exception as error:  # whatever its reader raises, the file is damaged
        raise SercliError(f"{folder} cannot be read: {one_line(error)}; restore it") from error
    earlier = read_seen(folder) if (folder / FILE).exists() else {}
    return folds, identities(utterances, corpus), earlier


def _joined(*tables: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(tables).drop_duplicates().reset_index(drop=True)


def read_seen(folder: Path) -> dict[str, pd.DataFrame]:
    """Read the tables that `write_seen` wrote.

    Raises:
        SercliError: The file is missing or damaged.
    """
    try:
        table = read_parquet(folder / FILE)
        parts = {
            str(name): part[list(COLUMNS)].astype("str") for name, part in table.groupby("fold")
        }
    except Exception as error:  # whatever its reader raises, the file is damaged
        raise SercliError(
            f"{folder / FILE}, the list of the utterances that the weights have seen, cannot be "
            f"read ({one_line(error)}); export the model again"
        ) from error
    return {name: part.reset_index(drop=True) for name, part in parts.items()}


def write_seen(folder: Path, seen: Mapping[str, pd.DataFrame]) -> None:
    """Write the utterances that the weights of each fold have seen.

    Args:
        folder: A record or a model folder.
        seen: Fold → table of `identities`.
    """
    tables = [table.assign(fold=name) for name, table in seen.items()]
    pd.concat(tables, ignore_index=True).to_parquet(folder / FILE)


def overlap(seen: pd.DataFrame, corpus: pd.DataFrame, test: Collection[str]) -> Overlap:
    """Compare what weights have seen with the test utterances of a fold.

    Utterances are compared by their samples, or by corpus and id where the samples of either are
    unknown. Speakers are compared by name, within corpora that have the same name or share samples.

    >>> one = {"corpus": "a", "speaker": "s", "utterance": "u1", "content": "01"}
    >>> two = one | {"utterance": "u2", "content": "02"}
    >>> overlap(pd.DataFrame([one]), pd.DataFrame([one, two], index=["u1", "u2"]), ["u2"])
    Overlap(utterances=(), speakers=('s',))

    Args:
        seen: Table of `identities`.
        corpus: The same for all utterances of the present corpus.
        test: Ids of the test utterances.
    """
    content = set(seen["content"].dropna())
    named = seen[seen["content"].isna()] if corpus["content"].notna().all() else seen
    names = set(zip(named["corpus"], named["utterance"], strict=True))
    same = corpus["content"].isin(content) | _in(corpus, "utterance", names)
    speakers = _in(corpus, "speaker", _known_speakers(seen, corpus))
    tests = corpus.index.isin(list(test))
    return Overlap(
        utterances=tuple(corpus.index[tests & same]),
        speakers=tuple(sorted(corpus["speaker"][tests & speakers].unique())),
    )


def _in(table: pd.DataFrame, column: str, pairs: Collection[tuple[str, str]]) -> pd.Series[bool]:
    own = zip(table["corpus"], table[column], strict=True)
    return pd.Series([pair in pairs for pair in own], index=table.index, dtype=bool)


def _known_speakers(seen: pd.DataFrame, corpus: pd.DataFrame) -> set[tuple[str, str]]:
    """Return (corpus, speaker) of the speakers seen, with the names of the present corpora."""
    shared = seen.dropna(subset=["content"]).merge(
        corpus.dropna(subset=["content"]), on="content", suffixes=("", "_here")
    )
    alike = set(zip(shared["corpus"], shared["corpus_here"], strict=True))
    alike |= {(name, name) for name in {*seen["corpus"]} & {*corpus["corpus"]}}
    speakers = set(zip(seen["corpus"], seen["speaker"], strict=True))
    return {(here, who) for there, who in speakers for one, here in alike if one == there}
