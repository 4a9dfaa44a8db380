"""Comparison of a corpus with the published counts of the complete corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from sercli.config.schema import ContextConfig, DatasetConfig
from sercli.corpora.context import missing_counts
from sercli.corpora.manifest import Manifest
from sercli.corpora.validate import COLUMNS
from sercli.errors import RequestError, nearest

Counts = dict[str, int]

_MISSING_CONTEXT = ("no_same_speaker", "no_interlocutor", "neither")


@dataclass(frozen=True)
class CountComparison:
    """A published count, and the count found.

    Attributes:
        part: Part of the corpus ("Session1"); None: the whole corpus.
        count: Name of the count: a class, ``utterances``, ``targets``, or one of `ContextCounts`.
        expected: Published count.
        found: Count of the corpus at hand.
    """

    part: str | None
    count: str
    expected: int
    found: int

    @property
    def ok(self) -> bool:
        """True if both are equal."""
        return self.expected == self.found

    def __str__(self) -> str:
        where = f"{self.part}: " if self.part is not None else ""
        return f"{where}{self.count} {self.found}, published {self.expected}"


@dataclass(frozen=True)
class ExpectedCounts:
    """Comparisons with all published counts of a corpus."""

    counts: tuple[CountComparison, ...]

    @property
    def ok(self) -> bool:
        """True if every count is as published."""
        return all(comparison.ok for comparison in self.counts)

    def to_json(self) -> dict[str, Any]:
        """Return the comparisons as JSON data."""
        return {"ok": self.ok, "counts": [asdict(comparison) for comparison in self.counts]}


def compare_counts(
    manifest: Manifest, dataset: DatasetConfig, context: pd.DataFrame
) -> ExpectedCounts | None:
    """Compare the corpus with ``dataset.expected`` and ``dataset.expected_in``.

    In the parts, only classes under ``expected`` are compared. Counts of missing context turns
    are published for IAAN's choice of context, and compared for no other.

    Args:
        manifest: The corpus.
        dataset: Configuration of the corpus.
        context: Context turns of the targets, from `find_context`.

    Returns:
        The comparisons; None if no counts are published, or dimensional labels are the task.

    Raises:
        RequestError: ``expected_in`` names an unknown column.
    """
    if manifest.dimensions is not None:
        return None
    counts = tuple(_compare(manifest, dataset, context))
    return ExpectedCounts(counts) if counts else None


def _compare(
    manifest: Manifest, dataset: DatasetConfig, context: pd.DataFrame
) -> Iterator[CountComparison]:
    found = manifest.targets["label"].value_counts()
    for label, n in dataset.expected.items():
        yield CountComparison(None, label, n, int(found.get(label, 0)))
    for column, parts in dataset.expected_in.items():
        if column not in COLUMNS:
            key = f"dataset.expected_in.{column}"
            raise RequestError(f"{key}: a manifest has no such column.{nearest(column, COLUMNS)}")
        for part, expected in parts.items():
            counts = _count(manifest.table[manifest.table[column] == part], context)
            for name in filter(lambda name: _is_known(name, dataset), expected):
                yield CountComparison(part, name, expected[name], counts.get(name, 0))


def _is_known(name: str, dataset: DatasetConfig) -> bool:
    if name in _MISSING_CONTEXT:
        return dataset.context == ContextConfig()
    return name in ("utterances", "targets") or name in dataset.expected


def _count(table: pd.DataFrame, context: pd.DataFrame) -> Mapping[str, int]:
    targets = table[table["label"].notna()]
    return {
        "utterances": len(table),
        "targets": len(targets),
        **{str(label): int(n) for label, n in targets["label"].value_counts().items()},
        **missing_counts(context.loc[targets["utterance"]]),
    }
