"""The manifest: a table with one row per utterance, and the list of refused files.

Every reader produces the same columns, so that later stages treat all corpora alike. All turns
of a dialogue are kept, whatever their label: a model with context needs turns that the
classification task itself does not use.

Some corpora state the label that each rater gave. A reader adds them to a row as ``ratings``,
pairs of rater and emotion; the manifest holds them in a table of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sercli.corpora.validate import COLUMNS, valid_rows
from sercli.errors import RequestError

Row = dict[str, Any]
"""One utterance: column of the manifest → value, and ``ratings``: pairs of rater and emotion."""

Numbers = npt.NDArray[np.floating[Any]]

RATINGS = ("utterance", "rater", "emotion", "label")
"""Columns of the ratings: one row for each emotion that a rater named."""


@dataclass(frozen=True)
class Refusal:
    """A file, line or utterance that was left out, and the reason."""

    file: str
    reason: str


@dataclass(frozen=True)
class Dimensions:
    """Dimensional labels as the task.

    >>> Dimensions(("valence",), 1, 5).scaled(np.array([1.0, 3.0, 5.0])).tolist()
    [-1.0, 0.0, 1.0]

    Attributes:
        names: Columns of the manifest, in the order of the model's outputs.
        low: Lower end of the scale of the corpus.
        high: Upper end.
    """

    names: tuple[str, ...]
    low: float
    high: float

    def scaled(self, labels: Numbers) -> Numbers:
        """Map the scale of the corpus to [−1, 1]."""
        return (2 * labels - (self.low + self.high)) / (self.high - self.low)

    def unscaled(self, outputs: Numbers) -> Numbers:
        """Map [−1, 1] to the scale of the corpus."""
        return (outputs * (self.high - self.low) + (self.low + self.high)) / 2


@dataclass(frozen=True)
class Manifest:
    """The utterances of a corpus.

    Attributes:
        dataset: Name of the corpus.
        table: One row per utterance with the columns of `COLUMNS`, in corpus order.
        classes: The classes of the task, in the order of the model's outputs.
        refused: Files, lines and utterances that were left out.
        synthetic: True if the speech was generated; results on it are marked everywhere.
        ratings: Labels of single raters with the columns of `RATINGS`, in corpus order; a label
            is missing where the task does not use the emotion. Empty if the corpus has none.
        dimensions: The dimensional labels of a regression task, without classes; None: the task is
            classification.
    """

    dataset: str
    table: pd.DataFrame
    classes: tuple[str, ...]
    refused: tuple[Refusal, ...] = field(default=())
    synthetic: bool = False
    ratings: pd.DataFrame = field(default_factory=lambda: _rating_table([], {}))
    dimensions: Dimensions | None = None

    @property
    def is_target(self) -> pd.Series[bool]:
        """True for the rows that the task uses: those with a label, or with all dimensions."""
        columns = self.dimension_names or ("label",)
        return self.table[list(columns)].notna().all(axis=1)

    @cached_property
    def targets(self) -> pd.DataFrame:
        """Rows that the task uses; not to be changed."""
        return self.table[self.is_target]

    @property
    def dimension_names(self) -> tuple[str, ...]:
        """Names of the dimensional labels that are the task; empty for classes."""
        return () if self.dimensions is None else self.dimensions.names

    @property
    def outputs(self) -> int:
        """Outputs of a model: one per class or dimension."""
        return len(self.dimension_names or self.classes)

    def without(self, refused: Mapping[str, Refusal]) -> Manifest:
        """Return the manifest without the utterances ``refused``, and with their refusals."""
        kept, rated = (~t["utterance"].isin(list(refused)) for t in (self.table, self.ratings))
        return replace(
            self,
            table=self.table[kept].reset_index(drop=True),
            ratings=self.ratings[rated].reset_index(drop=True),
            refused=self.refused + tuple(refused.values()),
        )


def build_manifest(
    dataset: str,
    rows: Iterable[Mapping[str, Any]],
    classes: Mapping[str, str],
    refused: Iterable[Refusal] = (),
    *,
    synthetic: bool = False,
) -> Manifest:
    """Make a manifest from a reader's rows, and validate every row.

    >>> rows = [
    ...     {"utterance": "a1", "audio": "a1.wav", "speaker": "F01", "emotion": "W"},
    ...     {"utterance": "a2", "audio": "a2.wav", "speaker": "", "emotion": "T"},
    ... ]
    >>> manifest = build_manifest("mine", rows, {"W": "anger", "T": "sadness"})
    >>> manifest.targets[["utterance", "label"]].values.tolist()
    [['a1', 'anger']]
    >>> print(manifest.refused[0].reason)
    utterance 'a2' has no speaker; the column needs the name of the speaker

    Args:
        dataset: Name of the corpus.
        rows: One mapping per utterance; columns that a corpus lacks may be absent. ``ratings``,
            pairs of rater and emotion, is no column.
        classes: Emotion code of the corpus → class of the task. Utterances of other codes are
            kept as context turns, without a label.
        refused: Refusals of the reader.
        synthetic: True if the speech was generated.

    Returns:
        The manifest. A row is refused if a value does not fit its column (`COLUMNS`), or if it
        repeats an utterance; the first of two such rows counts.

    Raises:
        RequestError: No utterance is left.
    """
    rows = list(rows)
    listed = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    table, reasons = valid_rows(listed)
    reasons |= _repeated(table)
    refused = (*refused, *_refusals(listed, reasons))
    table = table.drop(index=table.index.intersection(list(reasons)))
    ratings = _rating_table([rows[i] for i in table.index], classes)
    table = table.reset_index(drop=True)
    table["label"] = table["emotion"].map(dict(classes)).astype("str")
    if table.empty:
        raise RequestError(f"{dataset}: no utterance found; {_why_none(refused)}")
    return Manifest(
        dataset=dataset,
        table=table,
        classes=tuple(sorted(set(classes.values()))),
        refused=refused,
        synthetic=synthetic,
        ratings=ratings,
    )


def _rating_table(rows: Iterable[Mapping[str, Any]], classes: Mapping[str, str]) -> pd.DataFrame:
    found = [
        (row["utterance"], rater, emotion, classes.get(emotion))
        for row in rows
        for rater, emotion in row.get("ratings", ())
    ]
    return pd.DataFrame(found, columns=list(RATINGS), dtype="str")


def _repeated(table: pd.DataFrame) -> dict[int, str]:
    twice = table.index[table["utterance"].duplicated()]
    return dict.fromkeys(twice, "is already listed; utterance ids must be unique")


def _refusals(table: pd.DataFrame, reasons: Mapping[int, str]) -> Iterator[Refusal]:
    for row, reason in sorted(reasons.items()):
        utterance, audio = table.at[row, "utterance"], table.at[row, "audio"]
        name = f"utterance '{utterance!s}'" if _is_there(utterance) else "an utterance"
        yield Refusal(str(audio) if _is_there(audio) else name, f"{name} {reason}")


def _is_there(value: Any) -> bool:
    return bool(pd.notna(value)) and value != ""


def _why_none(refused: tuple[Refusal, ...]) -> str:
    if not refused:
        return "check dataset.root"
    first = refused[0]
    return f"all were refused ({len(refused)}), the first one {first.file}: {first.reason}"
