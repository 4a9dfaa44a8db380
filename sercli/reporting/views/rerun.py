"""A run compared with its rerun."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sercli.progress import SILENT, Progress
from sercli.reporting.table import (
    Cell,
    Columns,
    View,
    ccc_cell,
    make_table,
    number_cell,
    number_column,
    percent_cell,
    text_column,
)
from sercli.reporting.views.config import differences_table
from sercli.results.agreement import TOLERANCE, Rerun
from sercli.results.find import find_run
from sercli.results.seal import hide_sealed, shows_test

_MOST_REASONS = 5
"""Reasons in the notes (our choice); JSON has all of them."""

_Row = dict[Any, Any]


_OF_CLASSES = (("dev_ua", "dev UA"), ("ua", "UA"), ("wa", "WA"))
_OF_DIMENSIONS = (("dev_ccc", "dev CCC"), ("ccc", "CCC"))


def repeat_run(
    run: str,
    overrides: Sequence[str],
    runs: Path,
    *,
    workers: int | None = None,
    progress: Progress = SILENT,
) -> tuple[View, bool]:
    """Repeat a run from its record and compare the results.

    Args:
        run: Key or folder of the run.
        overrides: Settings that cannot change a result, such as ``device=cpu``.
        runs: The folder of the experiments.
        workers: Processes; None: one per core.
        progress: Progress bars and notes.

    Returns:
        The comparison, and True if the two agree.

    Raises:
        RequestError: The run is unknown, or an override can change its result.
        SercliError: The record is damaged.
    """
    from sercli.training.rerun import rerun

    record = find_run(run, runs)
    (visible,), _ = hide_sealed([record])
    made = rerun(record, overrides, workers=workers, progress=progress)
    return rerun_view(made, shows_test=shows_test(visible)), made.agrees


def rerun_view(made: Rerun, *, shows_test: bool = True) -> View:
    """Show how far a rerun agrees, fold run by fold run, and what changed in the environment.

    Args:
        made: The run and its rerun.
        shows_test: Show test results; False for a sealed run.
    """
    columns: Columns[_Row] = [
        text_column("fold", lambda row: str(row["fold"])),
        number_column("seed", lambda row: number_cell(row["seed"])),
        *_both("selected_step", "step", lambda step: number_cell(step, ".0f")),
    ]
    of_dimensions = "ccc" in made.fold_runs
    cell = ccc_cell if of_dimensions else percent_cell
    for metric, heading in _OF_DIMENSIONS if of_dimensions else _OF_CLASSES:
        if shows_test or metric.startswith("dev_"):
            columns += _both(metric, heading, cell)
    columns += [
        number_column("equal", lambda row: percent_cell(_known(row["same"]))),
        number_column("max |Δp|", lambda row: number_cell(_known(row["max_difference"]), ".2g")),
    ]
    rows = made.fold_runs.to_dict("records")
    title = f"{made.record.experiment}/{made.record.key} and its rerun: {verdict(made)}"
    tables = [make_table(title, columns, rows, notes=_notes(made))]
    if made.changed:
        title = "Differences of settings and environment"
        tables.append(differences_table(title, made.changed, "record", "rerun"))
    return View(tuple(tables), made.to_json(shows_test=shows_test))


def verdict(made: Rerun) -> str:
    """Return in a few words how far the two agree."""
    if not made.agrees:
        return "THEY DO NOT AGREE"
    if made.exact:
        return "they agree to the last digit"
    if "ccc" in made.fold_runs:
        return f"they agree within {TOLERANCE:g}"
    return f"they agree within {100 * TOLERANCE:g} percentage point"


def _both(name: str, heading: str, cell: Callable[[float | None], Cell]) -> Columns[_Row]:
    """Return the columns of the record and of the rerun."""
    return [
        number_column(heading, lambda row: cell(_known(row[name]))),
        number_column(f"{heading} rerun", lambda row: cell(_known(row[f"{name}_again"]))),
    ]


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _notes(made: Rerun) -> Iterator[str]:
    yield from (f"{reason}." for reason in made.reasons[:_MOST_REASONS])
    if len(made.reasons) > _MOST_REASONS:
        yield f"And {len(made.reasons) - _MOST_REASONS} more."
    yield "equal: share of equal test predictions (%)."
    if "ccc" in made.fold_runs:
        of, what, by = "predictions", "CCC", f"{TOLERANCE:g}"
    else:
        of, what, by = "probabilities", "UA and WA", f"{100 * TOLERANCE:g} percentage points"
    yield f"max |Δp|: largest difference between two {of}."
    if not made.exact:
        yield (
            f"Rounding may differ here, and training amplifies it: {what} of the whole run, on "
            f"dev and test, may differ by {by}."
        )
    yield f"Rerun: {made.again.path}"
