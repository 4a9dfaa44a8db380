"""A table of a report, before it has a form: every form is made of this and of nothing else."""

from __future__ import annotations

from dataclasses import dataclass


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
