"""Runs beside published results: the figures of both, and how far apart they are.

A published figure has no interval, so that of a difference is the run's own, moved by the published
figure: it says how far the run could move with other speakers, and nothing about theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sercli.analysis.comparability import caveat, why_incomparable
from sercli.reporting.table import (
    Cell,
    Layout,
    Row,
    Table,
    footnotes,
    make_table,
    marks,
    number_column,
    percent_cell,
    points_cell,
    text_column,
)
from sercli.results.baselines import Baseline
from sercli.results.seal import seal_warning

SYNTHETIC = "SYNTHETIC speech: these numbers say nothing about people."
TEST_SELECTED = "TEST-SELECTED: the training step was chosen on the test side."

ABOUT_INTERVALS = (
    "In brackets: 95 % intervals. That of Δ is the run's alone; published figures have none."
)


def comparisons(rows: Sequence[Row], baselines: Sequence[Baseline]) -> list[Row]:
    """Subtract published figures from those of the runs, wherever the two are comparable.

    A result that was selected on test is compared with the run's oracle.
    """
    return [
        compare_with(row, baseline)
        for row in rows
        for baseline in baselines
        if row["ua"] is not None and why_incomparable(row["card"], baseline) is None
    ]


def matching_runs(
    rows: Sequence[Row], baselines: Sequence[Baseline], *, missing: bool = False
) -> list[Row]:
    """Pair published results with the runs that stand for them, in the order of the former.

    Args:
        rows: Those of runs.
        baselines: The published results.
        missing: Whether a result that no run stands for has a row as well.
    """
    pairs = []
    for baseline in baselines:
        found = [row for row in rows if _stands_for(row, baseline)]
        pairs += [compare_with(row, baseline) for row in found]
        if missing and not found:
            pairs.append(compare_with(None, baseline))
    return pairs


def compare_with(row: Row | None, baseline: Baseline) -> Row:
    """Lay a run beside a published result; the difference only where they are comparable.

    Args:
        row: The run's; None where there is no such run.
        baseline: The published result. One that was selected on test is compared with the oracle.
    """
    run = row or {}
    reason = why_incomparable(run["card"], baseline) if run else None
    after = "_oracle" if baseline.selection == "test" else ""
    own = {
        name: run.get(f"{metric}{after}{end}")
        for metric in ("ua", "wa")
        for name, end in ((metric, ""), (f"{metric}_ci", "_ci"))
    }
    published = {"ua": baseline.ua / 100, "wa": baseline.wa / 100}
    comparable = bool(run) and reason is None
    return {
        "kind": "published",
        "system": run.get("system"),
        "experiment": run.get("experiment"),
        "runs": run.get("runs", []),
        "sealed": run.get("sealed", False),
        "published": baseline.system,
        "source": baseline.source,
        "published_ua": published["ua"],
        "published_wa": published["wa"],
        "selection": "oracle" if after else "dev",
        **own,
        **{
            f"delta_{name}": _minus(value, published[name[:2]]) if comparable else None
            for name, value in own.items()
        },
        "comparable": comparable,
        "reason": reason,
        "status": run.get("status", "not run"),
        "warnings": [*task_warnings(run), *_another_corpus(run, baseline)] if run else [],
        "caution": caveat(baseline),
    }


def published_table(title: str, pairs: Sequence[Row], *, of_one_run: bool = False) -> Table:
    """Lay out pairs; what keeps two from being compared, or calls for caution, is a footnote.

    Args:
        title: What the table shows.
        pairs: Those of `pair`.
        of_one_run: Whether they are all of the same run, which the title names.
    """
    remarks = list(dict.fromkeys(remark for each in pairs for remark in _remarks(each)))
    sealed = sum(each["sealed"] for each in pairs)
    runs = sum(each["system"] is not None for each in pairs)
    warnings = dict.fromkeys(warning for each in pairs for warning in each["warnings"])
    columns: Layout = [
        text_column("published", lambda each: each["published"]),
        text_column("run", lambda each: each["system"] or "not run"),
        number_column("UA there", lambda each: percent_cell(each["published_ua"])),
        number_column("UA here", lambda each: _own(each, "ua")),
        number_column("Δ UA", lambda each: points_cell(each["delta_ua"], each["delta_ua_ci"])),
        number_column("WA there", lambda each: percent_cell(each["published_wa"])),
        number_column("WA here", lambda each: _own(each, "wa")),
        number_column("Δ WA", lambda each: points_cell(each["delta_wa"], each["delta_wa_ci"])),
    ]
    if of_one_run:
        del columns[1]
    if remarks:
        columns.append(text_column("notes", lambda each: marks(_remarks(each), remarks)))
    return make_table(
        f"{title} (per cent; Δ in points)",
        columns,
        pairs,
        notes=[
            *footnotes(remarks),
            *([ABOUT_INTERVALS] if any(each["delta_ua_ci"] for each in pairs) else []),
        ],
        warnings=[*warnings, seal_warning(sealed, runs)],
    )


def task_warnings(row: Row) -> list[str]:
    """What must be said of all runs of a task before any figure."""
    warnings = [SYNTHETIC] if row["synthetic"] else []
    if row["card"].get("selected_on") == "test":
        warnings.append(TEST_SELECTED)
    return warnings


def _another_corpus(row: Row, baseline: Baseline) -> list[str]:
    if row["dataset"] == baseline.corpus:
        return []
    return [f"ANOTHER CORPUS: the published figures are of {baseline.corpus}."]


def _stands_for(row: Row, baseline: Baseline) -> bool:
    return bool((row["published_as"], row["published_in"]) == (baseline.system, baseline.source))


def _minus(value: float | list[float] | None, published: float) -> float | list[float] | None:
    if isinstance(value, list):
        return [bound - published for bound in value]
    return None if value is None else value - published


def _own(each: Row, metric: str) -> Cell:
    if each["sealed"]:
        return Cell("sealed")
    return percent_cell(each[metric], bounds=each[f"{metric}_ci"])


def _remarks(each: Row) -> Iterator[str]:
    """Footnotes of a pair."""
    if each["system"] is None:
        return
    if each["reason"]:
        yield f"not comparable: {each['reason']}"
    if each["selection"] == "oracle":
        yield "selected on test, so that here stands the run's oracle"
    elif each["caution"]:
        yield each["caution"]
    if each["status"] == "diverged":
        yield "diverged"
