"""Whether what a sweep left behind agrees with the records beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from sercli.errors import SercliError
from sercli.results.run_record import is_record, read_record
from sercli.results.sweep_summary import SweepSummary, read_sweep, read_trials
from sercli.results.verify.files import Fault

TOLERANCE = 1e-9
"""How far dev UA of a point may lie from that of its record (our choice, as for all metrics)."""

_FINISHED = ("complete", "diverged")
"""States of points that have a record."""


def verify_sweep(folder: Path) -> list[Fault]:
    """Hold the page of a sweep to its points, and these to their records.

    Args:
        folder: Folder of the experiment; one without a sweep has no faults.

    Returns:
        Counts that differ, points without their record or with another dev UA, a winner that is
        not there or not the best on dev.
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
            *_points(folder, trials),
            *_winner(folder, summary, trials),
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        found = [("trials.parquet", f"is not a table of points ({error!r})")]
    return [Fault(folder.name, *finding) for finding in found]


def _counts(summary: SweepSummary, trials: pd.DataFrame) -> Iterator[tuple[str, str]]:
    counted = trials["state"].value_counts()
    for state in {**summary.states, **counted}:
        listed, there = summary.states.get(state, 0), counted.get(state, 0)
        if listed != there:
            yield "sweep.json", f"{listed} points are {state}, in trials.parquet {there}"


def _points(folder: Path, trials: pd.DataFrame) -> Iterator[tuple[str, str]]:
    for point in trials[trials["state"].isin(_FINISHED)].itertuples():
        where = f"point {point.number}: run {point.run}"
        try:
            metrics = read_record(folder / str(point.run)).metrics
        except SercliError as error:
            yield "trials.parquet", f"{where} has no record ({error})"
            continue
        dev_ua = metrics.get("dev_ua", float("nan"))
        if point.state == "complete" and not abs(dev_ua - point.dev_ua) <= TOLERANCE:
            yield (
                "trials.parquet",
                f"{where} has dev UA {point.dev_ua:.6f}, its record {dev_ua:.6f}",
            )


def _winner(folder: Path, summary: SweepSummary, trials: pd.DataFrame) -> Iterator[tuple[str, str]]:
    if summary.winner is None:
        return
    if not is_record(folder / summary.winner):
        yield "sweep.json", f"the winner {summary.winner} has no record"
    best = trials.loc[trials["state"] == "complete"].groupby("run")["dev_ua"].max()
    if summary.winner not in best.index or best[summary.winner] < best.max():
        yield "sweep.json", f"the winner {summary.winner} is not the best of its points on dev"
