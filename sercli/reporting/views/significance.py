"""Tests of the differences between the runs of a report."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sercli.errors import RequestError, nearest
from sercli.reporting.names import matches, without_common_words
from sercli.reporting.table import (
    Cell,
    Columns,
    Table,
    footnote_marks,
    footnotes,
    make_table,
    number_cell,
    number_column,
    p_value_cell,
    percent_cell,
    points_cell,
    signed_points,
    text_column,
)
from sercli.reporting.views.published import SYNTHETIC
from sercli.reporting.views.rows import Bounds, RunRow, by_task
from sercli.results.run_record import Record

ALPHA = 0.05
"""Significance level, that of `sercli.analysis.comparison`, which is imported only to test."""

MOST_UNASKED = 50
"""Runs per task up to which all are tested without --against (our choice: a few seconds)."""

BEST_NOTE = (
    "Bold (* in plain text): significantly better than every other run of the table (UA, p < 0.05 "
    "after Holm's correction)."
)
TOO_MANY = f"Not tested: more than {MOST_UNASKED} runs. Name one to test against: --against RUN."

_NOTES = (
    "Δ UA, Δ WA: the system minus its reference; in brackets, 95 % confidence intervals.",
    "p (Holm): permutation test over speakers, with Holm's correction for the rows of this table; "
    "*: below 0.05.",
    "p McNemar: takes utterances to be independent, and so is too small.",
    "min. detectable Δ: the smallest true difference of UA that these speakers and seeds reveal "
    "with 80 % power.",
)
_ASO_NOTE = (
    "ASO ε: almost stochastic order over seeds; below 0.5, the system is almost always better than "
    "its reference."
)

_SENTENCES = 5
"""Rows of a table up to which each has a sentence above it (our choice)."""


@dataclass(frozen=True)
class DifferenceRow:
    """A run minus its reference; differences are fractions, and None where the two compare not.

    Attributes:
        kind: ``runs``.
        task: The task in words.
        synthetic: True for generated speech.
        system: Name of the run.
        experiment: Its experiment.
        runs: Its key.
        described: True if the system is named by its settings, not by a plan.
        published: None.
        reference: Name of the reference.
        reference_run: Its key.
        delta_ua: Difference of UA.
        delta_ua_ci: 95 % confidence interval of ``delta_ua``.
        p_ua: p-value of the permutation test.
        p_ua_holm: The same after Holm's correction.
        delta_wa: Difference of WA.
        delta_wa_ci: 95 % confidence interval of ``delta_wa``.
        p_wa: p-value of the permutation test.
        p_wa_holm: The same after Holm's correction.
        p_mcnemar: p-value of McNemar's test.
        aso: ε_min of almost stochastic order.
        detectable: Minimum detectable difference of UA.
        significant: True if ``p_ua_holm`` is below 0.05.
        reason: Obstacle to a comparison of the two; else empty.
        note: A limit of the comparison; else empty.
    """

    kind: str
    task: str
    synthetic: bool
    system: str
    experiment: str | None
    runs: Sequence[str]
    described: bool
    published: None
    reference: str
    reference_run: str
    delta_ua: float | None
    delta_ua_ci: Bounds | None
    p_ua: float | None
    p_ua_holm: float | None
    delta_wa: float | None
    delta_wa_ci: Bounds | None
    p_wa: float | None
    p_wa_holm: float | None
    p_mcnemar: float | None
    aso: float | None
    detectable: float | None
    significant: bool
    reason: str
    note: str

    @property
    def remarks(self) -> list[str]:
        """The reason and the note, if any."""
        return [text for text in (self.reason, self.note) if text]


@dataclass(frozen=True)
class Differences:
    """The tests of a report; empty if it shows a single run of every task.

    Attributes:
        by_task: For each tested task, one row per pair of runs.
        best: Keys of the runs that are significantly better than every other of their task.
        untested: Tasks with too many runs.
    """

    by_task: tuple[tuple[DifferenceRow, ...], ...] = ()
    best: frozenset[str] = frozenset()
    untested: frozenset[object] = frozenset()

    @property
    def rows(self) -> list[DifferenceRow]:
        """The rows of all tasks."""
        return [row for rows in self.by_task for row in rows]

    def notes_on(self, task: Sequence[RunRow]) -> Iterator[str]:
        """Yield the footnotes that the results of a task need."""
        if any(row.key in self.best for row in task):
            yield BEST_NOTE
        if task[0].task in self.untested:
            yield TOO_MANY


def find_differences(
    rows: Sequence[RunRow], records: Sequence[Record], against: str | None = None
) -> Differences:
    """Test the runs of every task against each other; sealed and diverged ones are left out.

    Args:
        rows: The rows of the runs (`sercli.reporting.views.rows.run_rows`).
        records: The runs.
        against: Key or name of the run to test all others of its task against, or a part of it
            that no other has. None: tasks of up to `MOST_UNASKED` runs are tested, against the
            references that `sercli.analysis.comparison.compare` chooses.

    Raises:
        RequestError: ``against`` is none of the runs, or is sealed.
    """
    reference = None if against is None else _reference_key(against, rows)
    tested, untested = [], set()
    best: set[str] = set()
    for task in by_task(row for row in rows if row.ua is not None):
        of_key = {row.key: row for row in task}
        if len(of_key) < 2 or (reference is not None and reference not in of_key):
            continue
        if reference is None and len(of_key) > MOST_UNASKED:
            untested.add(task[0].task)
            continue
        of_task = _records_of(task, records)
        tested.append(tuple(_difference_rows(of_task, of_key, reference)))
        best |= _significantly_best(of_task, of_key, reference)
    return Differences(tuple(tested), frozenset(best), frozenset(untested))


def differences_tables(differences: Differences) -> list[Table]:
    """Return a table of tests for each task."""
    return [_differences_table(each) for each in differences.by_task]


def _reference_key(against: str, rows: Sequence[RunRow]) -> str:
    """Return the key of a run that is given by key, by name, or by a part that only it has."""
    of_key = {row.key: row for row in rows}
    meant = matches(against, {key: row.system for key, row in of_key.items()})
    if not meant:
        known = [name for row in rows for name in (row.key, row.system)]
        raise RequestError(f"no run '{against}' to test against.{nearest(against, known)}")
    if len(meant) > 1:
        several = ", ".join(f"{of_key[key].system} ({key})" for key in meant[:_SENTENCES])
        more = ", …" if len(meant) > _SENTENCES else ""
        raise RequestError(f"'{against}' is the name of several runs: {several}{more}")
    key = meant[0]
    row = of_key[key]
    if row.ua is None:
        why = "is sealed (--unseal shows test)" if row.sealed else "diverged"
        raise RequestError(f"cannot test against '{against}': it {why}")
    return key


def _records_of(task: Sequence[RunRow], records: Sequence[Record]) -> list[Record]:
    places = {(row.experiment, row.key) for row in task}
    return [record for record in records if (record.experiment, record.key) in places]


def _difference_rows(
    records: Sequence[Record], rows: Mapping[str, RunRow], reference: str | None
) -> Iterator[DifferenceRow]:
    from sercli.analysis.comparison import compare

    found = {line["a"]: line for line in compare(records, reference).to_dict("records")}
    for key in rows:
        if key in found:
            yield difference_row(found[key], rows)


def difference_row(
    compared: Mapping[Hashable, Any],
    rows: Mapping[str, RunRow],
    runs: Sequence[str] | None = None,
) -> DifferenceRow:
    """Return the row of a comparison.

    Args:
        compared: A row of `sercli.analysis.comparison.compare`.
        rows: Key → row of the run.
        runs: Keys of the runs that are compared with the reference; None: the one of the row.
    """
    found = {str(name): _known(value) for name, value in compared.items()}
    row, reference = rows[found["a"]], rows[found["b"]]
    names = ("p_ua", "p_ua_holm", "p_wa", "p_wa_holm", "p_mcnemar", "aso", "detectable")
    return DifferenceRow(
        kind="runs",
        task=row.task_title,
        synthetic=row.synthetic,
        system=row.system,
        experiment=row.experiment,
        runs=[row.key] if runs is None else runs,
        described=row.system == row.settings,
        published=None,
        reference=reference.system,
        reference_run=reference.key,
        delta_ua=found["delta_ua"],
        delta_ua_ci=_bounds(found, "delta_ua"),
        delta_wa=found["delta_wa"],
        delta_wa_ci=_bounds(found, "delta_wa"),
        **{name: found[name] for name in names},
        significant=bool(found["significant"]),
        reason=found["reason"],
        note=found["note"],
    )


def _bounds(found: Mapping[str, Any], name: str) -> list[float] | None:
    bounds = [found[f"{name}_low"], found[f"{name}_high"]]
    return None if None in bounds else bounds


def _known(value: Any) -> Any:
    """Return a value of a data frame, None for NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _significantly_best(
    records: Sequence[Record], rows: Mapping[str, RunRow], reference: str | None
) -> set[str]:
    """Return the key of the best run on dev if it is significantly better than every other."""
    from sercli.analysis.comparison import best_is_real, compare

    best = max(rows, key=lambda key: rows[key].dev_ua or 0.0)
    highest = rows[best].ua or 0.0
    if any((row.ua or 0.0) >= highest for key, row in rows.items() if key != best):
        return set()
    if reference is not None and len(rows) > MOST_UNASKED and reference != best:
        return set()
    return {best} if best_is_real(compare(records, best)) else set()


