"""Errors of runs: by subgroup, by class, by utterance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sercli.analysis.confusions import confused_utterances, confusions
from sercli.analysis.predictions import RunPredictions, read_run_predictions
from sercli.analysis.subgroups import FEWEST_SPEAKERS, subgroups
from sercli.errors import RequestError
from sercli.reporting.names import name_systems
from sercli.reporting.table import (
    Cell,
    Columns,
    Table,
    View,
    interval_cell,
    make_table,
    number_cell,
    number_column,
    percent_cell,
    text_column,
)
from sercli.reporting.views.published import card_warnings
from sercli.results.run_record import Record
from sercli.results.seal import seal_warning, shows_test

UTTERANCES = 20
"""Utterances in the list of the most often misclassified (our choice)."""

_MOST_GROUPS = 30
"""Subgroups of a kind in a table (our choice: CREMA-D has 91 speakers); JSON has all of them."""

_Row = dict[str, Any]


def diagnostics_view(records: Sequence[Record]) -> View:
    """Show where runs err on test, at the step selected on dev.

    Args:
        records: The runs; sealed ones, and those that diverged with every seed, are left out.

    Raises:
        RequestError: No run is left.
        SercliError: Files of a record are missing or damaged.
    """
    runs = _readable(records)
    groups = [_of_run(run, subgroups(run)) for run in runs]
    pairs = [_of_run(run, confusions(run)) for run in runs]
    tables = []
    for run, of_groups, of_pairs in zip(runs, groups, pairs, strict=True):
        tables += [_subgroup_table(run, of_groups), _confusion_table(run, of_pairs)]
    utterances = []
    for part in _by_task(runs):
        rows = [
            {"dataset": part[0].dataset, **row} for row in confused_utterances(part, UTTERANCES)
        ]
        tables.append(_utterance_table(part, rows))
        utterances += rows
    data = {
        "groups": [row for rows in groups for row in rows],
        "confusions": [row for rows in pairs for row in rows],
        "confused": utterances,
    }
    return View(tuple(tables), data)


def _readable(records: Sequence[Record]) -> list[RunPredictions]:
    named = zip(records, [each.name for each in name_systems(records)], strict=True)
    read = [read_run_predictions(record, name) for record, name in named if shows_test(record)]
    runs = [run for run in read if run is not None]
    if not runs:
        sealed = seal_warning(len(records) - len(read), len(records))
        raise RequestError(
            sealed or "these runs diverged with every seed: they have no predictions"
        )
    return runs


def _of_run(run: RunPredictions, rows: Sequence[_Row]) -> list[_Row]:
    """Name the run in each row."""
    names = {"system": run.system, "experiment": run.record.experiment, "run": run.record.key}
    return [{**names, **row} for row in rows]


def _by_task(runs: Sequence[RunPredictions]) -> list[list[RunPredictions]]:
    found: dict[object, list[RunPredictions]] = {}
    for run in runs:
        found.setdefault(run.task, []).append(run)
    return list(found.values())


def _subgroup_table(run: RunPredictions, rows: Sequence[_Row]) -> Table:
    card = run.record.summary["card"]
    classes = len(card["classes"])
    columns: Columns[_Row] = [
        text_column("by", lambda row: row["by"]),
        text_column("subgroup", lambda row: row["group"]),
        number_column("n", lambda row: number_cell(row["n"])),
        number_column("speakers", lambda row: number_cell(row["speakers"])),
        number_column("classes", lambda row: _classes_cell(row["classes"], classes)),
        number_column("UA", lambda row: percent_cell(row["ua"])),
        number_column("95 % CI", lambda row: interval_cell(row["ua_ci"])),
    ]
    notes = [
        "n: test utterances. "
        f"95 % CI: cluster bootstrap, for subgroups with {FEWEST_SPEAKERS} speakers or more.",
        *_cut_notes(rows),
    ]
    if any(row["classes"] < classes for row in rows):
        notes.append(f"With fewer than {classes} classes, UA is the mean recall of those.")
    title = f"{run.system}: UA by subgroup of the test utterances (%)"
    return make_table(
        title, columns, _most_difficult(rows), notes=notes, warnings=card_warnings(card)
    )


def _most_difficult(rows: Sequence[_Row]) -> list[_Row]:
    """Cut kinds with many subgroups to those with the lowest UA."""
    shown = []
    for kind in dict.fromkeys(row["by"] for row in rows):
        of_kind = [row for row in rows if row["by"] == kind]
        if len(of_kind) > _MOST_GROUPS:
            of_kind = sorted(of_kind, key=lambda row: row["ua"])[:_MOST_GROUPS]
        shown += of_kind
    return shown


def _cut_notes(rows: Sequence[_Row]) -> Iterator[str]:
    for kind in dict.fromkeys(row["by"] for row in rows):
        n = sum(row["by"] == kind for row in rows)
        if n > _MOST_GROUPS:
            yield f"By {kind}: the {_MOST_GROUPS} of {n} subgroups with the lowest UA."


def _classes_cell(occurring: int, classes: int) -> Cell:
    return Cell(str(classes) if occurring == classes else f"{occurring} of {classes}", occurring)


def _confusion_table(run: RunPredictions, rows: Sequence[_Row]) -> Table:
    columns: Columns[_Row] = [
        text_column("true class", lambda row: row["truth"]),
        text_column("predicted", lambda row: row["predicted"]),
        number_column("% of the class", lambda row: percent_cell(row["share"])),
        number_column("utterances per seed", lambda row: number_cell(row["n"], ".1f")),
    ]
    title = f"{run.system}: confusions on test, most frequent first"
    return make_table(title, columns, rows, warnings=card_warnings(run.record.summary["card"]))


def _utterance_table(runs: Sequence[RunPredictions], rows: Sequence[_Row]) -> Table:
    columns: Columns[_Row] = [
        text_column("utterance", lambda row: row["utterance"]),
        text_column("true class", lambda row: row["truth"]),
        text_column("most often predicted", lambda row: row["predicted"]),
        number_column("wrong", lambda row: _share_cell(row["wrong"], row["trials"])),
        number_column("p of the true class (%)", lambda row: percent_cell(row["probability"])),
    ]
    if any(_transcript(row) for row in rows):
        columns.append(text_column("transcript", _transcript))
    over = "its seeds" if len(runs) == 1 else f"the seeds of {len(runs)} runs"
    title = f"{runs[0].dataset}: test utterances most often misclassified, over {over}"
    notes = ["Wrong: predictions that are wrong, of all seeds and runs."]
    warnings = card_warnings(runs[0].record.summary["card"])
    return make_table(title, columns, rows, notes=notes, warnings=warnings)


def _transcript(row: _Row) -> str | None:
    text = row["transcript"]
    return text if isinstance(text, str) and text else None


def _share_cell(part: int, whole: int) -> Cell:
    return Cell(f"{part} of {whole}", part / whole)
