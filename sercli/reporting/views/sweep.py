"""The outcome of a sweep: trials by state, the best trial, importance and effects, failures."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from sercli.config.keys import ALPHA, BETA
from sercli.errors import SercliError, counted
from sercli.reporting.table import (
    Columns,
    Table,
    View,
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
from sercli.results.sweep_summary import STATES, SweepSummary, read_sweep, read_trials, settings_of

if TYPE_CHECKING:
    from sercli.analysis.optimism import Optimism

Sweep = tuple[SweepSummary, pd.DataFrame]
"""Summary of a sweep, and the table of its trials (`sercli.results.sweep_summary.write_sweep`)."""

_COLUMNS = ["number", "state", "run", "overrides", "dev_ua", "seconds", "attempts", "cause"]
"""Columns that every table of trials has."""

_RESAMPLED = 300
"""Trials, best on dev, among which the selection is repeated (our choice: some four seconds); the
others would hardly ever be selected."""

_NOT_NESTED = (
    "If every speaker is in dev in one fold and in test in another, the trial was selected with "
    "the labels of all speakers, and its test results are slightly optimistic too."
)

_Row = dict[Hashable, Any]


def read_sweeps(records: Sequence[Record]) -> tuple[list[Sweep], list[str]]:
    """Read the sweeps that runs are trials of.

    Returns:
        The sweeps, and a line about each that cannot be read.
    """
    sweeps, damaged = [], []
    for folder in dict.fromkeys(record.path.parent for record in records):
        try:
            if (summary := read_sweep(folder)) is not None:
                trials = read_trials(folder)
                trials[_COLUMNS]  # raises where one is missing
                sweeps.append((summary, trials))
        except SercliError as error:
            damaged.append(str(error))
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            damaged.append(f"{folder / 'trials.parquet'} cannot be read ({reason}); restore it")
    return sweeps, damaged


def with_sweeps(view: View, sweeps: Sequence[Sweep], records: Sequence[Record]) -> View:
    """Add the outcome of sweeps to a view."""
    if not sweeps:
        return view
    tables = [
        table
        for summary, trials in sweeps
        for table in sweep_tables(
            summary, trials, [each for each in records if each.experiment == summary.experiment]
        )
    ]
    data = {**view.data, "sweeps": [asdict(summary) for summary, _ in sweeps]}
    return replace(view, tables=(*view.tables, *tables), data=data)


def sweep_tables(
    summary: SweepSummary, trials: pd.DataFrame, records: Sequence[Record]
) -> list[Table]:
    """Tabulate the outcome of a sweep.

    The only test results are those of the winner, and only once no trial waits or runs.

    Args:
        summary: The sweep in short.
        trials: Its trials.
        records: The runs of its experiment; only dev is read of all but the winner.

    Returns:
        Trials by state; the best trial and the optimism of its selection; the Pareto front of
        several objectives; effect and importance of every setting; failures by cause. Empty
        tables are left out.
    """
    best = (
        []
        if summary.comparison or summary.winner is None
        else [_best_table(summary, trials, records)]
    )
    measured = [*best, *_front_table(summary, trials), *_effect_table(trials)]
    if any(record.summary["card"]["synthetic"] for record in records):
        measured = [replace(table, warning=SYNTHETIC) for table in measured]
    return [_state_table(summary), *measured, *_importance_table(summary), *_failure_table(trials)]


def _state_table(summary: SweepSummary) -> Table:
    return make_table(
        f"{summary.experiment}: trials by state",
        [
            text_column("state", lambda state: state),
            number_column("trials", lambda state: number_cell(summary.states[state])),
        ],
        [state for state in STATES if summary.states.get(state)],
        notes=_state_notes(summary),
    )


def _state_notes(summary: SweepSummary) -> Iterator[str]:
    yield f"Compared on dev: {counted(summary.states.get('complete', 0), 'trial')}."
    if summary.pruner is not None:
        yield f"Pruned: stopped early by '{summary.pruner}', without dev UA."
    if summary.comparison:
        yield "A comparison of pre-registered systems: all trials are results, none was selected."
    elif summary.sealed:
        yield "Sealed: no test results of trials but the winner's."
    for opening in summary.opened:
        yield f"Unsealed for all trials on {opening['time']} by {opening['how']}."
    earlier = [key for key in summary.shown if key != summary.winner]
    if earlier:
        yield (
            f"Test results of {counted(len(earlier), 'earlier winner')} were shown before: "
            f"{', '.join(earlier)}. Those shown now are one more selection on test."
        )
    if not summary.complete:
        left = summary.states.get("waiting", 0) + summary.states.get("running", 0)
        yield f"{counted(left, 'trial')} waiting or running when a worker last stopped."
        if summary.sealed:
            yield "The winner and its test results are shown when all trials have ended."


def _best_table(summary: SweepSummary, trials: pd.DataFrame, records: Sequence[Record]) -> Table:
    from sercli.analysis.optimism import optimism

    compared = trials[trials["state"] == "complete"]
    best = compared.nlargest(_RESAMPLED, "dev_ua")
    found = optimism([record for record in records if record.key in set(best["run"])])
    row: dict[str, Any] = asdict(found) if found else {}
    for trial in compared[compared["run"] == summary.winner].to_dict("records"):
        row |= {"trial": settings_of(trial), "dev_ua": trial["dev_ua"]}
    if summary.complete:
        of_winner = (record.metrics for record in records if record.key == summary.winner)
        row["test"] = next(of_winner, {})
    return make_table(
        f"{summary.experiment}: the best trial on dev (%)",
        [
            text_column("trial", lambda row: row.get("trial")),
            text_column("run", lambda row: summary.winner),
            number_column("dev UA", lambda row: percent_cell(row.get("dev_ua"))),
            number_column("corrected", lambda row: percent_cell(row.get("corrected"))),
            number_column("95 % CI", lambda row: interval_cell(row.get("interval"))),
            number_column("optimism", lambda row: points_cell(row.get("optimism"))),
            number_column("test UA", lambda row: percent_cell(row.get("test", {}).get("ua"))),
            number_column("test WA", lambda row: percent_cell(row.get("test", {}).get("wa"))),
        ],
        [row],
        notes=[_optimism_note(found, len(compared)), _NOT_NESTED],
    )


def _optimism_note(found: Optimism | None, trials: int) -> str:
    if found is None:
        return ""
    return (
        f"Corrected: dev UA to expect, with other speakers, of the best of {trials} trials (BBC-CV "
        "over speakers), and its 95 % CI. Optimism: dev UA minus corrected, in percentage points. "
        "That the training step of each run was selected on the same dev is not corrected for."
    )


def _front_table(summary: SweepSummary, trials: pd.DataFrame) -> Iterator[Table]:
    front = trials[trials["run"].isin(list(summary.front))].sort_values("dev_ua", ascending=False)
    if front.empty:
        return
    columns: Columns[_Row] = [
        text_column("trial", settings_of),
        text_column("run", lambda row: row["run"]),
        number_column("dev UA (%)", lambda row: percent_cell(_known(row["dev_ua"]))),
    ]
    costs = [name for name in summary.objectives if name != "dev_ua" and name in trials]
    columns += [_cost_column(name) for name in costs]
    title = f"{summary.experiment}: Pareto front of {' and '.join(summary.objectives)}"
    yield make_table(
        title, columns, front.to_dict("records"), notes=["No other trial is better in all of them."]
    )


def _cost_column(name: str) -> Any:
    return number_column(name, lambda row: number_cell(_known(row[name]), ".4g"))


def _effect_table(trials: pd.DataFrame) -> Iterator[Table]:
    from sercli.analysis.effects import effects, effects_of_pair, swept

    found = effects(trials)
    if found.empty:
        return
    notes = ["Mean over the trials with the value."]
    if found["paired"].any():
        notes.append(
            "±: standard deviation; over a complete grid, without the effects of other settings."
        )
    if {ALPHA, BETA} <= set(swept(trials[trials["state"] == "complete"])):
        best = effects_of_pair(trials, ALPHA, BETA).iloc[0]
        notes.append(
            f"Best pair: α = {best[ALPHA]} and β = {best[BETA]}, mean dev UA "
            f"{100 * best['mean']:.1f} over {counted(int(best['n']), 'trial')}."
        )
    yield make_table(
        "Dev UA by setting (%)",
        [
            text_column("setting", lambda row: row["key"]),
            text_column("value", _level),
            number_column("dev UA", lambda row: percent_cell(row["mean"], _known(row["sd"]))),
            number_column("trials", lambda row: number_cell(row["n"])),
        ],
        found.to_dict("records"),
        notes=notes,
    )


def _level(row: _Row) -> str:
    from sercli.analysis.effects import level_text

    ends = _known(row["low"]), _known(row["high"])
    return level_text(row["value"] if ends == (None, None) else ends)


def _importance_table(summary: SweepSummary) -> Iterator[Table]:
    if summary.importance:
        yield make_table(
            f"{summary.experiment}: importance of every setting",
            [
                text_column("setting", lambda item: item[0]),
                number_column("importance", lambda item: number_cell(item[1], ".2f")),
            ],
            sorted(summary.importance.items(), key=lambda item: -item[1]),
            notes=["Share in deciding whether a trial is among the best (PED-ANOVA); sums to 1."],
        )


def _failure_table(trials: pd.DataFrame) -> Iterator[Table]:
    failed = trials[trials["state"] == "failed"]
    if failed.empty:
        return
    causes = failed.assign(cause=failed["cause"].fillna("unknown")).groupby("cause")["overrides"]
    rows = causes.agg(["size", "first"]).sort_values("size", ascending=False).reset_index()
    yield make_table(
        "Failures by cause",
        [
            text_column("cause", lambda row: row["cause"]),
            number_column("trials", lambda row: number_cell(row["size"])),
            text_column("example", lambda row: row["first"]),
        ],
        rows.to_dict("records"),
    )


def _known(value: float | None) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
