"""Consistency of a sweep's summary with its trials and their records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from sercli.errors import SercliError, counted
from sercli.results.run_record import is_record, read_record
from sercli.results.sweep_summary import SweepSummary, read_sweep, read_trials
from sercli.results.verify.files import Fault

TOLERANCE = 1e-9
"""Tolerance of a trial's dev UA against its record (our choice, as for all metrics)."""

_FINISHED = ("complete", "diverged")
"""States of trials that have a record."""


def verify_sweep(folder: Path) -> list[Fault]:
    """Check the summary of a sweep against its trials, and these against their records.

    Args:
        folder: Folder of the experiment; one without a sweep has no faults.

    Returns:
        Counts that differ, trials without a record or with another dev UA, a winner that is
        missing or not the best on dev.
    """
    try:
        summary = read_sweep(folder)
        if summary is None:
            return []
        trials = read_trials(folder)
    except SercliError as error:
        return [Fault(folder.name, "sweep.json", str(error))]
    except Exception as error:  # whatever its reader raises, the table is damaged
        return [Fault(folder.name, "trials.parquet", f"cannot be read ({error!r})")]
    try:
        found = [
            *_counts(summary, trials),
            *_trials(folder, trials),
            *_winner(folder, summary, trials),
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        found = [("trials.parquet", f"is not a table of trials ({error!r})")]
    return [Fault(folder.name, *finding) for finding in found]


def _counts(summary: SweepSummary, trials: pd.DataFrame) -> Iterator[tuple[str, str]]:
    found = trials["state"].value_counts()
    for state in {**summary.states, **found}:
        listed, there = summary.states.get(state, 0), found.get(state, 0)
        if listed != there:
            yield "sweep.json", f"{counted(listed, 'trial')} {state}, in trials.parquet {there}"


def _trials(folder: Path, trials: pd.DataFrame) -> Iterator[tuple[str, str]]:
    for trial in trials[trials["state"].isin(_FINISHED)].itertuples():
        where = f"trial {trial.number}: run {trial.run}"
        try:
            metrics = read_record(folder / str(trial.run)).metrics
        except SercliError as error:
            yield "trials.parquet", f"{where} has no record ({error})"
            continue
        dev_ua = metrics.get("dev_ua", float("nan"))
        if trial.state == "complete" and not abs(dev_ua - trial.dev_ua) <= TOLERANCE:
            yield (
                "trials.parquet",
                f"{where} has dev UA {trial.dev_ua:.6f}, its record {dev_ua:.6f}",
            )


def _winner(folder: Path, summary: SweepSummary, trials: pd.DataFrame) -> Iterator[tuple[str, str]]:
    if summary.winner is None:
        return
    if not is_record(folder / summary.winner):
        yield "sweep.json", f"the winner {summary.winner} has no record"
    best = trials.loc[trials["state"] == "complete"].groupby("run")["dev_ua"].max()
    if summary.winner not in best.index or best[summary.winner] < best.max():
        yield "sweep.json", f"the winner {summary.winner} is not the best of its trials on dev"
