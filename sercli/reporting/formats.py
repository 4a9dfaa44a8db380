"""The forms of a report: a table for the terminal, Markdown, CSV and JSON.

UA and WA are percentages in tables and Markdown, fractions in CSV and JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sercli.reporting.rows import Row

Columns = dict[str, Callable[[Row], Any]]
"""Heading → what stands below it in a row."""

TitledTable = tuple[str, Columns, Sequence[Row]]

SYNTHETIC = "SYNTHETIC speech: these numbers say nothing about people."
TEST_SELECTED = "TEST-SELECTED: the training step was chosen on the test side."


def as_json(rows: Sequence[Row], compared: Sequence[Row]) -> str:
    """One JSON document."""
    return json.dumps(
        {"rows": list(rows), "comparisons": list(compared)}, indent=2, ensure_ascii=False
    )


def as_csv(rows: Sequence[Row], compared: Sequence[Row]) -> str:
    """One line per row, fractions; differences are left to the reader's spreadsheet."""
    table = pd.DataFrame([{k: v for k, v in row.items() if k != "card"} for row in rows])
    table["runs"] = table["runs"].map(" ".join)
    table = table.astype(dict.fromkeys(("seeds", "folds", "n"), "Int64"))
    for name in ("ua_ci", "wa_ci"):
        table[f"{name}_low"], table[f"{name}_high"] = zip(
            *(interval or (None, None) for interval in table[name]), strict=True
        )
    return table.drop(columns=["ua_ci", "wa_ci"]).to_csv(index=False)


def as_markdown(rows: Sequence[Row], compared: Sequence[Row]) -> str:
    """Markdown tables: runs, published results, differences."""
    return as_markdown_tables(_tables(rows, compared))


def as_markdown_tables(tables: Sequence[TitledTable]) -> str:
    """Any titled tables in Markdown."""
    parts = []
    for title, columns, part in tables:
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
    return as_rich_tables(_tables(rows, compared))


def as_rich_tables(tables: Sequence[TitledTable]) -> RenderableType:
    """Any titled tables for a terminal."""
    return Group(*(part for table in tables for part in _rich_parts(*table)))


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

_BESIDE: Columns = {
    "published": lambda row: row["published_as"],
    "run": lambda row: row["system"],
    "UA": lambda row: _percent(row["ua"]),
    "WA": lambda row: _percent(row["wa"]),
    "published UA": lambda row: _percent(row["published_ua"]),
    "published WA": lambda row: _percent(row["published_wa"]),
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
    """Titles, columns and rows of the tables: runs of different tasks stand apart."""
    tables: list[TitledTable] = []
    runs = [row for row in rows if row["source"] == "run"]
    for task in dict.fromkeys(_task(row) for row in runs):
        part = [row for row in runs if _task(row) == task]
        dataset, protocol, _ = task
        title = f"{dataset}, {protocol}, {len(part[0]['card']['classes'])} classes (per cent)"
        title += "".join(f" – {warning}" for warning in _warnings(part[0]))
        columns = dict(_RUNS)
        if len({row["experiment"] for row in runs}) > 1:
            columns["experiment"] = lambda row: row["experiment"]
        if any(row["status"] == "diverged" for row in part):
            columns["note"] = lambda row: row["reason"] if row["status"] == "diverged" else ""
        tables.append((title, columns, part))
    published = [row for row in rows if row["source"] == "published"]
    tables += _beside_table(runs, published)
    if published:
        tables.append(_published_table(published))
    if compared:
        tables.append(("Runs minus published results (points)", _COMPARED, compared))
    return tables


def _warnings(row: Row) -> list[str]:
    """What must be said of all runs of a task."""
    warnings = [SYNTHETIC] if row["synthetic"] else []
    if row["card"].get("selected_on") == "test":
        warnings.append(TEST_SELECTED)
    return warnings


def _beside_table(runs: Sequence[Row], published: Sequence[Row]) -> list[TitledTable]:
    """Runs beside the published results that they stand for, in the order of these."""
    order = [row["system"] for row in published]
    standing = [row for row in runs if row["published_as"] in order]
    if not standing:
        return []
    title = "Runs beside the published results that they stand for (per cent)"
    pairs = {(row["dataset"], row["published_on"]) for row in standing}
    others = sorted({there for here, there in pairs if here != there})
    if others:
        title += f" – ANOTHER CORPUS: the published figures are of {', '.join(others)}"
    return [(title, _BESIDE, sorted(standing, key=lambda row: order.index(row["published_as"])))]


def _published_table(rows: Sequence[Row]) -> TitledTable:
    """Published results; a reason that none of them compares stands once, in the title."""
    title = "Published results (per cent)"
    reasons = {row["reason"] for row in rows}
    if any(row["comparable"] for row in rows) or len(reasons) > 1:
        return title, _PUBLISHED, rows
    figures = {name: _PUBLISHED[name] for name in ("system", "UA", "WA", "oracle UA", "oracle WA")}
    return f"{title}, not comparable: {reasons.pop()}", figures, rows


def _task(row: Row) -> tuple[str, str, frozenset[tuple[str, str]]]:
    """Corpus, protocol and class mapping: only within one task may numbers stand in a column."""
    return row["dataset"], row["protocol"], frozenset(row["card"]["mapping"].items())


def _rich_parts(title: str, columns: Columns, rows: Sequence[Row]) -> Iterator[RenderableType]:
    """A title, a table that fits 80 columns, and its notes below it, where there is room."""
    yield Text(title, style="bold")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown = {name: fill for name, fill in columns.items() if name != "note"}
    for name in shown:
        words = name in (
            "system",
            "because",
            "minus",
            "experiment",
            "published",
            "run",
            "parameter",
        )
        heading = name if words else name.replace("95 %", "95\u00a0%").replace(" ", "\n")
        table.add_column(heading, justify="left" if words else "right", no_wrap=not words)
    for row in rows:
        table.add_row(*(escape(_cell(fill(row))) for fill in shown.values()))
    yield table
    for row in rows:
        if "note" in columns and (note := columns["note"](row)):
            yield Text(f"{row['system']}: {note}")


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
