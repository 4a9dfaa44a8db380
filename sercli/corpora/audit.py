"""The audit of a corpus: counts, context turns, audio statistics, findings and refusals."""

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
from sercli.files import absolute, write_atomically, write_text


@dataclass(frozen=True)
class Audit:
    """Contents of a corpus, as task and models see them.

    Attributes:
        dataset: Name of the corpus.
        synthetic: True if the speech is generated.
        utterances: Number of utterances of any emotion.
        targets: Number of utterances that the task classifies.
        hours: Duration of all utterances; None where it was not measured.
        classes: Class → targets, in the order of the model's outputs.
        emotions: Emotion code of the corpus → utterances, most frequent first.
        corpora: Corpus → class → targets; empty where there is one.
        speakers: Speaker → class → targets.
        sessions: Session → class → targets; empty where the corpus has no sessions.
        splits: Part of the official split → class → targets; empty where there is none.
        context: Numbers of targets without context turns.
        audio: Statistics of the audio; None where it was not measured.
        expected: Comparison with the published counts; None where none are known.
        findings: Problems that limit the interpretation of results.
        refused: Files, lines and utterances that were left out.
    """

    dataset: str
    synthetic: bool
    utterances: int
    targets: int
    hours: float | None
    classes: Counts
    emotions: Counts
    corpora: dict[str, Counts]
    speakers: dict[str, Counts]
    sessions: dict[str, Counts]
    splits: dict[str, Counts]
    context: ContextCounts
    audio: AudioStats | None
    expected: ExpectedCounts | None
    findings: tuple[Finding, ...]
    refused: tuple[Refusal, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the audit as JSON data; keys are the names of the attributes."""
        page = asdict(self) | {"expected": self.expected.to_json() if self.expected else None}
        plain: dict[str, Any] = json.loads(json.dumps(page))  # lists in place of tuples
        return plain


def audit(
    manifest: Manifest, dataset: DatasetConfig, facts: Mapping[str, AudioFacts] | None = None
) -> Audit:
    """Audit a corpus: count, compare with the published counts, look for problems.

    >>> from sercli.corpora.manifest import build_manifest
    >>> rows = [{"utterance": "a1", "audio": "a1.wav", "speaker": "F01", "emotion": "W"}]
    >>> manifest = build_manifest("mine", rows, {"W": "anger"})
    >>> dataset = DatasetConfig(name="mine", reader="manifest", expected={"anger": 2})
    >>> found = audit(manifest, dataset)
    >>> found.classes
    {'anger': 1}
    >>> found.findings
    (Finding(kind='count', text='anger 1, published 2'),)

    Args:
        manifest: The corpus.
        dataset: Configuration of the corpus: context turns, published counts.
        facts: Utterance → measurements of its audio.

    Raises:
        RequestError: The context cannot be found (`find_context`), or the published counts are
            invalid (`compare_counts`).
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
        classes=_count(_labels(manifest), _classes(manifest)),
        emotions={str(code): int(n) for code, n in table["emotion"].value_counts().items()},
        corpora=_count_by("corpus", manifest),
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
    """Write the manifest, the refusals and the audit.

    The folder is ``data/manifests/<corpus>-<digest of its configuration>``, the files are
    ``manifest.parquet``, ``ratings.parquet`` (labels of single raters), ``refused.parquet``
    (columns ``file`` and ``reason``) and ``audit.json``. Files of an earlier extraction with the
    same configuration are replaced.

    Returns:
        The folder.

    Raises:
        OSError: A file cannot be written.
    """
    folder = data / "manifests" / _name(dataset)
    refused = pd.DataFrame(
        [asdict(refusal) for refusal in manifest.refused], columns=["file", "reason"], dtype="str"
    )
    tables = {"manifest": manifest.table, "ratings": manifest.ratings, "refused": refused}
    for name, table in tables.items():
        write_atomically(folder / f"{name}.parquet", table.to_parquet)
    page = {"configuration": asdict(dataset), **audit.to_json()}
    write_text(folder / "audit.json", json.dumps(page, indent=1, ensure_ascii=False) + "\n")
    return folder


def _name(dataset: DatasetConfig) -> str:
    settings = asdict(dataset) | {"root": str(absolute(dataset.root or ""))}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    name = re.sub(r"[^\w.-]", "_", dataset.name).lstrip(".")
    return f"{name}-{digest[:8]}"


def _count(labels: pd.Series[str], classes: tuple[str, ...]) -> Counts:
    found = labels.value_counts()
    return {label: int(found.get(label, 0)) for label in classes}


def _count_by(column: str, manifest: Manifest) -> dict[str, Counts]:
    """Count the targets of each class in each group; groups without targets have zeros."""
    groups = _labels(manifest).groupby(manifest.table[column])
    return {str(group): _count(labels, _classes(manifest)) for group, labels in groups}


_RATED = "rated"
"""Class of all targets of a task of dimensional labels."""


def _classes(manifest: Manifest) -> tuple[str, ...]:
    return manifest.classes if manifest.dimensions is None else (_RATED,)


def _labels(manifest: Manifest) -> pd.Series[str]:
    """Return the class of each row; `_RATED` for the targets of dimensional labels."""
    if manifest.dimensions is None:
        return manifest.table["label"]
    return manifest.is_target.map({True: _RATED})
