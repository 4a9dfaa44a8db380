"""Tables and views: the content of a report, independent of its format.

Every verb that prints results makes a `View`; `sercli.reporting.formats` turns it into text. All
that a format may print is in the tables: titles, warnings and footnotes are part of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sercli.errors import visible

T = TypeVar("T")

NOTHING = "–"
"""The text of a table cell without a value."""

CI_NOTE = "95 % CI: cluster bootstrap over speakers and seeds."


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: The heading.
        numeric: True for numbers, which are right-aligned and sorted by value.
    """

    name: str
    numeric: bool = False


@dataclass(frozen=True)
class Cell:
    """A table cell.

    Attributes:
        text: The text, as printed.
        value: The value to sort by; None: the text.
        strong: True for bold: a best result that is significantly better.
    """

    text: str
    value: float | None = None
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A titled table.

    Attributes:
        title: The title.
        columns: The headings.
        rows: Table cells, as many per row as there are columns.
        notes: Footnotes, each a sentence.
        warning: The text to read before any number, such as SYNTHETIC; empty for none.
        verdicts: Sentences above the table that summarise it.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    warning: str = ""
    verdicts: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """A result to print: tables for a reader, data for a program.

    Attributes:
        tables: The tables.
        data: The JSON document. Rates are fractions here, percentages in tables.
        lines: The lines of the CSV file: mappings or dataclass instances. None: those of the
            first list in ``data``.
    """

    tables: tuple[Table, ...]
    data: Mapping[str, Any]
    lines: Sequence[Any] | None = None


Columns = list[tuple[Column, Callable[[T], Cell]]]
"""Columns of a table, each with the function that fills it from a row."""


def text_column(name: str, cell: Callable[[T], str | None]) -> tuple[Column, Callable[[T], Cell]]:
    """Return a text column and the function that fills it."""
    return Column(name), lambda row: Cell(NOTHING if (text := cell(row)) is None else text)


def number_column(name: str, cell: Callable[[T], Cell]) -> tuple[Column, Callable[[T], Cell]]:
    """Return a numeric column and the function that fills it."""
    return Column(name, numeric=True), cell


def make_table(
    title: str,
    columns: Columns[T],
    rows: Iterable[T],
    *,
    notes: Iterable[str] = (),
    warnings: Iterable[str] = (),
    verdicts: Iterable[str] = (),
) -> Table:
    """Make a table from rows of any type.

    Args:
        title: The title.
        columns: The columns, left to right (`text_column`, `number_column`).
        rows: The objects that the columns read.
        notes: Footnotes; empty ones are left out.
        warnings: Sentences to read before any number; empty ones are left out.
        verdicts: Sentences above the table.

    >>> columns = [
    ...     text_column("system", lambda row: row["name"]),
    ...     number_column("UA", lambda row: percent_cell(row["ua"])),
    ... ]
    >>> table = make_table("Results (%)", columns, [{"name": "iaan gru", "ua": 0.701}])
    >>> [cell.text for cell in table.rows[0]]
    ['iaan gru', '70.1']
    """
    return Table(
        title,
        tuple(column for column, _ in columns),
        tuple(tuple(fill(row) for _, fill in columns) for row in rows),
        tuple(note for note in notes if note),
        " ".join(warning for warning in warnings if warning),
        tuple(verdicts),
    )


def without_controls(table: Table) -> Table:
    """Return a table whose texts cannot steer a terminal; labels may hold any letters."""
    return replace(
        table,
        title=visible(table.title),
        columns=tuple(replace(column, name=visible(column.name)) for column in table.columns),
        rows=tuple(
            tuple(replace(cell, text=visible(cell.text)) for cell in row) for row in table.rows
        ),
        notes=tuple(map(visible, table.notes)),
        warning=visible(table.warning),
        verdicts=tuple(map(visible, table.verdicts)),
    )


def with_notes(tables: Sequence[Table], notes: Iterable[str]) -> tuple[Table, ...]:
    """Add footnotes to the last of several tables."""
    *others, last = tables
    return (*others, replace(last, notes=(*last.notes, *notes)))


def percent_cell(
    fraction: float | None,
    deviation: float | None = None,
    bounds: Sequence[float] | None = None,
) -> Cell:
    """Return a fraction as a percentage, ± its standard deviation and with its interval, if any."""
    if fraction is None:
        return Cell(NOTHING)
    spread = "" if deviation is None else f" ± {100 * deviation:.1f}"
    between = "" if bounds is None else f" ({interval_cell(bounds).text})"
    return Cell(f"{100 * fraction:.1f}{spread}{between}", 100 * fraction)


def points_cell(difference: float | None, bounds: Sequence[float] | None = None) -> Cell:
    """Return a difference of fractions in signed percentage points, with its interval, if any."""
    if difference is None:
        return Cell(NOTHING)
    between = "" if bounds is None else f" ({' to '.join(map(signed_points, bounds))})"
    return Cell(f"{signed_points(difference)}{between}", 100 * difference)


def ccc_cell(
    value: float | None,
    deviation: float | None = None,
    bounds: Sequence[float] | None = None,
) -> Cell:
    """Return a concordance correlation coefficient, ± its standard deviation, if any.

    >>> ccc_cell(0.5071, bounds=[-0.02, 0.61]).text
    '0.507 (−0.020 to 0.610)'
    """
    if value is None:
        return Cell(NOTHING)
    spread = "" if deviation is None else f" ± {deviation:.3f}"
    between = "" if bounds is None else f" ({' to '.join(f'{bound:.3f}' for bound in bounds)})"
    return Cell(f"{value:.3f}{spread}{between}".replace("-", "−"), value)


def interval_cell(bounds: Sequence[float] | None) -> Cell:
    """Return an interval of fractions in per cent, sorted by its lower bound."""
    if bounds is None:
        return Cell(NOTHING)
    return Cell("–".join(f"{100 * bound:.1f}" for bound in bounds), 100 * bounds[0])


def number_cell(value: float | None, format_spec: str = "") -> Cell:
    """Return a number in a Python format."""
    return Cell(NOTHING) if value is None else Cell(format(value, format_spec), float(value))


def count_cell(n: int | None) -> Cell:
    """Return a count, its thousands apart."""
    return Cell(NOTHING) if n is None else Cell(count_text(n), float(n))


def p_value_cell(p: float | None) -> Cell:
    """Return a p-value with three decimals, or "< 0.001"."""
    if p is None:
        return Cell(NOTHING)
    return Cell("< 0.001" if p < 0.001 else f"{p:.3f}", p)


def count_text(n: int) -> str:
    """Write a count, its thousands apart."""
    return f"{n:,}".replace(",", " ")


def value_text(value: Any) -> str:
    """Write a value of a JSON document for a reader."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} → {value_text(each)}" for key, each in value.items()) or NOTHING
    if isinstance(value, list):
        return ", ".join(map(value_text, value)) or NOTHING
    return str(value)


def footnotes(remarks: Sequence[str]) -> list[str]:
    """Number remarks, which have no full stop, as footnotes."""
    return [f"{number}: {remark.rstrip('.')}." for number, remark in enumerate(remarks, 1)]


def footnote_marks(of_row: Iterable[str], remarks: Sequence[str]) -> str:
    """Return the numbers of the remarks on one row."""
    return ", ".join(str(number) for number in sorted(remarks.index(each) + 1 for each in of_row))


def signed_points(difference: float) -> str:
    """Write a difference of fractions in percentage points, always with its sign.

    >>> signed_points(-0.008)
    '−0.8'
    """
    return f"{100 * difference:+.1f}".replace("-", "−")
