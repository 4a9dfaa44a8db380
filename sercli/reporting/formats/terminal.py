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

_TEXT_WIDTH = 24
"""Characters of a text column before it wraps (our choice: a system's name in two lines)."""

STAR = "*"
"""The mark of a bold table cell where nothing can be bold."""

_PADDING = 1
_MARGIN = 2


def as_terminal(tables: Sequence[Table]) -> RenderableType:
    """Return tables that adapt to the width of the terminal."""
    return Group(*(_WrappingTable(table) for table in tables))


@dataclass(frozen=True)
class _WrappingTable:
    """A table whose columns beyond the width continue below, after the first column again."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.table.title, style="bold")
        if self.table.warning:
            yield Text(self.table.warning, style="bold yellow")
        for verdict in self.table.verdicts:
            yield Text(verdict)
        widths = [_width(self.table, position) for position in range(len(self.table.columns))]
        for columns in _blocks(widths, options.max_width):
            yield _block(self.table, columns, plain=not console.is_terminal)
        for note in self.table.notes:
            yield Text(note)
        if self.table.notes:
            yield ""


def _blocks(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """Yield the positions of the columns of each block, the first column in all of them."""
    if not widths:
        return
    block, taken = [0], widths[0] + _MARGIN
    for position, width in enumerate(widths[1:], 1):
        if taken + width > room and len(block) > 1:
            yield block
            block, taken = [0], widths[0] + _MARGIN
        block.append(position)
        taken += width
    yield block


def _width(table: Table, position: int) -> int:
    """Return the least width of a column; text can wrap, numbers cannot."""
    column = table.columns[position]
    longest = max((_length(row[position]) for row in table.rows), default=0)
    heading = max((cell_len(word) for word in _heading(table, position).split("\n")), default=0)
    widest = max(longest, heading)
    return (widest if column.numeric else min(widest, _TEXT_WIDTH)) + _PADDING


def _length(cell: Cell) -> int:
    return cell_len(cell.text) + len(STAR) * cell.strong


def _heading(table: Table, position: int) -> str:
    """Return a heading; above numbers, one word per line."""
    column = table.columns[position]
    if not column.numeric:
        return column.name
    return (
        column.name.replace(" %", "\u00a0%")
        .replace("Δ ", "Δ\u00a0")
        .replace(" Δ", "\u00a0Δ")
        .replace(" ", "\n")
    )


def _block(table: Table, columns: Sequence[int], *, plain: bool) -> RichTable:
    block = RichTable(box=box.SIMPLE_HEAD, padding=(0, _PADDING, 0, 0))
    for position in columns:
        numeric = table.columns[position].numeric
        block.add_column(
            Text(_heading(table, position)),
            justify="right" if numeric else "left",
            no_wrap=numeric,
            overflow="fold",
        )
    for row in table.rows:
        block.add_row(*(_text(row[place], plain) for place in columns))
    return block


def _text(cell: Cell, plain: bool) -> Text:
    if cell.strong and plain:
        return Text(f"{STAR}{cell.text}")
    return Text(cell.text, style="bold" if cell.strong else "")
