"""Tables for a terminal of any width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from sercli.reporting.table import Cell, Table

_WORDS = 24
"""Columns that words get before they are broken (our choice: a system's name in two lines)."""

STAR = "*"
"""Before a best result in plain text."""

_PADDING = 1
_MARGIN = 2


def as_terminal(tables: Sequence[Table]) -> RenderableType:
    """Lay out tables for the width they are printed in."""
    return Group(*(_Laid(table) for table in tables))


@dataclass(frozen=True)
class _Laid:
    """A table whose columns that find no room go on below, behind the first column again."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.table.title, style="bold")
        if self.table.warning:
            yield Text(self.table.warning, style="bold yellow")
        widths = [_width(self.table, position) for position in range(len(self.table.columns))]
        for columns in _parts(widths, options.max_width):
            yield _part(self.table, columns, plain=not console.is_terminal)
        for note in self.table.notes:
            yield Text(note)
        if self.table.notes:
            yield ""


def _parts(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """Positions of the columns that stand side by side, the first one always among them."""
    part, taken = [0], widths[0] + _MARGIN
    for position, width in enumerate(widths[1:], 1):
        if taken + width > room and len(part) > 1:
            yield part
            part, taken = [0], widths[0] + _MARGIN
        part.append(position)
        taken += width
    yield part


def _width(table: Table, position: int) -> int:
    """How wide a column must be; words can be broken, figures cannot."""
    column = table.columns[position]
    longest = max((_length(row[position]) for row in table.rows), default=0)
    heading = max((cell_len(word) for word in _heading(table, position).split("\n")), default=0)
    widest = max(longest, heading)
    return (widest if column.numeric else min(widest, _WORDS)) + _PADDING


def _length(cell: Cell) -> int:
    return cell_len(cell.text) + len(STAR) * cell.strong


def _heading(table: Table, position: int) -> str:
    """Above figures the words of a heading stand below each other."""
    column = table.columns[position]
    if not column.numeric:
        return column.name
    return column.name.replace(" %", "\u00a0%").replace("Δ ", "Δ\u00a0").replace(" ", "\n")


def _part(table: Table, columns: Sequence[int], *, plain: bool) -> RichTable:
    laid = RichTable(box=box.SIMPLE_HEAD, padding=(0, _PADDING, 0, 0))
    for position in columns:
        numeric = table.columns[position].numeric
        laid.add_column(
            Text(_heading(table, position)),
            justify="right" if numeric else "left",
            no_wrap=numeric,
            overflow="fold",
        )
    for row in table.rows:
        laid.add_row(*(_text(row[place], plain) for place in columns))
    return laid


def _text(cell: Cell, plain: bool) -> Text:
    """What is bold has a star where nothing can be bold."""
    if cell.strong and plain:
        return Text(f"{STAR}{cell.text}")
    return Text(cell.text, style="bold" if cell.strong else "")
