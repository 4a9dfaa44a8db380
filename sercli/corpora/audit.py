"""The audit: what a corpus holds, as the task and the models will see it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from sercli.config.schema import DatasetConfig
from sercli.corpora.context import find_context
from sercli.corpora.expected import Counts, Expected, compare
from sercli.corpora.findings import Finding, list_findings
from sercli.corpora.manifest import Manifest, Refusal
from sercli.corpora.missing_context import ContextCounts, count_context
from sercli.corpora.sound import Sound, describe_sound

if TYPE_CHECKING:  # features lie above corpora; their facts come down as data
    from sercli.features.audio import AudioFacts


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
        splits: Part of the official split → class → targets; empty where there is none.
        context: Targets without context turns.
        sound: What the audio is like; None where it was not measured.
        expected: Comparison with the published counts, where they are known.
        findings: What makes results doubtful.
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
    splits: dict[str, Counts]
    context: ContextCounts
    sound: Sound | None
    expected: Expected | None
    findings: tuple[Finding, ...]
    refused: tuple[Refusal, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the audit as what ``json`` can write, under the names of the attributes."""
        page = asdict(self) | {"expected": self.expected.to_json() if self.expected else None}
        plain: dict[str, Any] = json.loads(json.dumps(page))  # lists in place of tuples
        return plain


def audit(
    manifest: Manifest, dataset: DatasetConfig, facts: Mapping[str, AudioFacts] | None = None
) -> Audit:
    """Count what a corpus holds, and hold it to what is known of it.

    Args:
        manifest: The corpus.
        dataset: Its configuration: context turns, published counts.
        facts: Utterance → what extraction measured of its audio.

    Raises:
        RequestError: The context cannot be found (`find_context`), or the published counts are
            not understood (`compare`).
    """
    table, targets = manifest.table, manifest.targets
    context = find_context(manifest, dataset.context)
    sound = describe_sound(manifest, facts or {})
    expected = compare(manifest, dataset, context)
    return Audit(
        dataset=manifest.dataset,
        synthetic=manifest.synthetic,
        utterances=len(table),
        targets=len(targets),
        hours=None if sound is None else sound.utterances.total / 3600,
        classes=_count(targets["label"], manifest.classes),
        emotions={str(code): int(n) for code, n in table["emotion"].value_counts().items()},
        speakers=_count_by("speaker", manifest),
        sessions=_count_by("session", manifest),
        splits=_count_by("split", manifest),
        context=count_context(manifest, dataset.context, context),
        sound=sound,
        expected=expected,
        findings=list_findings(manifest, expected, sound),
        refused=manifest.refused,
    )


def _count(labels: pd.Series[str], classes: tuple[str, ...]) -> Counts:
    found = labels.value_counts()
    return {label: int(found.get(label, 0)) for label in classes}


def _count_by(column: str, manifest: Manifest) -> dict[str, Counts]:
    """Count the targets of each class; a group without any is listed too, with zeros."""
    groups = manifest.table.groupby(column)["label"]
    return {str(group): _count(labels, manifest.classes) for group, labels in groups}
