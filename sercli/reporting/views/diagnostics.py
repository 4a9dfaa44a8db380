"""Where runs are right and where they are not: by groups of utterances, classes, utterances."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sercli.analysis.confusions import confused_rows, pair_rows
from sercli.analysis.predictions import Predicted, read_predicted
from sercli.analysis.subgroups import SPEAKERS, group_rows
from sercli.errors import RequestError
from sercli.reporting.table import (
    Cell,
    Column,
    Row,
    Table,
    View,
    interval_cell,
    make_table,
    number_cell,
    number_column,
    percent_cell,
    text_column,
)
from sercli.reporting.views.published import task_warnings
from sercli.reporting.views.rows import system_names
from sercli.results.run_record import Record
from sercli.results.seal import seal_warning, shows_test

UTTERANCES = 20
"""Utterances that are listed as confused most often (our choice)."""

_LARGEST = 30
"""Groups of a kind that a table shows (our choice: CREMA-D has 91 speakers); data have all."""

_Laid = tuple[Column, Callable[[Row], Cell]]


def diagnostics_view(records: Sequence[Record]) -> View:
    """Show where runs are right: all figures are of test, under the dev selection.

    Args:
        records: Runs that went through `sercli.results.seal.keep_sealed`; sealed ones, and those
            of which every seed diverged, have no part in it.

    Raises:
        RequestError: No run may be shown.
        SercliError: Files of a record are missing or damaged.
    """
    named = zip(records, system_names(records), strict=True)
    read = [read_predicted(record, name) for record, name in named if shows_test(record)]
    runs = [run for run in read if run is not None]
    if not runs:
        sealed = seal_warning(len(records) - len(read), len(records))
        raise RequestError(sealed or "every seed of these runs diverged: there is nothing to show")
    groups = [_of(run, group_rows(run)) for run in runs]
    pairs = [_of(run, pair_rows(run)) for run in runs]
    tables = [
        table
        for run, group, pair in zip(runs, groups, pairs, strict=True)
        for table in (_group_table(run, group), _pair_table(run, pair))
    ]
    confused = [_of_task(part) for part in _tasks(runs)]
    tables += [_confused_table(*each) for each in confused]
    data = {
        "groups": [row for rows in groups for row in rows],
        "confusions": [row for rows in pairs for row in rows],
        "confused": [row for _, rows in confused for row in rows],
    }
    return View(tuple(tables), data)


def _of(run: Predicted, rows: Sequence[Row]) -> list[Row]:
    """Say of each row which run it is of."""
    whose = {"system": run.system, "experiment": run.record.experiment, "run": run.record.key}
    return [{**whose, **row} for row in rows]


def _tasks(runs: Sequence[Predicted]) -> list[list[Predicted]]:
    found: dict[object, list[Predicted]] = {}
    for run in runs:
        found.setdefault(run.task, []).append(run)
    return list(found.values())


def _of_task(runs: Sequence[Predicted]) -> tuple[Sequence[Predicted], list[Row]]:
    dataset, _ = runs[0].task
    return runs, [{"dataset": dataset, **row} for row in confused_rows(runs, UTTERANCES)]


def _group_table(run: Predicted, rows: Sequence[Row]) -> Table:
    classes = len(run.record.summary["card"]["classes"])
    columns: list[_Laid] = [
        text_column("by", lambda row: row["by"]),
        text_column("group", lambda row: row["group"]),
        number_column("n", lambda row: number_cell(row["n"])),
        number_column("speakers", lambda row: number_cell(row["speakers"])),
        number_column("classes", lambda row: _classes(row, classes)),
        number_column("UA", lambda row: percent_cell(row["ua"])),
        number_column("95 %", lambda row: interval_cell(row["ua_ci"])),
    ]
    notes = [
        f"Intervals resample speakers, of groups with {SPEAKERS} or more.",
        *_shortened(rows),
    ]
    if any(row["classes"] < classes for row in rows):
        notes.append(f"Where fewer than {classes} classes occur, UA is the mean over those.")
    title = f"{run.system}: UA by what is known of the test utterances (per cent)"
    return make_table(title, columns, _shown(rows), notes=notes, warnings=_warnings(run))


def _shown(rows: Sequence[Row]) -> list[Row]:
    """Of a kind with many groups those with the lowest UA, in the order that they had."""
    kinds = {row["by"]: [each for each in rows if each["by"] == row["by"]] for row in rows}
    shown = [
        sorted(groups, key=lambda row: row["ua"])[:_LARGEST] if len(groups) > _LARGEST else groups
        for groups in kinds.values()
    ]
    return [row for groups in shown for row in groups]


def _shortened(rows: Sequence[Row]) -> Iterator[str]:
    for kind in dict.fromkeys(row["by"] for row in rows):
        number_of = sum(row["by"] == kind for row in rows)
        if number_of > _LARGEST:
            yield f"By {kind}: the {_LARGEST} of {number_of} groups with the lowest UA."


def _classes(row: Row, classes: int) -> Cell:
    text = str(classes) if row["classes"] == classes else f"{row['classes']} of {classes}"
    return Cell(text, row["classes"])


def _pair_table(run: Predicted, rows: Sequence[Row]) -> Table:
    columns: list[_Laid] = [
        text_column("truth", lambda row: row["truth"]),
        text_column("taken for", lambda row: row["predicted"]),
        number_column("per cent of the class", lambda row: percent_cell(row["share"])),
        number_column("utterances per seed", lambda row: number_cell(row["n"], ".1f")),
    ]
    title = f"{run.system}: which classes are taken for which"
    return make_table(title, columns, rows, warnings=_warnings(run))


def _confused_table(runs: Sequence[Predicted], rows: Sequence[Row]) -> Table:
    columns: list[_Laid] = [
        text_column("utterance", lambda row: row["utterance"]),
        text_column("truth", lambda row: row["truth"]),
        text_column("usually taken for", lambda row: row["predicted"]),
        number_column("wrong", lambda row: _share(row["wrong"], row["trials"])),
        number_column("probability of the truth", lambda row: percent_cell(row["probability"])),
    ]
    if any(_transcript(row) for row in rows):
        columns.append(text_column("transcript", _transcript))
    over = "its seeds" if len(runs) == 1 else f"the seeds of {len(runs)} runs"
    title = f"{runs[0].task[0]}: utterances confused most often, over {over}"
    return make_table(title, columns, rows, warnings=_warnings(runs[0]))


def _transcript(row: Row) -> str | None:
    text = row["transcript"]
    return text if isinstance(text, str) and text else None


def _share(part: int, whole: int) -> Cell:
    return Cell(f"{part} of {whole}", part / whole)


def _warnings(run: Predicted) -> list[str]:
    card = run.record.summary["card"]
    return task_warnings({"synthetic": card["synthetic"], "card": card})
