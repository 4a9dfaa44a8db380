"""Notes before a sweep starts: its name, the experiment that it adds to, the seal on test."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from sercli.results.sweep_summary import SweepSummary, find_sweep, settings_of
from sercli.search.plan.plan import GRID, Plan
from sercli.search.study.study import Study

FEW_SYSTEMS = 12
"""Trials up to which a grid of choices may be a comparison of named systems (our choice)."""


def announce(plan: Plan, study: Study, before: pd.DataFrame) -> Iterator[str]:
    """Yield the notes on a sweep, to be read before anything is trained.

    Args:
        plan: The plan.
        study: The study, with the trials of the plan.
        before: The trials of the study before they were added.
    """
    if plan.unnamed:
        yield f"experiment {study.name}, named by what it sweeps; experiment= gives another name"
    if plan.merged:
        yield (
            f"{', '.join(plan.merged)}: no recurrent layer; trials that differ only in cell or "
            "activation are one"
        )
    added = sum(study.counts().values()) - len(before)
    if len(before) and added:
        yield from _addition(study, before, added)
        trials, settings = study.trials_of_other_settings(plan)
        if settings:
            differ = f"differ in {', '.join(settings)}"
            yield f"experiment {study.name}: {trials} trials of an earlier sweep {differ}"
    if _names_systems(plan):
        other = "" if plan.unnamed else " and another experiment="
        yield (
            "test results stay sealed, except the winner's: this is a search. To compare systems "
            f"named beforehand, run it with --comparison{other}; finished runs are not trained "
            "again"
        )


def _addition(study: Study, before: pd.DataFrame, added: int) -> Iterator[str]:
    owner = study.owner
    whose = f" ({owner.user}, {owner.time[:10]})" if owner else ""
    complete = int((before["state"] == "complete").sum())
    trials = "1 trial is" if added == 1 else f"{added} trials are"
    yield (
        f"{trials} added to experiment {study.name}{whose}, which has {len(before)}, "
        f"{complete} of them complete"
    )
    summary = find_sweep(study.folder)
    if summary is not None and summary.opened:
        yield f"test results of all trials of {study.name} have been seen (--unseal)"
    elif summary is not None and summary.shown:
        yield (
            f"the test result of the winner has been seen ({_seen(summary, before)}): another "
            "winner will be a second look at test"
        )


def _seen(summary: SweepSummary, trials: pd.DataFrame) -> str:
    rows = trials[trials["run"].isin(list(summary.shown))].to_dict("records")
    return "; ".join(settings_of(row) for row in rows) or ", ".join(summary.shown)


def _names_systems(plan: Plan) -> bool:
    """Return True if a search looks like a comparison: a small grid of choices and seeds."""
    choices = all(axis.composed or axis.key == "seeds" for axis in plan.space.axes)
    few = plan.sampler == GRID and len(plan.points) <= FEW_SYSTEMS
    return few and choices and not plan.comparison
