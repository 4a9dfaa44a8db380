"""A table of a report, before it has a form: every form is made of this and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

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


def text_column(name: str, cell: Callable[[T], str | None]) -> tuple[Column, Callable[[T], Cell]]:
    """Describe a column of words, and what stands in it."""
    return Column(name), lambda row: Cell(NOTHING if (text := cell(row)) is None else text)


def number_column(name: str, cell: Callable[[T], Cell]) -> tuple[Column, Callable[[T], Cell]]:
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


Row = dict[str, Any]
"""A line of data: fractions, not percentages."""

Layout = list[tuple[Column, Callable[[Row], Cell]]]
"""The columns of a table of such lines, and what each shows of one."""


@dataclass(frozen=True)
class View:
    """One look at the runs.

    Attributes:
        tables: What a person reads.
        data: The same for a program: name → rows, which are the JSON document. The rows of the
            first name are the lines of the CSV file.
    """

    tables: tuple[Table, ...]
    data: Mapping[str, Sequence[Row]]


def percent_cell(
    fraction: float | None,
    deviation: float | None = None,
    bounds: Sequence[float] | None = None,
) -> Cell:
    """A fraction as a percentage, with its standard deviation and interval where there are any."""
    if fraction is None:
        return Cell(NOTHING)
    spread = "" if deviation is None else f" ± {100 * deviation:.1f}"
    between = "" if bounds is None else f" ({interval_cell(bounds).text})"
    return Cell(f"{100 * fraction:.1f}{spread}{between}", 100 * fraction)


def points_cell(difference: float | None, bounds: Sequence[float] | None = None) -> Cell:
    """A difference of fractions in points, with its sign and, where there is one, its interval."""
    if difference is None:
        return Cell(NOTHING)
    between = "" if bounds is None else f" ({_span(bounds)})"
    return Cell(f"{_signed(difference)}{between}", 100 * difference)


def interval_cell(bounds: Sequence[float] | None) -> Cell:
    """An interval of fractions in per cent, sorted by its lower bound."""
    if bounds is None:
        return Cell(NOTHING)
    return Cell("–".join(f"{100 * bound:.1f}" for bound in bounds), 100 * bounds[0])


def number_cell(value: float | None, form: str = "") -> Cell:
    """Any number, in Python's format ``form``."""
    return Cell(NOTHING) if value is None else Cell(format(value, form), float(value))


def p_value_cell(p: float | None) -> Cell:
    """A p-value with three decimals; a smaller one says so."""
    if p is None:
        return Cell(NOTHING)
    return Cell("< 0.001" if p < 0.001 else f"{p:.3f}", p)


def _span(bounds: Sequence[float]) -> str:
    return " to ".join(map(_signed, bounds))


def _signed(difference: float) -> str:
    return f"{100 * difference:+.1f}".replace("-", "−")


def footnotes(remarks: Sequence[str]) -> list[str]:
    """Number remarks that stand without their full stop."""
    return [f"{number}: {remark.rstrip('.')}." for number, remark in enumerate(remarks, 1)]


def marks(of_row: Iterable[str], remarks: Sequence[str]) -> str:
    """The numbers of the remarks on one row."""
    return ", ".join(str(number) for number in sorted(remarks.index(each) + 1 for each in of_row))
