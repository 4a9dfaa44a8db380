"""What a search found, as tables: the best point, what decided it, and what failed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import pandas as pd

from sercli.analysis.effects import effects, effects_of_pair, level_text, swept
from sercli.analysis.optimism import Optimism, optimism
from sercli.config.keys import ALPHA, BETA
from sercli.reporting.table import (
    Cell,
    Column,
    Table,
    interval_cell,
    make_table,
    number_cell,
    number_column,
    percent_cell,
    points_cell,
    text_column,
)
from sercli.reporting.views.published import SYNTHETIC
from sercli.results.run_record import Record
from sercli.results.sweep_summary import STATES, SweepSummary, settings_of

_RESAMPLED = 300
"""Points, best on dev, among which the choice is repeated (our choice: some four seconds). Were the
others there too, hardly one would ever be chosen."""


def sweep_tables(
    summary: SweepSummary, trials: pd.DataFrame, records: Sequence[Record]
) -> list[Table]:
    """Tabulate what a sweep found.

    The only figures of test are those of the winner, and only once nothing waits or runs.

    Args:
        summary: The sweep in short.
        trials: Its points (`sercli.results.sweep_summary.write_sweep`).
        records: The runs of its experiment; of all but the winner only dev is read.

    Returns:
        What became of the points; the best one, with the optimism of having chosen it; the front
        of several objectives; importance and effect of every setting; failures by cause. What
        there is nothing to say about is left out.
    """
    best = [] if summary.comparison or summary.winner is None else [_best(summary, trials, records)]
    measured = [*best, *_front(summary, trials), *_effects(trials)]
    tables = [_states(summary), *measured, *_importance(summary), *_failures(trials)]
    if not any(record.summary["card"]["synthetic"] for record in records):
        return tables
    return [replace(table, warning=SYNTHETIC) if table in measured else table for table in tables]


def _states(summary: SweepSummary) -> Table:
    known = [state for state in STATES if summary.states.get(state)]
    return make_table(
        f"{summary.experiment}: the points",
        [
            text_column("what became of them", lambda state: state),
            number_column("points", lambda state: number_cell(summary.states[state])),
        ],
        known,
        notes=_notes(summary),
    )


def _n(summary: SweepSummary, state: str) -> int:
    return summary.states.get(state, 0)


def _notes(summary: SweepSummary) -> Iterator[str]:
    yield f"{_counted(_n(summary, 'complete'), 'point')} compared on dev."
    if summary.pruner is not None:
        yield f"Pruned points were stopped early by '{summary.pruner}' and have no dev UA."
    if summary.comparison:
        yield "The plan names what it compares: all points are results, and none was chosen."
    elif summary.sealed:
        yield "Sealed: of all points but the winner, what they gave on test is not shown."
    for opening in summary.opened:
        yield f"Test was opened for all points on {opening['time']} by {opening['how']}."
    earlier = [key for key in summary.shown if key != summary.winner]
    if earlier:
        yield (
            f"The test figures of {len(earlier)} earlier best were shown before: "
            f"{', '.join(earlier)}. Those shown now are another look at test."
        )
    if not summary.complete:
        waiting = _n(summary, "waiting") + _n(summary, "running")
        yield f"{waiting} still wait or run; no test figure is shown before they end."


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing} was" if count == 1 else f"{count} {thing}s were"


def _best(summary: SweepSummary, trials: pd.DataFrame, records: Sequence[Record]) -> Table:
    compared = trials[trials["state"] == "complete"]
    best = compared.nlargest(_RESAMPLED, "dev_ua")
    found = optimism([record for record in records if record.key in set(best["run"])])
    facts = asdict(found) if found else {}
    for point in compared[compared["run"] == summary.winner].to_dict("records"):
        facts |= {"point": settings_of(point), "dev_ua": point["dev_ua"]}
    if summary.complete:
        of_winner = (record.metrics for record in records if record.key == summary.winner)
        facts["test"] = next(of_winner, {})
    return make_table(
        f"{summary.experiment}: the best on dev",
        [
            text_column("point", lambda row: row.get("point")),
            text_column("run", lambda row: summary.winner),
            number_column("dev UA", lambda row: percent_cell(row.get("dev_ua"))),
            number_column("corrected", lambda row: percent_cell(row.get("corrected"))),
            number_column("95 %", lambda row: interval_cell(row.get("interval"))),
            number_column("optimism", lambda row: points_cell(row.get("optimism"))),
            number_column("test UA", lambda row: percent_cell(row.get("test", {}).get("ua"))),
            number_column("test WA", lambda row: percent_cell(row.get("test", {}).get("wa"))),
        ],
        [facts],
        notes=[_on_optimism(found, len(compared)), _NOT_NESTED],
    )


_NOT_NESTED = (
    "Where every speaker is dev in one fold and test in another, the point was chosen with all "
    "their labels: its figures of test are a little too good as well."
)


def _on_optimism(found: Optimism | None, points: int) -> str:
    if found is None:
        return ""
    return (
        f"Corrected is what to expect on dev of a point chosen so among {points}, with other "
        "speakers (BBC-CV over whole speakers). That the training step of each run was chosen on "
        "the same dev is not taken out."
    )


def _front(summary: SweepSummary, trials: pd.DataFrame) -> Iterator[Table]:
    chosen = trials[trials["run"].isin(list(summary.front))].sort_values("dev_ua", ascending=False)
    if chosen.empty:
        return
    costs = [name for name in summary.objectives if name != "dev_ua" and name in trials]
    yield make_table(
        f"{summary.experiment}: points that no other beats in {' and '.join(summary.objectives)}",
        [
            text_column("point", settings_of),
            text_column("run", lambda row: row["run"]),
            number_column("dev UA", lambda row: percent_cell(_known(row["dev_ua"]))),
            *(_cost(name) for name in costs),
        ],
        chosen.to_dict("records"),
    )


def _cost(name: str) -> tuple[Column, Callable[[Mapping[Hashable, Any]], Cell]]:
    return number_column(name, lambda row: number_cell(_known(row[name]), ".4g"))


def _importance(summary: SweepSummary) -> Iterator[Table]:
    if summary.importance:
        yield make_table(
            f"{summary.experiment}: what decides whether a point is among the best",
            [
                text_column("setting", lambda item: item[0]),
                number_column("share", lambda item: number_cell(item[1], ".2f")),
            ],
            sorted(summary.importance.items(), key=lambda item: -item[1]),
            notes=["PED-ANOVA; the shares sum to 1."],
        )


def _effects(trials: pd.DataFrame) -> Iterator[Table]:
    found = effects(trials)
    if found.empty:
        return
    notes = []
    if found["paired"].any():
        notes.append("± is one sd; where a grid is complete, without what other settings do.")
    if {ALPHA, BETA} <= set(swept(trials[trials["state"] == "complete"])):
        cell = effects_of_pair(trials, ALPHA, BETA).iloc[0]
        notes.append(
            f"Best together: α = {cell[ALPHA]} and β = {cell[BETA]}, mean dev UA "
            f"{100 * cell['mean']:.1f} of {cell['n']}."
        )
    yield make_table(
        "Dev UA by setting",
        [
            text_column("setting", lambda row: row["key"]),
            text_column("value", _level),
            number_column("dev UA", lambda row: percent_cell(row["mean"], _known(row["sd"]))),
            number_column("points", lambda row: number_cell(row["n"])),
        ],
        found.to_dict("records"),
        notes=notes,
    )


def _level(row: Mapping[Hashable, Any]) -> str:
    bin_ends = _known(row["low"]), _known(row["high"])
    return level_text(row["value"] if bin_ends == (None, None) else bin_ends)


def _failures(trials: pd.DataFrame) -> Iterator[Table]:
    failed = trials[trials["state"] == "failed"]
    if failed.empty:
        return
    causes = failed.assign(cause=failed["cause"].fillna("unknown")).groupby("cause")["overrides"]
    rows = causes.agg(["size", "first"]).sort_values("size", ascending=False).reset_index()
    yield make_table(
        "Failures by cause",
        [
            text_column("cause", lambda row: row["cause"]),
            number_column("points", lambda row: number_cell(row["size"])),
            text_column("one of them", lambda row: row["first"]),
        ],
        rows.to_dict("records"),
    )


def _known(value: float | None) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
