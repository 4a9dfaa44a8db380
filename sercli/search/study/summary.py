"""The points of a study as a table, in the form that a report reads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sercli.results.sweep_summary import PARAMETER
from sercli.search.study.trial_queue import EXCLUDED, POINT, WORKER, TrialRow

_COLUMNS = (
    "number",
    "state",
    "run",
    "overrides",
    "dev_ua",
    "seconds",
    "worker",
    "attempts",
    "fold_runs",
    "cause",
)


def tabulate(
    trials: Sequence[TrialRow], objectives: Sequence[str], causes: Mapping[str, str]
) -> pd.DataFrame:
    """Tabulate the points of a study.

    Args:
        trials: The points.
        objectives: The first is UA on dev; every other one has a column of its own.
        causes: Name of a cause → its words.

    Returns:
        The columns of `sercli.results.sweep_summary.write_sweep`, and ``fold_runs``: finished
        folds × seeds of a point.
    """
    rows = [_row(trial, objectives, causes) for trial in trials]
    table = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(_COLUMNS))
    for name in table.columns:
        if name.startswith(PARAMETER):
            table[name] = _typed(table[name])
    return table


def _typed(column: pd.Series[Any]) -> pd.Series[Any]:
    """Numbers, where all values are some; else words."""
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if numbers.notna().eq(column.notna()).all() else column.astype("string")


def _row(trial: TrialRow, objectives: Sequence[str], causes: Mapping[str, str]) -> dict[str, Any]:
    about, state = trial.attributes, _state(trial)
    point = about.get(POINT, {}).get("overrides")
    words = point or [f"{key}={value}" for key, value in trial.parameters.items()]
    return {
        "number": trial.number,
        "state": state,
        "run": about.get("run"),
        "overrides": " ".join(words),
        "dev_ua": trial.values[0] if state == "complete" else math.nan,
        "seconds": about.get("seconds", math.nan),
        "worker": about.get(WORKER, {}).get("name"),
        "attempts": about.get("attempts", 0),
        "fold_runs": about.get("fold_runs", 0),
        "cause": causes.get(about["cause"]) if "cause" in about else about.get(EXCLUDED),
        **(dict(zip(objectives, trial.values, strict=True)) if state == "complete" else {}),
        **{f"{PARAMETER}{key}": value for key, value in trial.parameters.items()},
    }


def _state(trial: TrialRow) -> str:
    about = trial.attributes
    return {
        "WAITING": "waiting",
        "RUNNING": "running",
        "COMPLETE": "diverged" if about.get("diverged") else "complete",
        "PRUNED": "pruned",
        "FAIL": EXCLUDED if about.get(EXCLUDED) else "failed",
    }[trial.state]
