"""How far a sweep is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sercli.results.sweep_summary import SweepSummary, settings_of


def show_status(
    summary: SweepSummary,
    trials: pd.DataFrame,
    stopped: str | None = None,
    tracebacks: Mapping[str, str] | None = None,
) -> RenderableType:
    """Lay out the state of a sweep: counts, what runs, failures by cause, the best so far on dev.

    Args:
        summary: The sweep in short.
        trials: Its points (`sercli.results.sweep_summary.write_sweep`), with the finished
            ``fold_runs`` of each.
        stopped: Why no more points are claimed, if so.
        tracebacks: Cause → where it happened.
    """
    return Group(*_parts(summary, trials, stopped, tracebacks or {}))


def status_as_json(
    summary: SweepSummary,
    trials: pd.DataFrame,
    stopped: str | None = None,
    tracebacks: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The same as one document."""
    best = _best(trials)
    return {
        "experiment": summary.experiment,
        "sampler": summary.sampler,
        "states": dict(summary.states),
        "complete": summary.complete,
        "best": None if best is None else {name: best[name] for name in ("overrides", "dev_ua")},
        "running": [
            {name: row[name] for name in ("number", "overrides", "worker", "fold_runs")}
            for row in _of_state(trials, "running")
        ],
        "failures": [
            {"cause": cause, "points": n, "traceback": (tracebacks or {}).get(cause, "")}
            for cause, n in _failures(trials).items()
        ],
        "seconds_left": seconds_left(trials),
        "stopped": stopped,
    }


def seconds_left(trials: pd.DataFrame) -> float | None:
    """Estimate how long the rest takes: the mean time of a point, shared by those who work now.

    None where no point is finished, or nobody works.
    """
    mean = trials.loc[trials["seconds"] > 0, "seconds"].mean()
    working = trials.loc[trials["state"] == "running", "worker"].nunique()
    left = trials["state"].isin(["waiting", "running"]).sum()
    return float(mean * left / working) if working and pd.notna(mean) else None


def _parts(
    summary: SweepSummary, trials: pd.DataFrame, stopped: str | None, tracebacks: Mapping[str, str]
) -> Iterator[RenderableType]:
    yield Text.assemble((summary.experiment, "bold"), f": {summary.sampler}, {len(trials)} points")
    counts = Table("state", box=box.SIMPLE)
    counts.add_column("points", justify="right")
    for state, n in summary.states.items():
        if n or state in ("waiting", "running", "complete"):
            counts.add_row(state, str(n))
    yield counts
    yield from _course(trials)
    for cause, n in _failures(trials).items():
        yield Text(f"{n} failed: {cause}", style="red")
        yield Text(tracebacks.get(cause, "").rstrip(), style="dim")
    if stopped:
        yield Text(f"Stopped: {stopped}", style="yellow")


def _course(trials: pd.DataFrame) -> Iterator[Text]:
    """Who is at what, how good the best is, and how long the rest takes."""
    for row in _of_state(trials, "running"):
        yield Text(
            f"{row['worker']}: {settings_of(row)}, {row['fold_runs']} folds × seeds finished"
        )
    best, left = _best(trials), seconds_left(trials)
    if best is not None:
        yield Text(f"Best so far on dev: {100 * best['dev_ua']:.1f} % UA, {settings_of(best)}")
    if left is not None:
        yield Text(f"Time left: about {_time(left)}")


def _of_state(trials: pd.DataFrame, state: str) -> list[dict[str, Any]]:
    rows = trials[trials["state"] == state].to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _best(trials: pd.DataFrame) -> dict[str, Any] | None:
    complete = _of_state(trials, "complete")
    return max(complete, key=lambda row: row["dev_ua"]) if complete else None


def _failures(trials: pd.DataFrame) -> dict[str, int]:
    """Cause → number of points that failed by it, or wait to be tried again."""
    other = trials["state"].isin(["complete", "excluded"])
    causes = trials.loc[~other, "cause"].dropna()
    return {str(cause): int(n) for cause, n in causes.value_counts().items()}


def _time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
