"""The results of the runs of a report: overall, per class, and compared with published results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sercli.errors import counted
from sercli.reporting.table import (
    CI_NOTE,
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
    with_notes,
)
from sercli.reporting.views.dimensions import dimension_rows, dimension_tables, has_dimensions
from sercli.reporting.views.published import compare_all, published_tables, task_warnings
from sercli.reporting.views.rows import Labels, RunRow, by_task, row_labels, run_rows
from sercli.reporting.views.significance import Differences, differences_tables
from sercli.results.baselines import Baseline
from sercli.results.run_record import Record
from sercli.results.seal import hide_sealed, seal_warning

_COUNTS = {"folds": "fold", "seeds": "seed", "n": "utterance"}
"""Attribute → noun. A column where it differs between the runs, else part of a footnote."""


def results_view(
    rows: Sequence[RunRow],
    published: Sequence[RunRow],
    baselines: Sequence[Baseline],
    differences: Differences,
) -> View:
    """Show runs, their differences, and published results.

    Args:
        rows: The rows of the runs, in order (`sercli.reporting.views.rows.run_rows`).
        published: The rows of published results.
        baselines: The published results.
        differences: Tests of the differences between runs.
    """
    tables = [
        *result_tables(rows, differences),
        *differences_tables(differences),
        *recall_tables(rows),
        *listener_tables(rows),
        *published_tables(rows, published, baselines),
    ]
    comparisons = [*compare_all(rows, baselines), *differences.rows]
    return View(tuple(tables), {"rows": [*rows, *published], "comparisons": comparisons})


def run_view(record: Record) -> View:
    """Show one run: its results, its protocol and its folder. The data are those of run.json."""
    (visible,), _ = hide_sealed([record])
    if has_dimensions(visible):
        of_dimensions = dimension_rows([visible])
        tables = dimension_tables(of_dimensions)
        return View(with_notes(tables, _record_notes(record)), dict(visible.summary), of_dimensions)
    rows = run_rows([visible], [])
    return View(with_notes(_run_tables(rows), _record_notes(record)), dict(visible.summary), rows)


def _record_notes(record: Record) -> list[str]:
    return [record.summary["card"]["paragraph"], f"Record: {record.path}"]


def sweep_view(records: Sequence[Record], notes: Sequence[str], data: dict[str, Any]) -> View:
    """Show the trials of a sweep that has just run, the best on dev first.

    Args:
        records: The runs of the trials.
        notes: Lines about the sweep; without runs, the first is the title.
        data: The JSON document.
    """
    visible, _ = hide_sealed(records)
    rows = run_rows(visible, [])
    if rows:
        return View(with_notes(_run_tables(rows), notes), data, rows)
    title, *others = notes
    return View((Table(title, (), (), tuple(others)),), data, rows)


def result_tables(rows: Sequence[RunRow], differences: Differences) -> list[Table]:
    """Return a table of results for each task."""
    return [_result_table(task, rows, differences) for task in by_task(rows)]


def recall_tables(rows: Sequence[RunRow]) -> list[Table]:
    """Return a table of the recall of every class for each task, where it is known."""
    return [_recall_table(task) for task in by_task(row for row in rows if row.recall)]


def listener_tables(rows: Sequence[RunRow]) -> list[Table]:
    """Return a table of scores against the labels of each rater, per task that has such scores."""
    return [_listener_table(task) for task in by_task(row for row in rows if row.listeners)]


def _run_tables(rows: Sequence[RunRow]) -> list[Table]:
    return [*result_tables(rows, Differences()), *recall_tables(rows), *listener_tables(rows)]


def _result_table(
    task: Sequence[RunRow], rows: Sequence[RunRow], differences: Differences
) -> Table:
    labels = row_labels(task)
    columns: Columns[RunRow] = [
        text_column("system", lambda row: labels.of[row.system]),
        number_column("UA", lambda row: _ua_cell(row, differences)),
        number_column("95 % CI", lambda row: interval_cell(row.ua_ci)),
        number_column("WA", lambda row: percent_cell(row.wa, row.wa_sd)),
        number_column("macro F1", lambda row: percent_cell(row.maf, row.maf_sd)),
        number_column("oracle UA", lambda row: percent_cell(row.ua_oracle)),
        number_column("oracle WA", lambda row: percent_cell(row.wa_oracle)),
        number_column("dev UA", lambda row: percent_cell(row.dev_ua)),
    ]
    columns += [number_column(name, _count_cell(name)) for name in _varying_counts(task)]
    if len({row.experiment for row in rows} - {None}) > 1:  # a fusion has none
        columns.append(text_column("experiment", lambda row: row.experiment))
    sealed = seal_warning(sum(row.sealed for row in task), len(task))
    return make_table(
        f"{task[0].task_title} (%)",
        columns,
        task,
        notes=[labels.note, *_result_notes(task, rows, labels), *differences.notes_on(task)],
        warnings=[*task_warnings(task[0]), sealed],
    )


def _recall_table(task: Sequence[RunRow]) -> Table:
    labels = row_labels(task)
    columns: Columns[RunRow] = [text_column("system", lambda row: labels.of[row.system])]
    columns += [number_column(label, _recall_cell(label)) for label in task[0].card["classes"]]
    title = f"{task[0].task_title}: recall per class (%)"
    notes = _settings_notes(labels)
    return make_table(title, columns, task, notes=notes, warnings=task_warnings(task[0]))


def _listener_table(task: Sequence[RunRow]) -> Table:
    labels = row_labels(task)
    columns: Columns[RunRow] = [
        text_column("system", lambda row: labels.of[row.system]),
        number_column("UA", lambda row: percent_cell(row.listeners["ua"])),
        number_column("WA", lambda row: percent_cell(row.listeners["wa"])),
        number_column("raters", lambda row: number_cell(row.listeners["raters"])),
        number_column("labels", lambda row: number_cell(row.listeners["labels"])),
    ]
    title = f"{task[0].task_title}: against the labels of each rater (%)"
    notes = ["Test, means over raters.", *_settings_notes(labels)]
    return make_table(title, columns, task, notes=notes, warnings=task_warnings(task[0]))


def _settings_notes(labels: Labels) -> list[str]:
    """Return the note on labels; common settings are noted at the table of results."""
    return [] if labels.settings else [labels.note]


def _ua_cell(row: RunRow, differences: Differences) -> Cell:
    if row.sealed:
        return Cell("sealed")
    if row.status == "diverged" and row.ua is None:
        return Cell("diverged")
    return replace(percent_cell(row.ua, row.ua_sd), strong=row.key in differences.best)


def _count_cell(name: str) -> Callable[[RunRow], Cell]:
    return lambda row: number_cell(getattr(row, name))


def _recall_cell(label: str) -> Callable[[RunRow], Cell]:
    return lambda row: percent_cell(row.recall.get(label))


def _varying_counts(task: Sequence[RunRow]) -> list[str]:
    return [name for name in _COUNTS if len({getattr(row, name) for row in task}) > 1]


def _result_notes(task: Sequence[RunRow], rows: Sequence[RunRow], labels: Labels) -> Iterator[str]:
    varying = _varying_counts(task)
    same = [
        counted(getattr(task[0], name), noun)
        for name, noun in _COUNTS.items()
        if name not in varying
    ]
    each = f" Each run: {', '.join(same)}." if same else ""
    yield f"Sorted by dev UA.{each}"
    if any(row.ua_sd is not None for row in task):
        yield "±: standard deviation over seeds."
    if any(row.ua_ci for row in task):
        yield CI_NOTE
    if any(row.ua_oracle is not None for row in task):
        yield "Oracle: at the training step selected on test."
    yield from _split_experiments(task, rows)
    for row in task:
        if row.status == "diverged":
            yield f"{labels.of[row.system]}: {row.reason}."


def _split_experiments(task: Sequence[RunRow], rows: Sequence[RunRow]) -> Iterator[str]:
    """Name the tasks of an experiment where a table shows one of several."""
    for experiment in dict.fromkeys(row.experiment for row in task):
        tasks = by_task(row for row in rows if row.experiment == experiment)
        titles = dict.fromkeys(each[0].task_title for each in tasks)
        if len(tasks) > 1:
            yield (
                f"Experiment {experiment} has runs of several tasks, each in its own table: "
                f"{'; '.join(titles)}."
            )
