"""Labels of the files and segments of an audformat database.

``Database.get`` of the package does the same, but fails if a file is listed twice, and does not
report every contradiction between tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from audformat import Column, Database, Scheme


@dataclass(frozen=True)
class Segment:
    """A file, or a part of one.

    Attributes:
        file: Path in the database.
        start: Seconds into the file.
        end: Seconds into the file; None: to its end.
    """

    file: str
    start: float = 0.0
    end: float | None = None

    @property
    def is_file(self) -> bool:
        """True for a whole file."""
        return self.start == 0 and self.end is None

    @property
    def name(self) -> str:
        """The path, followed by the times of a part: "wav/a.wav:1.5-2.25"."""
        end = "" if self.end is None else self.end
        return self.file if self.is_file else f"{self.file}:{self.start}-{end}"


Labels = dict[Segment, list[str]]
"""Segment → its distinct values; none if a table lists the segment without a value."""


def read_labels(database: Database, name: str, tables: Iterable[str] | None = None) -> Labels:
    """Collect the values of a name from the tables.

    Args:
        database: Header and tables.
        name: A column, a scheme, or a property of the labels of a scheme, as ``gender`` is one
            of the speakers.
        tables: Tables to search; default: all.
    """
    labels: Labels = {}
    for table in database.tables if tables is None else tables:
        for values in _columns(database, table, name):
            for segment, value in zip(_segments(values), values, strict=True):
                _add(labels, segment, value)
    return labels


def read_splits(database: Database, name: str, tables: Iterable[str]) -> Labels:
    """Collect the split types of the tables that have values of ``name``."""
    labels: Labels = {}
    for table in tables:
        split = database[table].split_id
        if split is not None:
            for values in _columns(database, table, name):
                for segment in _segments(values[values.notna()]):
                    _add(labels, segment, database.splits[split].type)
    return labels


def one_label(labels: Labels, segment: Segment) -> str | None:
    """Return the value of a segment, else that of its file; None if there is none.

    Raises:
        ValueError: The segment has several values.
    """
    values = labels.get(segment) or labels.get(Segment(segment.file), [])
    if len(values) > 1:
        raise ValueError(f"the tables contradict each other: {', '.join(values)}")
    return values[0] if values else None


def label_names(database: Database) -> set[str]:
    """Return every name for which `read_labels` finds values."""
    names = {column for table in database.tables for column in database[table].columns}
    for scheme_id, scheme in database.schemes.items():
        names |= {scheme_id} | _properties(database, scheme)
    return names


def _columns(database: Database, table: str, name: str) -> Iterator[pd.Series[Any]]:
    for column_id, column in database[table].columns.items():
        if name in (column_id, column.scheme_id):
            yield column.get(map=_mapping(column))
        elif column.scheme is not None and name in _properties(database, column.scheme):
            yield column.get(map=name)


def _mapping(column: Column) -> str | None:
    """Return the scheme that maps codes to names, if the scheme of the column does so."""
    labels = None if column.scheme is None else column.scheme.labels
    is_code = isinstance(labels, dict) and any(isinstance(each, str) for each in labels.values())
    return column.scheme_id if is_code else None


def _properties(database: Database, scheme: Scheme) -> set[str]:
    """Return the properties of the labels of a scheme, such as the gender of each speaker."""
    if scheme.uses_table:
        return set(database[scheme.labels].columns)
    labels = scheme.labels.values() if isinstance(scheme.labels, dict) else ()
    return {name for properties in labels if isinstance(properties, dict) for name in properties}


def _segments(values: pd.Series[Any]) -> Iterator[Segment]:
    if values.index.nlevels == 1:
        yield from map(Segment, values.index)
        return
    for file, start, end in values.index:
        yield Segment(file, start.total_seconds(), _seconds(end))


def _seconds(end: Any) -> float | None:
    seconds: float = end.total_seconds()
    return None if math.isnan(seconds) else seconds


def _add(labels: Labels, segment: Segment, value: Any) -> None:
    values = labels.setdefault(segment, [])
    if not pd.isna(value) and str(value) not in values:
        values.append(str(value))
