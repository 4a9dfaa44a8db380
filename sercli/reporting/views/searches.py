"""The searches that runs of a report are points of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from sercli.errors import SercliError, one_line
from sercli.reporting.table import View
from sercli.results.run_record import Record
from sercli.results.sweep_summary import SweepSummary, read_sweep, read_trials

_COLUMNS = ("number", "state", "run", "overrides", "dev_ua", "seconds", "attempts", "cause")

Sweep = tuple[SweepSummary, pd.DataFrame]
"""What a search left behind: its page and its points."""


def find_sweeps(records: Sequence[Record]) -> tuple[list[Sweep], list[str]]:
    """Read what the searches of these runs left behind.

    Returns:
        Page and points of each, and a line about each that cannot be read.
    """
    sweeps, damaged = [], []
    for folder in dict.fromkeys(record.path.parent for record in records):
        try:
            if (summary := read_sweep(folder)) is not None:
                sweeps.append((summary, _trials(folder)))
        except SercliError as error:
            damaged.append(str(error))
        except (OSError, ValueError, KeyError) as error:
            reason = one_line(error)
            damaged.append(f"{folder / 'trials.parquet'} cannot be read ({reason}); restore it")
    return sweeps, damaged


def with_sweeps(view: View, sweeps: Sequence[Sweep], records: Sequence[Record]) -> View:
    """Add to a view what the searches found."""
    if not sweeps:
        return view
    from sercli.reporting.views.sweep import sweep_tables

    found = [
        table
        for summary, trials in sweeps
        for table in sweep_tables(summary, trials, _of(summary, records))
    ]
    data = {**view.data, "sweeps": [asdict(summary) for summary, _ in sweeps]}
    return View((*view.tables, *found), data)


def _trials(folder: Path) -> pd.DataFrame:
    """Read the points; a table that lacks a column of theirs is none."""
    trials = read_trials(folder)
    trials[list(_COLUMNS)]
    return trials


def _of(summary: SweepSummary, records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.experiment == summary.experiment]
