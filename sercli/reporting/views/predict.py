"""Predictions of a trained model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sercli.errors import counted
from sercli.inference.model import Predictions
from sercli.reporting.table import (
    Cell,
    Columns,
    View,
    make_table,
    number_cell,
    number_column,
    percent_cell,
    text_column,
)

Row = dict[str, Any]


def predictions_view(found: Predictions, model: str) -> View:
    """Show predictions in per cent; JSON and CSV have fractions and attention weights.

    Args:
        found: The predictions.
        model: Name of the model, for the title.
    """
    rows = [_row(found, row) for row in found.table.to_dict("records")]
    data = {
        "model": model,
        "networks": found.networks,
        "normalisation": found.normalisation,
        "no_test_figure": found.no_test_figure or None,
        "classes": list(found.classes),
        "step_seconds": found.step_seconds,
        "predictions": rows,
        "refused": [{"file": each.file, "reason": each.reason} for each in found.refused],
    }
    several = f", mean of {found.networks} networks" if found.networks > 1 else ""
    table = make_table(
        f"Probabilities by {model}{several} (%)",
        _columns(found, rows),
        rows,
        notes=[
            f"Normalisation: {found.normalisation}.",
            f"No test figure: {found.no_test_figure}." if found.no_test_figure else "",
            "Attention: the time of the largest weight." if _has(rows, "attention") else "",
            f"{counted(len(found.refused), 'recording')} refused." if found.refused else "",
        ],
    )
    return View((table,), data, rows)


def _row(found: Predictions, row: dict[Any, Any]) -> Row:
    probabilities = {name: float(row[f"p_{name}"]) for name in found.classes}
    known = {key: row[key] for key in ("utterance", "file", "start", "end", "predicted")}
    weights = {"attention": row["attention"]} if "attention" in row else {}
    return {**known, "p": probabilities, **weights}


def _columns(found: Predictions, rows: Sequence[Row]) -> Columns[Row]:
    columns: Columns[Row] = [
        text_column("utterance", lambda row: row["utterance"]),
        number_column("seconds", lambda row: number_cell(row["end"] - row["start"], ".1f")),
        text_column("predicted", lambda row: row["predicted"]),
    ]
    columns += [number_column(name, _probability(name)) for name in found.classes]
    if _has(rows, "attention"):
        columns.append(number_column("attention s", _peak(found.step_seconds)))
    return columns


def _has(rows: Sequence[Row], key: str) -> bool:
    return any(key in row for row in rows)


def _probability(name: str) -> Callable[[Row], Cell]:
    return lambda row: percent_cell(row["p"][name])


def _peak(step: float) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        weights = row["attention"]
        return number_cell(row["start"] + step * (weights.index(max(weights)) + 0.5), ".2f")

    return cell
