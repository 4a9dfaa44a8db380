"""Tables in Markdown, as GitHub and Pandoc read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sercli.reporting.table import Cell, Table

_ESCAPES = str.maketrans({"|": "\\|", "<": "&lt;", "*": "\\*", "`": "\\`", "\n": " "})
"""Character with a meaning in Markdown → its escape."""


def as_markdown(tables: Sequence[Table]) -> str:
    r"""Return tables in Markdown, one below the other.

    >>> from sercli.reporting.table import Cell, Column
    >>> print(as_markdown([Table("Results", (Column("system"),), ((Cell("a|b"),),))]))
    **Results**
    <BLANKLINE>
    | system |
    | --- |
    | a\|b |
    <BLANKLINE>
    """
    return "\n".join(line for table in tables for line in _lines(table))


def _lines(table: Table) -> Iterator[str]:
    yield f"**{_escaped(table.title)}**"
    yield ""
    if table.warning:
        yield f"**{_escaped(table.warning)}**"
        yield ""
    for verdict in table.verdicts:
        yield _escaped(verdict)
        yield ""
    if table.columns:
        yield _line(_escaped(column.name) for column in table.columns)
        yield _line("---:" if column.numeric else "---" for column in table.columns)
        yield from (_line(map(_cell, row)) for row in table.rows)
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
    return text.translate(_ESCAPES)
