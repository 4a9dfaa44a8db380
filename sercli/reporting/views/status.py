"""The state of a sweep that runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from sercli.errors import counted
from sercli.reporting.table import (
    Columns,
    Table,
    View,
    make_table,
    number_cell,
    number_column,
    text_column,
)
from sercli.results.sweep_summary import SweepSummary, settings_of

_ALWAYS_SHOWN = ("waiting", "running", "complete")

_Row = dict[str, Any]


def status_view(
    summary: SweepSummary,
    trials: pd.DataFrame,
    stopped: str | None = None,
    tracebacks: Mapping[str, str] | None = None,
) -> View:
    """Show the state of a sweep: trials by state, running trials, failures, the best so far on dev.

    Args:
        summary: The sweep in short.
        trials: Its trials (`sercli.results.sweep_summary.write_sweep`), with their finished
            ``fold_runs``.
        stopped: Reason to claim no more trials; None while they are claimed.
        tracebacks: Cause of a failure → its traceback.
    """
    running = _in_state(trials, "running")
    failures = _failures(trials, tracebacks or {})
    best = _best(trials)
    tables = [_state_table(summary, trials, stopped)]
    tables += [_running_table(running)] * bool(running)
    tables += [_failure_table(failures)] * bool(failures)
    data = {
        "experiment": summary.experiment,
        "sampler": summary.sampler,
        "states": dict(summary.states),
        "complete": summary.complete,
        "best": None if best is None else {name: best[name] for name in ("overrides", "dev_ua")},
        "running": [
            {name: row[name] for name in ("number", "overrides", "worker", "fold_runs")}
            for row in running
        ],
        "failures": failures,
        "seconds_left": seconds_left(trials),
        "stopped": stopped,
    }
    return View(
        tuple(tables), data, [{"state": state, "n": n} for state, n in summary.states.items()]
    )


def seconds_left(trials: pd.DataFrame) -> float | None:
    """Estimate the time left: the mean time of a trial × trials left / workers at work.

    Returns:
        None where no trial is finished, or no worker is at work.
    """
    mean = trials.loc[trials["seconds"] > 0, "seconds"].mean()
    working = trials.loc[trials["state"] == "running", "worker"].nunique()
    left = trials["state"].isin(["waiting", "running"]).sum()
    return float(mean * left / working) if working and pd.notna(mean) else None


def _state_table(summary: SweepSummary, trials: pd.DataFrame, stopped: str | None) -> Table:
    columns: Columns[tuple[str, int]] = [
        text_column("state", lambda row: row[0]),
        number_column("trials", lambda row: number_cell(row[1])),
    ]
    return make_table(
        f"{summary.experiment}: {summary.sampler}, {counted(len(trials), 'trial')}",
        columns,
        [row for row in summary.states.items() if row[1] or row[0] in _ALWAYS_SHOWN],
        notes=_progress_notes(trials),
        warnings=[f"Stopped: {stopped}."] if stopped else [],
    )


def _progress_notes(trials: pd.DataFrame) -> Iterator[str]:
    best, left = _best(trials), seconds_left(trials)
    if best is not None:
        yield f"Best so far on dev: {100 * best['dev_ua']:.1f} % UA, {settings_of(best)}."
    if left is not None:
        yield f"Time left: about {_time(left)}."


def _running_table(running: Sequence[_Row]) -> Table:
    columns: Columns[_Row] = [
        text_column("worker", lambda row: row["worker"]),
        text_column("running trial", settings_of),
        number_column("finished fold runs", lambda row: number_cell(row["fold_runs"])),
    ]
    return make_table("Running", columns, running, notes=["A fold run: one fold with one seed."])


def _failure_table(failures: Sequence[_Row]) -> Table:
    columns: Columns[_Row] = [
        text_column("cause", lambda row: row["cause"]),
        number_column("trials", lambda row: number_cell(row["trials"])),
    ]
    tracebacks = [row["traceback"].rstrip() for row in failures]
    return make_table("Failures by cause", columns, failures, notes=tracebacks)


def _in_state(trials: pd.DataFrame, state: str) -> list[_Row]:
    rows = trials[trials["state"] == state].to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _best(trials: pd.DataFrame) -> _Row | None:
    complete = _in_state(trials, "complete")
    return max(complete, key=lambda row: row["dev_ua"]) if complete else None


def _failures(trials: pd.DataFrame, tracebacks: Mapping[str, str]) -> list[_Row]:
    """Count the trials that failed, or wait to be retried, by cause."""
    other = trials["state"].isin(["complete", "excluded"])
    causes = trials.loc[~other, "cause"].dropna().astype(str)
    return [
        {"cause": cause, "trials": int(n), "traceback": tracebacks.get(str(cause), "")}
        for cause, n in causes.value_counts().items()
    ]


def _time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
