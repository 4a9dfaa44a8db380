"""Where the learned parameters of activations went from where they started."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd
from rich.console import RenderableType

from sercli.reporting.formats import Columns, TitledTable, as_markdown_tables, as_rich_tables
from sercli.reporting.rows import Row, run_rows
from sercli.results.record import Record

_PREFIX = "activation/"


def parameter_rows(records: Sequence[Record]) -> list[Row]:
    """Tabulate every number that an activation learned, of every run.

    Args:
        records: The runs; one whose activation learns nothing has no rows.

    Returns:
        A row for each run and parameter: its name, by layer and, with ``share=direction``, by
        direction; its ``start``, and ``mean``, ``least`` and ``most`` over folds and seeds at the
        selected step (of a unit without one, at its last). α is the parameter, before its clamp.
    """
    names = {row["runs"][0]: row["system"] for row in run_rows(records, [])}
    return [row for record in records for row in _of_run(record, names[record.key])]


def _of_run(record: Record, system: str) -> Iterator[Row]:
    history = record.history()
    columns = [name for name in history.columns if name.startswith(_PREFIX)]
    steps = {
        (row["seed"], row["fold"]): row["selected_step"]
        for row in record.metrics.get("by_fold", [])
    }
    units = [
        (unit.iloc[0], _at(unit, steps.get((seed, fold))))
        for (seed, fold), unit in history[["seed", "fold", "step", *columns]].groupby(
            ["seed", "fold"]
        )
    ]
    for column in columns:
        start = pd.Series([first[column] for first, _ in units])
        end = pd.Series([last[column] for _, last in units])
        yield {
            "system": system,
            "experiment": record.experiment,
            "run": record.key,
            "parameter": column.removeprefix(_PREFIX).replace(".activations.", "."),
            "start": float(start.mean()),
            "mean": float(end.mean()),
            "least": float(end.min()),
            "most": float(end.max()),
            "units": len(units),
        }


def _at(unit: pd.DataFrame, step: int | None) -> pd.Series[float]:
    """The row of a step, else the last one."""
    chosen = unit[unit["step"] == step]
    return (unit if chosen.empty else chosen).iloc[-1]


_COLUMNS: Columns = {
    "system": lambda row: row["system"],
    "parameter": lambda row: row["parameter"],
    "start": lambda row: f"{row['start']:.4g}",
    "mean": lambda row: f"{row['mean']:.4g}",
    "least": lambda row: f"{row['least']:.4g}",
    "most": lambda row: f"{row['most']:.4g}",
    "units": lambda row: row["units"],
}


def _tables(rows: Sequence[Row]) -> list[TitledTable]:
    return [("Learned parameters at the selected step, over folds and seeds", _COLUMNS, rows)]


FORMS: Mapping[str, Callable[[Sequence[Row]], str | RenderableType]] = {
    "table": lambda rows: as_rich_tables(_tables(rows)),
    "markdown": lambda rows: as_markdown_tables(_tables(rows)),
    "csv": lambda rows: pd.DataFrame(rows).to_csv(index=False),
    "json": lambda rows: json.dumps({"parameters": list(rows)}, indent=2, ensure_ascii=False),
}
"""The forms by the name that the command line gives them."""
