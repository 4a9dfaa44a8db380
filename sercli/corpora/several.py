"""Several corpora as one manifest, with one class map and the corpus as a column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import pandas as pd
from pydantic import Field

from sercli.config.schema import DatasetConfig, corpus_name
from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError
from sercli.validation import StrictModel, validate

_PREFIXED = ("utterance", "speaker", "session", "dialogue")
"""Columns whose values get the name of their corpus as a prefix: ``emodb/03``."""


class SeveralOptions(StrictModel):
    """Options of several corpora.

    Attributes:
        drop: Classes of the corpora that the task leaves out.
    """

    drop: list[str] = Field(default_factory=list)


def read_several(dataset: DatasetConfig, read: Callable[[DatasetConfig], Manifest]) -> Manifest:
    """Read the corpora ``dataset.parts`` into one manifest.

    Each is read with its own class map; ``dataset.classes`` then maps its classes to those of the
    task. Names of utterances, speakers, sessions and dialogues begin with that of their corpus.

    Args:
        dataset: The corpora.
        read: Reads one corpus.

    Raises:
        RequestError: Two corpora have one name, a class of a corpus has no class in the task, or a
            class of the task has no utterance in a corpus.
    """
    options = validate(SeveralOptions, dataset.options, "dataset.options.")
    labels = _names(dataset.parts)
    manifests = {name: read(_settings(part)) for name, part in dataset.parts.items()}
    tables, ratings = [], []
    for name, manifest in manifests.items():
        _check_classes(name, manifest, dataset, options.drop)
        tables.append(_renamed(manifest.table, labels[name], dataset.classes))
        ratings.append(_renamed_ratings(manifest.ratings, labels[name], dataset.classes))
    refused = [
        replace(each, reason=f"{labels[name]}: {each.reason}")
        for name, manifest in manifests.items()
        for each in manifest.refused
    ]
    return Manifest(
        dataset=dataset.name,
        table=pd.concat(tables, ignore_index=True),
        classes=tuple(sorted(set(dataset.classes.values()))),
        refused=tuple(refused),
        synthetic=any(manifest.synthetic for manifest in manifests.values()),
        ratings=pd.concat(ratings, ignore_index=True),
    )


def _settings(part: Mapping[str, Any]) -> DatasetConfig:
    names = {field.name for field in fields(DatasetConfig)} - {"context"}
    return DatasetConfig(**{name: value for name, value in part.items() if name in names})


def _names(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the name of each corpus; refuse two of one name."""
    names = {choice: corpus_name(_settings(part)) for choice, part in parts.items()}
    for choice, name in names.items():
        if sum(name == other for other in names.values()) > 1:
            raise RequestError(
                f"dataset.of: two corpora have the name '{name}'; name one of them only, or "
                f"set dataset.parts.{choice}.name if they are different ones"
            )
    return names


def _check_classes(
    name: str, manifest: Manifest, dataset: DatasetConfig, dropped: Sequence[str]
) -> None:
    unmapped = [x for x in manifest.classes if x not in {*dataset.classes, *dropped}]
    if unmapped:
        lost = unmapped[0]
        raise RequestError(
            f"dataset.classes: the class '{lost}' of {name} has no class in the task; add "
            f"dataset.classes.{lost}=CLASS, or dataset.options.drop=[{lost}] to leave it out"
        )
    found = set(manifest.targets["label"].map(dict(dataset.classes)).dropna())
    for lost in sorted(set(dataset.classes.values()) - found):
        code = next(code for code, label in dataset.classes.items() if label == lost)
        raise RequestError(
            f"dataset.classes: {name} has no utterance of the class '{lost}'; leave the corpus "
            f"out, or the class: '~dataset.classes.{code}' 'dataset.options.drop=[{code}]'"
        )


def _renamed_ratings(
    ratings: pd.DataFrame, corpus: str, classes: Mapping[str, str]
) -> pd.DataFrame:
    names = {column: f"{corpus}/" + ratings[column] for column in ("utterance", "rater")}
    return ratings.assign(**names, label=ratings["label"].map(dict(classes)).astype("str"))


def _renamed(table: pd.DataFrame, corpus: str, classes: Mapping[str, str]) -> pd.DataFrame:
    names = {column: f"{corpus}/" + table[column] for column in _PREFIXED}
    label = table["label"].map(dict(classes)).astype("str")
    return table.assign(**names, label=label, corpus=corpus).astype({"corpus": "str"})