def _differences_table(rows: Sequence[DifferenceRow]) -> Table:
    label = _labels(rows)
    references = {row.reference_run: row.reference for row in rows}
    several = len(references) > 1
    remarks = list(dict.fromkeys(remark for row in rows for remark in row.remarks))
    other = "their references" if several else label[next(iter(references.values()))]
    columns: Columns[DifferenceRow] = [
        text_column("system", lambda row: label[row.system]),
        number_column("Δ UA", lambda row: points_cell(row.delta_ua, row.delta_ua_ci)),
        number_column("p (Holm)", lambda row: _marked(p_value_cell(row.p_ua_holm))),
        number_column("min. detectable Δ", lambda row: percent_cell(row.detectable)),
        number_column("Δ WA", lambda row: points_cell(row.delta_wa, row.delta_wa_ci)),
        number_column("p (Holm)", lambda row: _marked(p_value_cell(row.p_wa_holm))),
        number_column("p McNemar", lambda row: p_value_cell(row.p_mcnemar)),
    ]
    notes = [*footnotes(remarks), *_NOTES]
    if several:
        columns.insert(1, text_column("reference", lambda row: label[row.reference]))
    if any(row.aso is not None for row in rows):
        columns.append(number_column("ASO ε", lambda row: number_cell(row.aso, ".2f")))
        notes.append(_ASO_NOTE)
    if remarks:
        columns.append(text_column("notes", lambda row: footnote_marks(row.remarks, remarks)))
    return make_table(
        f"{rows[0].task}: runs minus {other} (percentage points)",
        columns,
        rows,
        notes=notes,
        warnings=[SYNTHETIC] if rows[0].synthetic else [],
        verdicts=_verdicts(rows, label),
    )


