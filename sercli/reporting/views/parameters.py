"""Where the learned parameters of activations went from where they started."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from sercli.errors import RequestError
from sercli.reporting.table import Row, View, make_table, number_cell, number_column, text_column
from sercli.reporting.views.rows import system_names
from sercli.results.run_record import Record

_PREFIX = "activation/"


def parameters_view(records: Sequence[Record]) -> View:
    """Show where what activations learned went from where it started.

    Raises:
        RequestError: No run has an activation that learns.
    """
    rows = parameter_rows(records)
    if not rows:
        raise RequestError(
            "no activation of these runs learns anything; one that does is activation=arelu"
        )
    table = make_table(
        "Learned parameters at the selected step, over folds and seeds",
        [
            text_column("system", lambda row: row["system"]),
            text_column("parameter", lambda row: row["parameter"]),
            number_column("start", lambda row: number_cell(row["start"], ".4g")),
            number_column("mean", lambda row: number_cell(row["mean"], ".4g")),
            number_column("least", lambda row: number_cell(row["least"], ".4g")),
            number_column("most", lambda row: number_cell(row["most"], ".4g")),
            number_column("fold runs", lambda row: number_cell(row["fold_runs"])),
        ],
        rows,
    )
    return View((table,), {"parameters": rows})


def parameter_rows(records: Sequence[Record]) -> list[Row]:
    """Tabulate every number that an activation learned, of every run.

    Args:
        records: The runs; one whose activation learns nothing has no rows.

    Returns:
        A row for each run and parameter: its name, by layer and, with ``share=direction``, by
        direction; its ``start``, and ``mean``, ``least`` and ``most`` over folds and seeds at the
        selected step (of a unit without one, at its last). α is the parameter, before its clamp.
    """
    names = system_names(records)
    return [
        row for record, name in zip(records, names, strict=True) for row in _of_run(record, name)
    ]


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
            "fold_runs": len(units),
        }


def _at(unit: pd.DataFrame, step: int | None) -> pd.Series[float]:
    """The row of a step, else the last one."""
    chosen = unit[unit["step"] == step]
    return (unit if chosen.empty else chosen).iloc[-1]
