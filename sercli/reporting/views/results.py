"""The report itself: what every run gave, per class as well, and beside published results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from sercli.analysis.comparability import why_incomparable
from sercli.reporting.table import (
    Cell,
    Layout,
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
from sercli.reporting.views.published import (
    compare_with,
    comparisons,
    matching_runs,
    published_table,
    task_warnings,
)
from sercli.reporting.views.rows import task_title, tasks
from sercli.reporting.views.significance import Differences, differences_tables
from sercli.results.baselines import Baseline
from sercli.results.seal import seal_warning

_FACTS = {"folds": "fold", "seeds": "seed", "n": "utterance"}
"""What is a column where it differs between runs, and else a note: key → one of it."""


def overview(
    rows: Sequence[Row],
    published: Sequence[Row],
    baselines: Sequence[Baseline],
    differences: Differences,
) -> View:
    """Show runs, their differences, and published results.

    Args:
        rows: Those of runs, as they shall stand (`sercli.reporting.views.rows.run_rows`).
        published: Those of published results; none where only runs are of interest.
        baselines: The published results.
        differences: What tests say of the runs.
    """
    tables = [
        *result_tables(rows, differences),
        *differences_tables(differences),
        *recall_tables(rows),
        *published_tables(rows, published, baselines),
    ]
    compared = [*comparisons(rows, baselines), *differences.rows]
    return View(tuple(tables), {"rows": [*rows, *published], "comparisons": compared})


def result_tables(rows: Sequence[Row], differences: Differences) -> list[Table]:
    """Lay out what the runs of each task gave."""
    return [_result_table(task, rows, differences) for task in tasks(rows)]


def recall_tables(rows: Sequence[Row]) -> list[Table]:
    """Lay out the recall of every class, where it is known."""
    return [_recall_table(task) for task in tasks(row for row in rows if row["recall"])]


def published_tables(
    rows: Sequence[Row], published: Sequence[Row], baselines: Sequence[Baseline]
) -> list[Table]:
    """Lay out runs beside what they stand for, the best on dev beside all, and published results.

    Args:
        rows: Those of runs.
        published: Those of published results; none where only runs are of interest.
        baselines: The published results.
    """
    pairs = matching_runs(rows, baselines)
    beside = [published_table("Runs beside what they stand for", pairs)] if pairs else []
    return [
        *beside,
        *_best_beside(rows, baselines),
        *([_published_table(published)] if published else []),
    ]


def _result_table(task: Sequence[Row], rows: Sequence[Row], differences: Differences) -> Table:
    columns: Layout = [
        text_column("system", lambda row: row["system"]),
        number_column("UA", lambda row: _ua(row, differences)),
        number_column("95 %", lambda row: interval_cell(row["ua_ci"])),
        number_column("WA", lambda row: percent_cell(row["wa"], row["wa_sd"])),
        number_column("macro F1", lambda row: percent_cell(row["maf"], row["maf_sd"])),
        number_column("oracle UA", lambda row: percent_cell(row["ua_oracle"])),
        number_column("oracle WA", lambda row: percent_cell(row["wa_oracle"])),
        number_column("dev UA", lambda row: percent_cell(row["dev_ua"])),
    ]
    columns += [number_column(key, _fact(key)) for key in _varying(task)]
    if len({row["experiment"] for row in rows}) > 1:
        columns.append(text_column("experiment", lambda row: row["experiment"]))
    return make_table(
        f"{task_title(task[0])} (per cent)",
        columns,
        task,
        notes=[*_notes(task, rows), *differences.notes_on(task)],
        warnings=[*task_warnings(task[0]), _seal(task)],
    )


def _recall_table(task: Sequence[Row]) -> Table:
    columns: Layout = [text_column("system", lambda row: row["system"])]
    columns += [number_column(label, _recall(label)) for label in task[0]["card"]["classes"]]
    title = f"{task_title(task[0])}: recall of every class (per cent)"
    return make_table(title, columns, task, warnings=task_warnings(task[0]))


def _ua(row: Row, differences: Differences) -> Cell:
    if row["sealed"]:
        return Cell("sealed")
    strong = row["runs"][0] in differences.best
    return replace(percent_cell(row["ua"], row["ua_sd"]), strong=strong)


def _fact(key: str) -> Callable[[Row], Cell]:
    return lambda row: number_cell(row[key])


def _recall(label: str) -> Callable[[Row], Cell]:
    return lambda row: percent_cell(row["recall"].get(label))


def _notes(task: Sequence[Row], rows: Sequence[Row]) -> Iterator[str]:
    alike = [
        f"{task[0][key]} {one}{'s' * (task[0][key] != 1)}"
        for key, one in _FACTS.items()
        if key not in _varying(task)
    ]
    together = f"; each with {', '.join(alike)}" if alike else ""
    yield f"The best on dev first{together}."
    if any(row["ua_sd"] is not None for row in task):
        yield "± is the standard deviation over seeds."
    if any(row["ua_ci"] for row in task):
        yield "95 %: where UA could lie with other speakers and, of several seeds, other trainings."
    yield from _on_namesakes(task, rows)
    for row in task:
        if row["status"] == "diverged":
            yield f"{row['system']}: {row['reason']}."


def _on_namesakes(task: Sequence[Row], rows: Sequence[Row]) -> Iterator[str]:
    """Say which part of an experiment a table shows, where that is not the whole of it."""
    for experiment in dict.fromkeys(row["experiment"] for row in task):
        others = [row for row in rows if row["experiment"] == experiment]
        titles = dict.fromkeys(task_title(part[0]) for part in tasks(others))
        if len(tasks(others)) > 1:
            yield (
                f"Experiment {experiment} holds runs of several tasks, each in a table of its "
                f"own: {'; '.join(titles)}."
            )


def _varying(task: Sequence[Row]) -> list[str]:
    return [key for key in _FACTS if len({row[key] for row in task}) > 1]


def _seal(rows: Sequence[Row]) -> str:
    return seal_warning(sum(row["sealed"] for row in rows), len(rows))


def _best_beside(rows: Sequence[Row], baselines: Sequence[Baseline]) -> Iterator[Table]:
    """The best run on dev of each task beside all published results that compare with it."""
    for task in tasks(row for row in rows if row["ua"] is not None):
        best = task[0]
        pairs = [
            compare_with(best, each)
            for each in baselines
            if why_incomparable(best["card"], each) is None
        ]
        if pairs:
            title = f"{task_title(best)}: {best['system']}, best on dev, beside published results"
            yield published_table(title, pairs, of_one_run=True)


def _published_table(rows: Sequence[Row]) -> Table:
    """Published results; a reason that none of them compares stands once, below them."""
    columns: Layout = [
        text_column("system", lambda row: row["system"]),
        number_column("UA", lambda row: percent_cell(row["ua"])),
        number_column("WA", lambda row: percent_cell(row["wa"])),
        number_column("oracle UA", lambda row: percent_cell(row["ua_oracle"])),
        number_column("oracle WA", lambda row: percent_cell(row["wa_oracle"])),
    ]
    reasons = {row["reason"] for row in rows}
    title = "Published results (per cent)"
    if not any(row["comparable"] for row in rows) and len(reasons) == 1:
        return make_table(title, columns, rows, notes=[f"Not comparable: {reasons.pop()}."])
    columns += [
        text_column("comparable", lambda row: "yes" if row["comparable"] else "no"),
        text_column("because", lambda row: row["reason"] or ""),
    ]
    return make_table(title, columns, rows)
