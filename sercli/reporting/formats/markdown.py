"""Tables in Markdown, as GitHub and Pandoc read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sercli.reporting.table import Cell, Table

_MEANT = str.maketrans({"|": "\\|", "<": "&lt;", "*": "\\*", "`": "\\`", "\n": " "})
"""What would be taken for a mark, and how it stands for itself."""


def as_markdown(tables: Sequence[Table]) -> str:
    """Write tables one below the other."""
    return "\n".join(line for table in tables for line in _lines(table))


def _lines(table: Table) -> Iterator[str]:
    yield f"**{_escaped(table.title)}**"
    yield ""
    if table.warning:
        yield f"**{_escaped(table.warning)}**"
        yield ""
    yield _line(_escaped(column.name) for column in table.columns)
    yield _line("---:" if column.numeric else "---" for column in table.columns)
    for row in table.rows:
        yield _line(map(_cell, row))
    yield ""
    for note in table.notes:
        yield _escaped(note)
        yield ""


def _cell(cell: Cell) -> str:
    text = _escaped(cell.text)
    return f"**{text}**" if cell.strong else text


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return text.translate(_MEANT)
