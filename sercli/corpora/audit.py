"""The audit: what a corpus holds, as the task and the models will see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from sercli.config.schema import ContextConfig, DatasetConfig
from sercli.corpora.context import find_context
from sercli.corpora.manifest import Manifest, Refusal

Counts = dict[str, int]


@dataclass(frozen=True)
class ContextCounts:
    """How many targets lack a context turn.

    Attributes:
        order: Order of the turns.
        window: Preceding turns that were searched.
        no_same_speaker: Targets without an earlier turn of their speaker.
        no_interlocutor: Targets without an earlier turn of another speaker.
        neither: Targets without both.
    """

    order: str
    window: int
    no_same_speaker: int
    no_interlocutor: int
    neither: int


@dataclass(frozen=True)
class Comparison:
    """What is there of a class, against what the complete corpus has."""

    expected: int
    found: int


@dataclass(frozen=True)
class Expected:
    """The published counts of the corpus, beside what was found.

    Attributes:
        ok: Whether every class is as published.
        classes: Class → both counts.
    """

    ok: bool
    classes: dict[str, Comparison]


@dataclass(frozen=True)
class Audit:
    """What a corpus holds.

    Attributes:
        dataset: Name of the corpus.
        synthetic: Whether the speech is generated.
        utterances: All utterances, whatever their emotion.
        targets: Those that the task classifies.
        hours: Duration of all utterances; None where it was not measured.
        classes: Class → targets, in the order of the model's outputs.
        emotions: The corpus' own code → utterances, most frequent first.
        speakers: Speaker → class → targets.
        sessions: Session → class → targets; empty where the corpus has no sessions.
        context: Targets without context turns.
        expected: Comparison with the published counts, where they are known.
        refused: What was left out, and why.
    """

    dataset: str
    synthetic: bool
    utterances: int
    targets: int
    hours: float | None
    classes: Counts
    emotions: Counts
    speakers: dict[str, Counts]
    sessions: dict[str, Counts]
    context: ContextCounts
    expected: Expected | None
    refused: tuple[Refusal, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the audit as what ``json`` can write, under the names of the attributes."""
        return asdict(self) | {"refused": [asdict(refusal) for refusal in self.refused]}


def audit(
    manifest: Manifest, dataset: DatasetConfig, seconds: Mapping[str, float] | None = None
) -> Audit:
    """Count what a corpus holds.

    Args:
        manifest: The corpus.
        dataset: Its configuration: context turns, published counts.
        seconds: Utterance → duration, as extraction measures it.

    Raises:
        RequestError: The context cannot be found (`find_context`).
    """
    table, targets = manifest.table, manifest.targets
    classes = _count(targets["label"], manifest.classes)
    return Audit(
        dataset=manifest.dataset,
        synthetic=manifest.synthetic,
        utterances=len(table),
        targets=len(targets),
        hours=None if seconds is None else _hours(table["utterance"], seconds),
        classes=classes,
        emotions={str(code): int(n) for code, n in table["emotion"].value_counts().items()},
        speakers=_count_by("speaker", manifest),
        sessions=_count_by("session", manifest),
        context=_count_context(manifest, dataset.context),
        expected=_compare(classes, dataset.expected),
        refused=manifest.refused,
    )


def _hours(utterances: pd.Series[str], seconds: Mapping[str, float]) -> float:
    return float(utterances.map(dict(seconds)).sum()) / 3600


def _count(labels: pd.Series[str], classes: tuple[str, ...]) -> Counts:
    found = labels.value_counts()
    return {label: int(found.get(label, 0)) for label in classes}


def _count_by(column: str, manifest: Manifest) -> dict[str, Counts]:
    """Count the targets of each class; a group without any is listed too, with zeros."""
    groups = manifest.table.groupby(column)["label"]
    return {str(group): _count(labels, manifest.classes) for group, labels in groups}


def _count_context(manifest: Manifest, context: ContextConfig) -> ContextCounts:
    missing = find_context(manifest, context).isna()
    return ContextCounts(
        order=context.order,
        window=context.window,
        no_same_speaker=int(missing["own"].sum()),
        no_interlocutor=int(missing["interlocutor"].sum()),
        neither=int(missing.all(axis="columns").sum()),
    )


def _compare(found: Counts, expected: Mapping[str, int]) -> Expected | None:
    if not expected:
        return None
    classes = {label: Comparison(n, found.get(label, 0)) for label, n in expected.items()}
    ok = all(each.expected == each.found for each in classes.values())
    return Expected(ok, classes)
