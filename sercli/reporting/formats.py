"""The forms of a report: a table for the terminal, Markdown, CSV and JSON.

UA and WA are percentages in tables and Markdown, fractions in CSV and JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from sercli.reporting.rows import Row

SYNTHETIC = "SYNTHETIC speech: these numbers say nothing about people."


def as_json(rows: Sequence[Row], compared: Sequence[Row]) -> str:
    """One JSON document."""
    return json.dumps({"rows": list(rows), "comparisons": list(compared)}, indent=2)


def as_csv(rows: Sequence[Row], compared: Sequence[Row]) -> str:
    """One line per row, fractions; differences are left to the reader's spreadsheet."""
    table = pd.DataFrame([{k: v for k, v in row.items() if k != "card"} for row in rows])
    table["runs"] = table["runs"].map(" ".join)
    for name in ("ua_ci", "wa_ci"):
        table[f"{name}_low"], table[f"{name}_high"] = zip(
            *(interval or (None, None) for interval in table[name]), strict=True
        )
    return table.drop(columns=["ua_ci", "wa_ci"]).to_csv(index=False)


def as_markdown(rows: Sequence[Row], compared: Sequence[Row]) -> str:
    """Markdown tables: runs, published results, differences."""
    parts = []
    for title, columns, part in _tables(rows, compared):
        lines = [
            f"**{title}**",
            "",
            _markdown_line(columns),
            _markdown_line(["---"] * len(columns)),
            *(_markdown_line([_cell(fill(row)) for fill in columns.values()]) for row in part),
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def as_table(rows: Sequence[Row], compared: Sequence[Row]) -> RenderableType:
    """Tables for a terminal."""
    return Group(*(_rich_table(*table) for table in _tables(rows, compared)))


Columns = dict[str, Callable[[Row], Any]]
TitledTable = tuple[str, Columns, Sequence[Row]]

_RUNS: Columns = {
    "system": lambda row: row["system"],
    "UA": lambda row: _percent(row["ua"]),
    "95 %": lambda row: _interval(row["ua_ci"]),
    "WA": lambda row: _percent(row["wa"]),
    "oracle UA": lambda row: _percent(row["ua_oracle"]),
    "oracle WA": lambda row: _percent(row["wa_oracle"]),
    "dev UA": lambda row: _percent(row["dev_ua"]),
    "folds": lambda row: row["folds"],
    "seeds": lambda row: row["seeds"],
    "n": lambda row: row["n"],
}

_PUBLISHED: Columns = {
    "system": lambda row: row["system"],
    "UA": lambda row: _percent(row["ua"]),
    "WA": lambda row: _percent(row["wa"]),
    "oracle UA": lambda row: _percent(row["ua_oracle"]),
    "oracle WA": lambda row: _percent(row["wa_oracle"]),
    "comparable": lambda row: "yes" if row["comparable"] else "no",
    "because": lambda row: row["reason"] or "",
}

_COMPARED: Columns = {
    "system": lambda row: row["system"],
    "minus": lambda row: row["published"],
    "Δ UA": lambda row: _signed(row["delta_ua"]),
    "Δ WA": lambda row: _signed(row["delta_wa"]),
    "selected on": lambda row: "test (oracle)" if row["selection"] == "oracle" else "dev",
    "note": lambda row: row["caution"],
}


def _tables(rows: Sequence[Row], compared: Sequence[Row]) -> list[TitledTable]:
    """Titles, columns and rows of the tables: runs of different protocols stand apart."""
    tables: list[TitledTable] = []
    runs = [row for row in rows if row["source"] == "run"]
    for dataset, protocol in dict.fromkeys((row["dataset"], row["protocol"]) for row in runs):
        part = [r for r in runs if (r["dataset"], r["protocol"]) == (dataset, protocol)]
        title = f"{dataset}, {protocol}, {len(part[0]['card']['classes'])} classes (per cent)"
        if part[0]["synthetic"]:
            title += f" – {SYNTHETIC}"
        columns = dict(_RUNS)
        if len({row["experiment"] for row in runs}) > 1:
            columns["experiment"] = lambda row: row["experiment"]
        if any(row["status"] == "diverged" for row in part):
            columns["note"] = lambda row: row["reason"] if row["status"] == "diverged" else ""
        tables.append((title, columns, part))
    published = [row for row in rows if row["source"] == "published"]
    if published:
        tables.append(("Published results (per cent)", _PUBLISHED, published))
    if compared:
        tables.append(("Runs minus published results (points)", _COMPARED, compared))
    return tables


def _rich_table(title: str, columns: Columns, rows: Sequence[Row]) -> Table:
    table = Table(title=escape(title), title_justify="left", title_style="bold")
    for name in columns:
        words = name in ("system", "because", "note", "minus", "experiment")
        table.add_column(name, justify="left" if words else "right", no_wrap=not words)
    for row in rows:
        table.add_row(*(escape(_cell(fill(row))) for fill in columns.values()))
    return table


def _markdown_line(cells: Sequence[str] | Columns) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _cell(value: Any) -> str:
    return "–" if value is None else str(value)


def _percent(fraction: float | None) -> str | None:
    return None if fraction is None else f"{100 * fraction:.1f}"


def _signed(fraction: float) -> str:
    return f"{100 * fraction:+.1f}"


def _interval(interval: Sequence[float] | None) -> str | None:
    return None if interval is None else "–".join(f"{100 * bound:.1f}" for bound in interval)


FORMS: dict[str, Callable[[Sequence[Row], Sequence[Row]], str | RenderableType]] = {
    "table": as_table,
    "markdown": as_markdown,
    "csv": as_csv,
    "json": as_json,
}
"""The forms by the name that the command line gives them."""
