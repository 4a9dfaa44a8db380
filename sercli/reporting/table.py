"""A table of a report, before it has a form: every form is made of this and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

NOTHING = "–"
"""Stands where there is no figure."""


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: Its heading.
        numeric: Whether it holds figures, which stand to the right and are sorted by value.
    """

    name: str
    numeric: bool = False


@dataclass(frozen=True)
class Cell:
    """What stands in a row below a heading.

    Attributes:
        text: As a reader sees it.
        value: What it is sorted by; None: its text.
        strong: Whether it is set in bold: a best result that is significantly better.
    """

    text: str
    value: float | None = None
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A titled table.

    Attributes:
        title: What it shows.
        columns: Its headings.
        rows: Cells, as many in each row as there are columns.
        notes: Footnotes, each a sentence of its own.
        warning: What must be read before the figures, as SYNTHETIC; empty where there is nothing.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    warning: str = ""


def words(name: str, cell: Callable[[T], str | None]) -> tuple[Column, Callable[[T], Cell]]:
    """Describe a column of words, and what stands in it."""
    return Column(name), lambda row: Cell(NOTHING if (text := cell(row)) is None else text)


def figures(name: str, cell: Callable[[T], Cell]) -> tuple[Column, Callable[[T], Cell]]:
    """Describe a column of figures, and what stands in it."""
    return Column(name, numeric=True), cell


def make_table(
    title: str,
    columns: Sequence[tuple[Column, Callable[[T], Cell]]],
    rows: Iterable[T],
    *,
    notes: Iterable[str] = (),
    warnings: Iterable[str] = (),
) -> Table:
    """Lay out a table from what each column shows of a row (see `words` and `figures`)."""
    return Table(
        title,
        tuple(column for column, _ in columns),
        tuple(tuple(fill(row) for _, fill in columns) for row in rows),
        tuple(note for note in notes if note),
        " ".join(warning for warning in warnings if warning),
    )
