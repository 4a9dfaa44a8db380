"""The trials of a sweep before it is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sercli.errors import counted
from sercli.reporting.table import (
    Columns,
    View,
    make_table,
    number_cell,
    number_column,
    text_column,
)


def preview_view(data: Mapping[str, Any]) -> View:
    """Show the trials of a plan, one per row, and the fold runs that are new.

    Args:
        data: The fields of `sercli.search.preview.Preview`.
    """
    listed: Sequence[Mapping[str, Any]] = data["listed"]
    columns: Columns[Mapping[str, Any]] = [
        text_column("trial", lambda row: row["settings"]),
        number_column("fold runs", lambda row: number_cell(row["fold_runs"])),
        text_column("record", lambda row: row["record"] or "new"),
    ]
    trials = counted(data["trials"], "trial")
    title = (
        f"{data['experiment']}: {data['sampler']}, {trials} ({data['new_trials']} new), "
        f"{counted(data['fold_runs'], 'fold run')} ({data['new_fold_runs']} new)"
    )
    notes = ["Dry run: nothing was trained or written."]
    if not listed:
        notes.append("The sampler proposes its trials one by one.")
    return View(
        (make_table(title, columns if listed else [], listed, notes=notes),), dict(data), listed
    )
