"""Formats of a printed result.

UA and WA are percentages in tables, fractions in CSV and JSON.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sercli.reporting.formats.csv_json import as_csv, as_json, as_json_lines
from sercli.reporting.formats.latex import as_latex
from sercli.reporting.formats.markdown import as_markdown
from sercli.reporting.table import View, without_controls

if TYPE_CHECKING:
    from rich.console import RenderableType

PIPED_WIDTH = 140
"""Characters per line of a table that does not go to a terminal."""


def _as_table(view: View) -> RenderableType:
    from sercli.reporting.formats.terminal import as_terminal  # imports rich

    return as_terminal(view.tables)


FORMATS: Mapping[str, Callable[[View], str | RenderableType]] = {
    "table": _as_table,
    "markdown": lambda view: as_markdown(view.tables),
    "latex": lambda view: as_latex(view.tables),
    "csv": as_csv,
    "json": as_json,
    "jsonl": as_json_lines,
}
"""Name on the command line → function. The HTML page is made by
`sercli.reporting.formats.html.document`."""


def to_text(view: View, format_name: str = "table", *, plain: bool = False) -> str:
    r"""Format a view.

    Args:
        view: The view.
        format_name: A key of `FORMATS`.
        plain: Write no colours, even to a terminal: the text goes to a file.

    >>> from sercli.reporting.table import Table
    >>> view = View((Table("No runs", (), ()),), {"rows": []})
    >>> to_text(view, "json")
    '{\n  "rows": []\n}\n'
    """
    view = replace(view, tables=tuple(map(without_controls, view.tables)))
    content = FORMATS[format_name](view)
    if not isinstance(content, str):
        content = _printed(content, plain)
    return content if content.endswith("\n") else content + "\n"


def _printed(content: RenderableType, plain: bool) -> str:
    from rich.console import Console

    terminal = sys.stdout.isatty() and not plain
    width = None if terminal or "COLUMNS" in os.environ else PIPED_WIDTH
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, highlight=False)
    with console.capture() as capture:
        console.print(content)
    return capture.get()
