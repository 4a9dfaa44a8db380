"""The learned parameters of activations: initial values, and values at the selected step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from sercli.errors import RequestError
from sercli.reporting.names import name_systems
from sercli.reporting.table import View, make_table, number_cell, number_column, text_column
from sercli.results.run_record import Record

_PREFIX = "activation/"


def parameters_view(records: Sequence[Record]) -> View:
    """Show the learned parameters of every run.

    Raises:
        RequestError: No run has an activation that learns.
    """
    rows = parameter_rows(records)
    if not rows:
        raise RequestError(
            "no activation of these runs has learned parameters; activation=arelu has"
        )
    table = make_table(
        "Learned parameters of activations",
        [
            text_column("system", lambda row: row["system"]),
            text_column("parameter", lambda row: row["parameter"]),
            number_column("initial", lambda row: number_cell(row["initial"], ".4g")),
            number_column("mean", lambda row: number_cell(row["mean"], ".4g")),
            number_column("min", lambda row: number_cell(row["min"], ".4g")),
            number_column("max", lambda row: number_cell(row["max"], ".4g")),
            number_column("fold runs", lambda row: number_cell(row["fold_runs"])),
        ],
        rows,
        notes=[
            "Mean, min and max: over folds and seeds, at the selected step; α before its clamp."
        ],
    )
    return View((table,), {"parameters": rows})


def parameter_rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Tabulate every learned parameter of every run.

    Args:
        records: The runs; one whose activation learns nothing has no rows.

    Returns:
        A row for each run and parameter: its name, by layer and, with ``share=direction``, by
        direction; its ``initial`` value, and ``mean``, ``min`` and ``max`` over the fold runs, at
        the selected step (of one without, at its last). α is the parameter, before its clamp.
    """
    names = [each.name for each in name_systems(records)]
    return [
        row
        for record, name in zip(records, names, strict=True)
        for row in _rows_of_run(record, name)
    ]


def _rows_of_run(record: Record, system: str) -> Iterator[dict[str, Any]]:
    history = record.history()
    columns = [name for name in history.columns if name.startswith(_PREFIX)]
    steps = {
        (row["seed"], row["fold"]): row["selected_step"]
        for row in record.metrics.get("by_fold", [])
    }
    by_fold = history[["seed", "fold", "step", *columns]].groupby(["seed", "fold"])
    ends = [
        (part.iloc[0], _row_at(part, steps.get((seed, fold)))) for (seed, fold), part in by_fold
    ]
    for column in columns:
        initial = pd.Series([first[column] for first, _ in ends])
        final = pd.Series([last[column] for _, last in ends])
        yield {
            "system": system,
            "experiment": record.experiment,
            "run": record.key,
            "parameter": column.removeprefix(_PREFIX).replace(".activations.", "."),
            "initial": float(initial.mean()),
            "mean": float(final.mean()),
            "min": float(final.min()),
            "max": float(final.max()),
            "fold_runs": len(ends),
        }


def _row_at(history: pd.DataFrame, step: int | None) -> pd.Series[float]:
    """Return the row of a step, else the last one."""
    chosen = history[history["step"] == step]
    return (history if chosen.empty else chosen).iloc[-1]
