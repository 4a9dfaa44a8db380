"""What tests say of the runs of a report: how far apart they are, and whether one is the best."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sercli.errors import RequestError, nearest
from sercli.reporting.table import (
    Layout,
    Row,
    Table,
    footnotes,
    make_table,
    marks,
    number_cell,
    number_column,
    p_value_cell,
    percent_cell,
    points_cell,
    text_column,
)
from sercli.reporting.views.published import SYNTHETIC
from sercli.reporting.views.rows import task_of, task_title, tasks
from sercli.results.run_record import Record

UNASKED = 50
"""Runs of a task that are tested without being asked for (our choice: a few seconds)."""

BOLD = (
    "Bold, or * in plain text: better than every other run of the table (UA; p < 0.05, corrected "
    "by Holm)."
)
TOO_MANY = f"More than {UNASKED} runs are tested only against one of them: --against RUN."


@dataclass(frozen=True)
class Differences:
    """The tests of a report; none where it shows a single run of every task.

    Attributes:
        parts: For each task that was tested, a row for each pair of runs.
        best: Keys of the runs that are significantly better than every other of their task.
        untested: Tasks with too many runs.
    """

    parts: tuple[tuple[Row, ...], ...] = ()
    best: frozenset[str] = frozenset()
    untested: frozenset[object] = frozenset()

    @property
    def rows(self) -> list[Row]:
        """Those of all tasks."""
        return [row for part in self.parts for row in part]

    def notes_on(self, task: Sequence[Row]) -> Iterator[str]:
        """What a reader of the table of a task must know of its tests."""
        if any(row["runs"][0] in self.best for row in task):
            yield BOLD
        if task_of(task[0]) in self.untested:
            yield TOO_MANY


def find_differences(
    rows: Sequence[Row], records: Sequence[Record], against: str | None = None
) -> Differences:
    """Test the runs of every task against each other; sealed and diverged ones are left out.

    Args:
        rows: Those of runs (`sercli.reporting.views.rows.run_rows`).
        records: The runs.
        against: Key or name of the run that those of its task are tested against. Without it,
            tasks of up to `UNASKED` runs are tested, against the reference that
            `sercli.analysis.comparison.compare` chooses.

    Raises:
        RequestError: ``against`` is none of the runs, or is sealed.
    """
    reference = None if against is None else _resolve(against, rows)
    parts = []
    best: set[str] = set()
    untested = set()
    for task in tasks(row for row in rows if row["ua"] is not None):
        keys = {row["runs"][0]: row for row in task}
        if len(keys) < 2 or (reference is not None and reference not in keys):
            continue
        if reference is None and len(keys) > UNASKED:
            untested.add(task_of(task[0]))
            continue
        tested = _records(task, records)
        parts.append(tuple(_compared(tested, keys, reference)))
        best |= _really_best(tested, keys, reference)
    return Differences(tuple(parts), frozenset(best), frozenset(untested))


def differences_tables(differences: Differences) -> list[Table]:
    """Lay out what the tests say, for each task."""
    return [_table(part) for part in differences.parts]


def _resolve(against: str, rows: Sequence[Row]) -> str:
    """The key of the run that is meant by a key or a name."""
    meant = {row["runs"][0]: row for row in rows if against in (row["runs"][0], row["system"])}
    if not meant:
        known = [name for row in rows for name in (row["runs"][0], row["system"])]
        raise RequestError(f"no run '{against}' to test against.{nearest(against, known)}")
    if len(meant) > 1:
        raise RequestError(f"'{against}' is the name of several runs: {', '.join(meant)}")
    ((key, row),) = meant.items()
    if row["ua"] is None:
        why = "is sealed (--unseal shows test)" if row["sealed"] else "diverged"
        raise RequestError(f"nothing can be tested against '{against}': it {why}")
    return str(key)


def _records(task: Sequence[Row], records: Sequence[Record]) -> list[Record]:
    places = {(row["experiment"], row["runs"][0]) for row in task}
    return [record for record in records if (record.experiment, record.key) in places]


def _compared(
    records: Sequence[Record], rows: Mapping[str, Row], reference: str | None
) -> Iterator[Row]:
    from sercli.analysis.comparison import compare

    lines = {line["a"]: line for line in compare(records, reference).to_dict("records")}
    for key in rows:
        if key in lines:
            yield _row({str(name): _plain(x) for name, x in lines[key].items()}, rows)


def _really_best(
    records: Sequence[Record], rows: Mapping[str, Row], reference: str | None
) -> set[str]:
    """The key of the best run on dev, if it is significantly better than every other."""
    from sercli.analysis.comparison import best_is_real, compare

    best = max(rows, key=lambda key: rows[key]["dev_ua"] or 0.0)
    if any(row["ua"] >= rows[best]["ua"] for key, row in rows.items() if key != best):
        return set()
    if reference is not None and len(rows) > UNASKED and reference != best:
        return set()
    return {best} if best_is_real(compare(records, best)) else set()


def _row(line: Mapping[str, Any], rows: Mapping[str, Row]) -> Row:
    row, other = rows[line["a"]], rows[line["b"]]
    return {
        "kind": "runs",
        "task": task_title(row),
        "synthetic": row["synthetic"],
        "system": row["system"],
        "experiment": row["experiment"],
        "runs": [line["a"]],
        "published": None,
        "reference": other["system"],
        "reference_run": line["b"],
        **{
            name: figure
            for metric in ("ua", "wa")
            for name, figure in (
                (f"delta_{metric}", line[f"delta_{metric}"]),
                (f"delta_{metric}_ci", _bounds(line, f"delta_{metric}")),
                (f"p_{metric}", line[f"p_{metric}"]),
                (f"p_{metric}_holm", line[f"p_{metric}_holm"]),
            )
        },
        **{name: line[name] for name in ("p_mcnemar", "aso", "detectable")},
        "significant": bool(line["significant"]),
        "reason": line["reason"],
        "note": line["note"],
    }


def _bounds(line: Mapping[str, Any], name: str) -> list[float] | None:
    bounds = [line[f"{name}_low"], line[f"{name}_high"]]
    return None if None in bounds else bounds


def _plain(value: Any) -> Any:
    """A value of a data frame, None where it has none."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _table(rows: Sequence[Row]) -> Table:
    references = {row["reference_run"]: row["reference"] for row in rows}
    several = len(references) > 1
    remarks = list(dict.fromkeys(remark for row in rows for remark in _remarks(row)))
    other = "their references" if several else next(iter(references.values()))
    columns: Layout = [
        text_column("system", lambda row: row["system"]),
        number_column("Δ UA", lambda row: points_cell(row["delta_ua"], row["delta_ua_ci"])),
        number_column("p (Holm)", lambda row: p_value_cell(row["p_ua_holm"])),
        number_column("could find", lambda row: percent_cell(row["detectable"])),
        number_column("Δ WA", lambda row: points_cell(row["delta_wa"], row["delta_wa_ci"])),
        number_column("p (Holm)", lambda row: p_value_cell(row["p_wa_holm"])),
        number_column("p McNemar", lambda row: p_value_cell(row["p_mcnemar"])),
    ]
    if several:
        columns.insert(1, text_column("minus", lambda row: row["reference"]))
    if any(row["aso"] is not None for row in rows):
        columns.append(number_column("ASO ε", lambda row: number_cell(row["aso"], ".2f")))
    if remarks:
        columns.append(text_column("notes", lambda row: marks(_remarks(row), remarks)))
    title = f"{rows[0]['task']}: runs minus {other} (points)"
    return make_table(
        title,
        columns,
        rows,
        notes=[*footnotes(remarks), *_ABOUT],
        warnings=[SYNTHETIC] if rows[0]["synthetic"] else [],
    )


_ABOUT = (
    "In brackets: 95 % intervals.",
    "p: by permutation of whole speakers, corrected by Holm for the rows of this table; "
    "McNemar's takes utterances for independent, and is too small.",
    "could find: the smallest true difference of UA that these speakers and seeds would "
    "probably have shown.",
)


def _remarks(row: Row) -> Iterator[str]:
    return (text for text in (row["reason"], row["note"]) if text)
