"""Runs compared with published results.

A published result has no confidence interval. That of a difference is the run's own, shifted by
the published value: it covers other speakers for the run, not for the published system.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sercli.analysis.comparability import caveat, why_incomparable
from sercli.reporting.table import (
    Cell,
    Columns,
    Table,
    View,
    footnote_marks,
    footnotes,
    make_table,
    number_column,
    percent_cell,
    points_cell,
    text_column,
)
from sercli.reporting.views.rows import Bounds, RunRow, by_task
from sercli.results.baselines import Baseline, table_1
from sercli.results.seal import seal_warning

SYNTHETIC = "SYNTHETIC speech: these numbers say nothing about people."
TEST_SELECTED = "TEST-SELECTED: the training step was selected on test."

INTERVALS_NOTE = (
    "In brackets: 95 % confidence intervals. That of Δ is the run's own; published results have "
    "none."
)


@dataclass(frozen=True)
class PublishedComparison:
    """A run minus a published result; rates are fractions, and None where they are unknown.

    Attributes:
        kind: ``published``.
        system: Name of the run; None: no run repeats the published system.
        experiment: Its experiment.
        runs: Its key.
        sealed: True if its test results are sealed.
        published: The published system.
        source: Paper, with table or row.
        published_ua: The published UA.
        published_wa: The published WA.
        selection: The step of the run: ``oracle`` if the published one was selected on test,
            else ``dev``.
        ua: UA of the run at that step.
        ua_ci: Its 95 % confidence interval.
        wa: WA of the run at that step.
        wa_ci: Its 95 % confidence interval.
        delta_ua: UA of the run minus the published UA; None where the two are not comparable.
        delta_ua_ci: The 95 % confidence interval of the run, shifted.
        delta_wa: WA of the run minus the published WA.
        delta_wa_ci: The 95 % confidence interval of the run, shifted.
        comparable: True if the two are comparable.
        reason: Obstacle to a comparison; None if they compare.
        status: Status of the run, or ``not run``.
        warnings: Sentences to read before any number.
        caveat: A limit of a published result that compares.
        note: Other differences of the published result.
    """

    kind: str
    system: str | None
    experiment: str | None
    runs: Sequence[str]
    sealed: bool
    published: str
    source: str
    published_ua: float
    published_wa: float
    selection: str
    ua: float | None
    ua_ci: Bounds | None
    wa: float | None
    wa_ci: Bounds | None
    delta_ua: float | None
    delta_ua_ci: Bounds | None
    delta_wa: float | None
    delta_wa_ci: Bounds | None
    comparable: bool
    reason: str | None
    status: str
    warnings: Sequence[str]
    caveat: str
    note: str

    @property
    def remarks(self) -> list[str]:
        """Footnotes, without a full stop."""
        return list(_remarks(self)) if self.system is not None else []


def compare_all(rows: Sequence[RunRow], baselines: Sequence[Baseline]) -> list[PublishedComparison]:
    """Compare runs with all comparable published results.

    A result that was selected on test is compared with the run's oracle.
    """
    return [
        compare_with(row, baseline)
        for row in rows
        for baseline in baselines
        if row.ua is not None and why_incomparable(row.card, baseline) is None
    ]


def matching_runs(
    rows: Sequence[RunRow], baselines: Sequence[Baseline], *, missing: bool = False
) -> list[PublishedComparison]:
    """Compare published results with the runs that repeat them, in the order of the former.

    Args:
        rows: The rows of the runs.
        baselines: The published results.
        missing: Include results that no run repeats.
    """
    found = []
    for baseline in baselines:
        matches = [row for row in rows if _repeats(row, baseline)]
        found += [compare_with(row, baseline) for row in matches]
        if missing and not matches:
            found.append(compare_with(None, baseline))
    return found


def compare_with(row: RunRow | None, baseline: Baseline) -> PublishedComparison:
    """Compare a run with a published result; subtract only where the two are comparable.

    Args:
        row: The row of the run; None: there is no such run.
        baseline: The published result. One that was selected on test is compared with the oracle.
    """
    reason = why_incomparable(row.card, baseline) if row else None
    suffix = "_oracle" if baseline.selection == "test" else ""
    own = {
        name: getattr(row, f"{metric}{suffix}{end}", None)
        for metric in ("ua", "wa")
        for name, end in ((metric, ""), (f"{metric}_ci", "_ci"))
    }
    published = {"ua": baseline.ua / 100, "wa": baseline.wa / 100}
    comparable = row is not None and reason is None
    return PublishedComparison(
        kind="published",
        system=row.system if row else None,
        experiment=row.experiment if row else None,
        runs=row.runs if row else [],
        sealed=row is not None and row.sealed,
        published=baseline.system,
        source=baseline.source,
        published_ua=published["ua"],
        published_wa=published["wa"],
        selection="oracle" if suffix else "dev",
        **own,
        **{
            f"delta_{name}": _minus(value, published[name[:2]]) if comparable else None
            for name, value in own.items()
        },
        comparable=comparable,
        reason=reason,
        status=row.status if row else "not run",
        warnings=[*task_warnings(row), *_corpus_warning(row, baseline)] if row else [],
        caveat=caveat(baseline),
        note=baseline.note,
    )


def table1_view(rows: Sequence[RunRow], baselines: Sequence[Baseline]) -> View:
    """Compare runs with Table 1 of the AR-GRU paper, in the paper's order.

    Several runs of a system follow each other, the best on dev first.

    Args:
        rows: The rows of the runs.
        baselines: The published results.
    """
    found = matching_runs(rows, table_1(baselines), missing=True)
    title = "Table 1 of Rajamani et al. 2021 and runs of the same systems"
    return View((comparison_table(title, found),), {"table1": found})


def published_tables(
    rows: Sequence[RunRow], published: Sequence[RunRow], baselines: Sequence[Baseline]
) -> list[Table]:
    """Return tables of runs beside the results they reproduce, of the best runs, and of baselines.

    Args:
        rows: The rows of the runs.
        published: The rows of published results; empty where only runs are of interest.
        baselines: The published results.
    """
    matches = matching_runs(rows, baselines)
    return [
        *(
            [comparison_table("Runs and the published results they repeat", matches)]
            * bool(matches)
        ),
        *_best_run_tables(rows, baselines),
        *_published_tables(rows, published),
    ]


def comparison_table(
    title: str, comparisons: Sequence[PublishedComparison], *, of_one_run: bool = False
) -> Table:
    """Return a table of comparisons; reasons and caveats are footnotes.

    Args:
        title: The title.
        comparisons: The rows.
        of_one_run: Leave out the run's name, which is in the title.
    """
    remarks = list(dict.fromkeys(remark for each in comparisons for remark in each.remarks))
    sealed = sum(each.sealed for each in comparisons)
    runs = sum(each.system is not None for each in comparisons)
    warnings = dict.fromkeys(warning for each in comparisons for warning in each.warnings)
    columns: Columns[PublishedComparison] = [
        text_column("published system", lambda each: each.published),
        text_column("run", lambda each: each.system or "not run"),
        number_column("UA published", lambda each: percent_cell(each.published_ua)),
        number_column("UA ours", lambda each: _own_cell(each, each.ua, each.ua_ci)),
        number_column("Δ UA", lambda each: points_cell(each.delta_ua, each.delta_ua_ci)),
        number_column("WA published", lambda each: percent_cell(each.published_wa)),
        number_column("WA ours", lambda each: _own_cell(each, each.wa, each.wa_ci)),
        number_column("Δ WA", lambda each: points_cell(each.delta_wa, each.delta_wa_ci)),
    ]
    if of_one_run:
        del columns[1]
    if remarks:
        columns.append(text_column("notes", lambda each: footnote_marks(each.remarks, remarks)))
    intervals = [INTERVALS_NOTE] if any(each.delta_ua_ci for each in comparisons) else []
    return make_table(
        f"{title} (%; Δ in percentage points)",
        columns,
        comparisons,
        notes=[*footnotes(remarks), *intervals],
        warnings=[*warnings, seal_warning(sealed, runs)],
    )


def task_warnings(row: RunRow) -> list[str]:
    """Return the warnings that hold for all runs of a task."""
    return card_warnings(row.card)


def card_warnings(card: Any) -> list[str]:
    """Return the warnings that a protocol card calls for."""
    warnings = [SYNTHETIC] if card["synthetic"] else []
    if card.get("selected_on") == "test":
        warnings.append(TEST_SELECTED)
    return warnings


def _best_run_tables(rows: Sequence[RunRow], baselines: Sequence[Baseline]) -> Iterator[Table]:
    """Compare the best run on dev of each task with all comparable published results."""
    for task in by_task(row for row in rows if row.ua is not None):
        best = task[0]
        if found := compare_all([best], baselines):
            title = f"{best.task_title}: {best.system}, best on dev, and published results"
            yield comparison_table(title, found, of_one_run=True)


def _published_tables(rows: Sequence[RunRow], published: Sequence[RunRow]) -> Iterator[Table]:
    """List published results on the corpora of the runs if one compares; without runs, all."""
    corpora = {row.dataset for row in rows}
    listed = [row for row in published if not rows or row.dataset in corpora]
    if any(row.comparable for row in listed) or (listed and not rows):
        yield _published_table(listed)


def _published_table(rows: Sequence[RunRow]) -> Table:
    """Return published results, and which compare with a run."""
    columns: Columns[RunRow] = [
        text_column("system", lambda row: row.system),
        number_column("UA", lambda row: percent_cell(row.ua)),
        number_column("WA", lambda row: percent_cell(row.wa)),
        number_column("oracle UA", lambda row: percent_cell(row.ua_oracle)),
        number_column("oracle WA", lambda row: percent_cell(row.wa_oracle)),
        text_column("comparable", lambda row: "yes" if row.comparable else "no"),
        text_column("because", lambda row: row.reason or ""),
    ]
    oracle = any(row.ua_oracle is not None for row in rows)
    notes = ["Oracle: at the training step selected on test."] if oracle else []
    return make_table("Published results (%)", columns, rows, notes=notes)


def _corpus_warning(row: RunRow, baseline: Baseline) -> list[str]:
    if row.dataset == baseline.corpus:
        return []
    return [f"ANOTHER CORPUS: the published results are on {baseline.corpus}."]


def _repeats(row: RunRow, baseline: Baseline) -> bool:
    return (row.published_as, row.published_in) == (baseline.system, baseline.source)


def _minus(value: Any, published: float) -> Any:
    if isinstance(value, list | tuple):
        return [bound - published for bound in value]
    return None if value is None else value - published


def _own_cell(each: PublishedComparison, rate: float | None, bounds: Bounds | None) -> Cell:
    return Cell("sealed") if each.sealed else percent_cell(rate, bounds=bounds)


def _remarks(each: PublishedComparison) -> Iterator[str]:
    if each.reason:
        yield f"not comparable: {each.reason}"
    if each.selection == "oracle":
        yield "selected on test, and so compared with the run's oracle"
    elif each.caveat:
        yield each.caveat
    if each.note:
        yield f"{each.published}: {each.note}"
    if each.status == "diverged":
        yield "diverged"
