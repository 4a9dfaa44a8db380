"""What the verbs print: a run, a sweep, the groups of the configuration."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sercli.reporting.formats.terminal import as_terminal
from sercli.reporting.views.results import recall_tables, result_tables
from sercli.reporting.views.rows import run_rows
from sercli.reporting.views.significance import Differences
from sercli.results.run_record import Record
from sercli.results.seal import keep_sealed

if TYPE_CHECKING:
    from sercli.config.compose import Choice

PIPED_WIDTH = 140
"""Columns of a table that does not go to a terminal."""


def as_text(content: str | dict[str, Any] | RenderableType, *, plain: bool = False) -> str:
    """Turn what a verb prints into text: JSON for a mapping, colours only for a terminal."""
    if isinstance(content, dict):
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    if isinstance(content, str):
        return content if content.endswith("\n") else content + "\n"
    terminal = sys.stdout.isatty() and not plain
    width = None if terminal or "COLUMNS" in os.environ else PIPED_WIDTH
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, highlight=False)
    with console.capture() as capture:
        console.print(content)
    return capture.get()


def show_run(record: Record) -> RenderableType:
    """The result of a run, how it came about, and where its record lies."""
    return Group(
        _figures([record]),
        Text(record.summary["card"]["paragraph"]),
        Text(f"Record: {record.path}"),
    )


def run_as_json(record: Record) -> dict[str, Any]:
    """The page of a run, without what is sealed."""
    (seen,), _ = keep_sealed([record])
    return dict(seen.summary)


def show_sweep(records: Sequence[Record], lines: Sequence[str]) -> RenderableType:
    """The points of a sweep, best on dev first, and what there is to say about them."""
    return Group(_figures(records), *(Text(line) for line in lines))


def show_groups(choices: Sequence[Choice]) -> RenderableType:
    """A table of groups and choices."""
    table = Table(box=None, pad_edge=False)
    for name in ("group", "choice", "what it is"):
        table.add_column(name, overflow="fold")
    group = None
    for choice in choices:
        mark = "*" if choice.default else ""
        first = choice.group if choice.group != group else ""
        group = choice.group
        table.add_row(f"[bold]{first}[/bold]", choice.name + mark, escape(choice.description))
    return table


def groups_as_json(choices: Sequence[Choice]) -> dict[str, Any]:
    """Group → its choices."""
    found: dict[str, Any] = {}
    for choice in choices:
        found.setdefault(choice.group, []).append(
            {"name": choice.name, "description": choice.description, "default": choice.default}
        )
    return found


def _figures(records: Sequence[Record]) -> RenderableType:
    """The figures of runs, without those that are sealed."""
    seen, _ = keep_sealed(records)
    rows = run_rows(seen, [])
    return as_terminal([*result_tables(rows, Differences()), *recall_tables(rows)])
