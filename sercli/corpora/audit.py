"""The audit: what a corpus holds, as the task and the models will see it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sercli.config.schema import DatasetConfig
from sercli.corpora.audio_stats import AudioFacts, AudioStats, summarise_audio
from sercli.corpora.context import ContextCounts, count_missing_context, find_context
from sercli.corpora.expected_counts import Counts, ExpectedCounts, compare_counts
from sercli.corpora.findings import Finding, list_findings
from sercli.corpora.manifest import Manifest, Refusal
from sercli.files import write_atomically, write_text


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
        audio: What the audio is like; None where it was not measured.
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
    audio: AudioStats | None
    expected: ExpectedCounts | None
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
            not understood (`compare_counts`).
    """
    table, targets = manifest.table, manifest.targets
    context = find_context(manifest, dataset.context)
    audio = summarise_audio(manifest, facts or {})
    expected = compare_counts(manifest, dataset, context)
    return Audit(
        dataset=manifest.dataset,
        synthetic=manifest.synthetic,
        utterances=len(table),
        targets=len(targets),
        hours=None if audio is None else audio.utterances.total / 3600,
        classes=_count(targets["label"], manifest.classes),
        emotions={str(code): int(n) for code, n in table["emotion"].value_counts().items()},
        speakers=_count_by("speaker", manifest),
        sessions=_count_by("session", manifest),
        splits=_count_by("split", manifest),
        context=count_missing_context(manifest, dataset.context, context),
        audio=audio,
        expected=expected,
        findings=list_findings(manifest, expected, audio),
        refused=manifest.refused,
    )


def save_audit(manifest: Manifest, audit: Audit, dataset: DatasetConfig, data: Path) -> Path:
    """Write the manifest, the table of what was left out, and the audit.

    They go to ``data/manifests/<corpus>-<digest of its configuration>``, as ``manifest.parquet``,
    ``refused.parquet`` (columns ``file`` and ``reason``) and ``audit.json``, in place of what an
    earlier extraction of the same corpus, with the same configuration, left there.

    Returns:
        The folder.

    Raises:
        OSError: It cannot be written.
    """
    folder = data / "manifests" / _name(dataset)
    refused = pd.DataFrame(
        [asdict(refusal) for refusal in manifest.refused], columns=["file", "reason"], dtype="str"
    )
    for name, table in (("manifest", manifest.table), ("refused", refused)):
        write_atomically(folder / f"{name}.parquet", table.to_parquet)
    page = {"configuration": asdict(dataset), **audit.to_json()}
    write_text(folder / "audit.json", json.dumps(page, indent=1, ensure_ascii=False) + "\n")
    return folder


def _name(dataset: DatasetConfig) -> str:
    settings = asdict(dataset) | {"root": str(Path(dataset.root or "").expanduser().absolute())}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    name = re.sub(r"[^\w.-]", "_", dataset.name).lstrip(".")
    return f"{name}-{digest[:8]}"


def _count(labels: pd.Series[str], classes: tuple[str, ...]) -> Counts:
    found = labels.value_counts()
    return {label: int(found.get(label, 0)) for label in classes}


def _count_by(column: str, manifest: Manifest) -> dict[str, Counts]:
    """Count the targets of each class; a group without any is listed too, with zeros."""
    groups = manifest.table.groupby(column)["label"]
    return {str(group): _count(labels, manifest.classes) for group, labels in groups}