def _labels(rows: Sequence[DifferenceRow]) -> Mapping[str, str]:
    """Return name of a system → its label, as in the table of results above."""
    names = list(dict.fromkeys(name for row in rows for name in (row.system, row.reference)))
    named = any(not row.described for row in rows)
    return dict(zip(names, names if named else without_common_words(names)[1], strict=True))


def _marked(p_value: Cell) -> Cell:
    significant = p_value.value is not None and p_value.value < ALPHA
    return replace(p_value, text=f"{p_value.text}*") if significant else p_value


def _verdicts(rows: Sequence[DifferenceRow], label: Mapping[str, str]) -> list[str]:
    """Say in sentences what a table of differences shows."""
    if len(rows) <= _SENTENCES:
        return [_verdict(row, label) for row in rows]
    found = [row for row in rows if row.significant]
    named = [
        f"{label[row.system]} − {label[row.reference]} {signed_points(row.delta_ua or 0.0)}"
        for row in found[:_SENTENCES]
    ]
    more = ", …" if len(found) > _SENTENCES else ""
    listed = f" ({', '.join(named)}{more})" if named else ""
    return [f"Significant differences of UA: {len(found)} of {len(rows)}{listed}."]


def _verdict(row: DifferenceRow, label: Mapping[str, str]) -> str:
    pair = f"{label[row.system]} − {label[row.reference]}"
    if row.delta_ua is None or row.p_ua_holm is None:
        return f"{pair}: not compared ({row.reason or 'no UA'})."
    p = p_value_cell(row.p_ua_holm).text
    facts = [f"{signed_points(row.delta_ua)} points of UA"]
    if row.delta_ua_ci is not None:
        facts.append(f"95 % CI {' to '.join(map(signed_points, row.delta_ua_ci))}")
    facts.append(f"p {p}" if p.startswith("<") else f"p = {p}")
    if row.significant:
        better = "better" if row.delta_ua > 0 else "worse"
        return f"{pair}: significantly {better} ({', '.join(facts)})."
    least = "" if row.detectable is None else f"; min. detectable Δ {100 * row.detectable:.1f}"
    return f"{pair}: no difference found ({', '.join(facts)}{least})."
