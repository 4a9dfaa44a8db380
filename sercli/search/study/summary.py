"""The summary of a study for reports: its trials as a table, its winner, its Pareto front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from sercli.results.sweep_summary import PARAMETER, STATES, SweepSummary
from sercli.search.study.attributes import StudyAttributes
from sercli.search.study.importance import importance
from sercli.search.study.trial_queue import EXCLUDED, PLANNED, WORKER, TrialRow

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


def summarize(
    name: str, attributes: StudyAttributes, trials: Sequence[TrialRow]
) -> tuple[SweepSummary, pd.DataFrame]:
    """Return the summary and the table of a study's trials.

    Args:
        name: Name of the experiment.
        attributes: The attributes of the study.
        trials: Its trials.

    Returns:
        The summary without an outcome (`with_outcome`), and a table with the columns of
        `sercli.results.sweep_summary.write_sweep`, the number of finished ``fold_runs``, and one
        column per further objective.
    """
    spec = attributes.spec
    causes = {name: cause["text"] for name, cause in attributes.causes().items()}
    table = tabulate(trials, spec.objectives, causes)
    states = table["state"].value_counts()
    summary = SweepSummary(
        experiment=name,
        sampler=spec.sampler,
        objectives=spec.objectives,
        pruner=spec.pruner,
        space={axis.key: axis.text for axis in attributes.space.axes},
        seeds=spec.seeds,
        states={state: int(states.get(state, 0)) for state in STATES},
        comparison=spec.comparison,
        code=spec.code,
    )
    return summary, table


def with_outcome(summary: SweepSummary, trials: pd.DataFrame) -> SweepSummary:
    """Add winner, Pareto front and importances to a summary, once no trial waits or runs.

    Args:
        summary: The summary of a sweep.
        trials: Its trials, as `summarize` returns them.
    """
    if not summary.complete:
        return summary
    complete = trials[trials["state"] == "complete"].sort_values("number")
    if complete.empty:
        return summary
    return replace(
        summary,
        winner=str(complete.iloc[int(complete["dev_ua"].argmax())]["run"]),
        front=_front(complete, summary.objectives) if len(summary.objectives) > 1 else (),
        importance=importance(trials),
    )


def tabulate(
    trials: Sequence[TrialRow], objectives: Sequence[str], causes: Mapping[str, str]
) -> pd.DataFrame:
    """Return one row per trial (see `summarize`).

    Args:
        trials: The trials.
        objectives: UA on dev, and perhaps others, which get a column of their own.
        causes: Name of a cause → its text.
    """
    rows = [_row(trial, objectives, causes) for trial in trials]
    table = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(_COLUMNS))
    for name in table.columns:
        if name.startswith(PARAMETER):
            table[name] = _numbers_or_strings(table[name])
    return table


def _numbers_or_strings(column: pd.Series[Any]) -> pd.Series[Any]:
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if numbers.notna().eq(column.notna()).all() else column.astype("string")


def _row(trial: TrialRow, objectives: Sequence[str], causes: Mapping[str, str]) -> dict[str, Any]:
    attributes, state = trial.attributes, _state(trial)
    planned = attributes.get(PLANNED, {}).get("overrides")
    overrides = planned or [f"{key}={value}" for key, value in trial.parameters.items()]
    cause = attributes.get("cause")
    return {
        "number": trial.number,
        "state": state,
        "run": attributes.get("run"),
        "overrides": " ".join(overrides),
        "dev_ua": trial.values[0] if state == "complete" else math.nan,
        "seconds": attributes.get("seconds", math.nan),
        "worker": attributes.get(WORKER, {}).get("name"),
        "attempts": attributes.get("attempts", 0),
        "fold_runs": attributes.get("fold_runs", 0),
        "cause": attributes.get(EXCLUDED) if cause is None else causes.get(cause),
        **(dict(zip(objectives, trial.values, strict=True)) if state == "complete" else {}),
        **{f"{PARAMETER}{key}": value for key, value in trial.parameters.items()},
    }


def _state(trial: TrialRow) -> str:
    return {
        "WAITING": "waiting",
        "RUNNING": "running",
        "COMPLETE": "diverged" if trial.attributes.get("diverged") else "complete",
        "PRUNED": "pruned",
        "FAIL": EXCLUDED if trial.attributes.get(EXCLUDED) else "failed",
    }[trial.state]


def _front(complete: pd.DataFrame, objectives: Sequence[str]) -> tuple[str, ...]:
    """Return the runs on the Pareto front: no other is as good everywhere and better somewhere."""
    gains = pd.DataFrame(
        {name: complete[name] if name == "dev_ua" else -complete[name] for name in objectives}
    ).to_numpy()
    beaten = [((gains >= row).all(axis=1) & (gains > row).any(axis=1)).any() for row in gains]
    unbeaten = complete[[not each for each in beaten]]
    return tuple(dict.fromkeys(unbeaten["run"].astype(str)))
