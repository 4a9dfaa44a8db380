"""All figures of a report, each where its data are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pandas as pd

from sercli.reporting.figures.confusion import draw_confusion
from sercli.reporting.figures.curves import ROWS, draw_curves, has_curves
from sercli.reporting.figures.forest import draw_forest
from sercli.reporting.figures.history import draw_history
from sercli.reporting.figures.plot import Plot
from sercli.reporting.figures.surface import SURFACES, draw_surface, find_surfaces
from sercli.reporting.figures.trajectories import draw_trajectories
from sercli.results.run_record import Record
from sercli.results.sweep_summary import SweepSummary

SYSTEMS = 12
"""Systems of a task whose training is drawn, the best on dev (our choice)."""


def draw_all(
    records: Sequence[Record],
    sweeps: Sequence[tuple[SweepSummary, pd.DataFrame]],
    *,
    systems: Mapping[str, str],
    shows_test: Callable[[Record], bool],
    published: Mapping[str, float] | None = None,
) -> Iterator[Plot]:
    """Draw what the records and sweeps of a report give, one figure after the other.

    Runs of different tasks (corpus, classes, division) never share a figure. Of many runs those
    best on dev are drawn, and captions say how many are not.

    Args:
        records: The runs.
        sweeps: The page and the points of every sweep.
        systems: Key of a run → its name in tables.
        shows_test: Whether the test figures of a run may be seen. Of one that is sealed, nothing
            is drawn but what dev and training show.
        published: Key of a run → UA published for what it repeats, as a fraction; of comparable
            ones only.

    Yields:
        Figures with different names.
    """
    taken: dict[str, int] = {}
    for drawn in _draw(records, sweeps, systems, shows_test, published or {}):
        taken[drawn.name] = number = taken.get(drawn.name, 0) + 1
        yield drawn if number == 1 else replace(drawn, name=f"{drawn.name}-{number}")


def _draw(
    records: Sequence[Record],
    sweeps: Sequence[tuple[SweepSummary, pd.DataFrame]],
    systems: Mapping[str, str],
    shows_test: Callable[[Record], bool],
    published: Mapping[str, float],
) -> Iterator[Plot]:
    tasks = _tasks(records)
    for task in tasks:
        yield from _draw_results([x for x in task if shows_test(x)], systems, published)
    for summary, trials in sweeps:
        yield from _draw_sweep(summary, trials, records)
    for task in tasks:
        yield from _draw_training(task, systems, shows_test)


def _draw_results(
    records: Sequence[Record], systems: Mapping[str, str], published: Mapping[str, float]
) -> Iterator[Plot]:
    warning = _warning(records)
    for drawn in (
        draw_forest(records, systems, published, warning),
        draw_confusion(records, systems, warning),
    ):
        if drawn is not None:
            yield drawn


def _draw_sweep(
    summary: SweepSummary, trials: pd.DataFrame, records: Sequence[Record]
) -> Iterator[Plot]:
    warning = _warning([each for each in records if each.experiment == summary.experiment])
    for surface in islice(find_surfaces(summary, trials), SURFACES):
        yield draw_surface(summary, surface, warning)
    if (drawn := draw_history(summary, trials, warning)) is not None:
        yield drawn


def _draw_training(
    records: Sequence[Record], systems: Mapping[str, str], shows_test: Callable[[Record], bool]
) -> Iterator[Plot]:
    warning = _warning(records)
    trained = list(islice(filter(has_curves, records), SYSTEMS))
    for start in range(0, len(trained), ROWS):
        drawn = draw_curves(trained[start : start + ROWS], systems, shows_test, warning)
        yield _cut(drawn, len(records))
    for record in trained:
        learned = draw_trajectories(record, systems[record.key], warning)
        if learned is not None:
            yield learned


def _cut(drawn: Plot, runs: int) -> Plot:
    """Say in the caption that not all runs are drawn."""
    if runs <= SYSTEMS:
        return drawn
    return replace(drawn, caption=f"{drawn.caption} The {SYSTEMS} best on dev of {runs} runs.")


def _tasks(records: Sequence[Record]) -> list[list[Record]]:
    """The runs by what they were tested on, each run once, the best on dev first."""
    tasks: dict[tuple[Any, ...], list[Record]] = {}
    once = {record.key: record for record in reversed(records)}
    for record in sorted(once.values(), key=_on_dev):
        card = record.summary["card"]
        division = card.get("division", card["protocol"])
        task = card["dataset"], card["synthetic"], tuple(card["classes"]), division
        tasks.setdefault(task, []).append(record)
    return list(tasks.values())


def _on_dev(record: Record) -> tuple[float, str]:
    return -(record.metrics.get("dev_ua") or 0.0), record.key


def _warning(records: Sequence[Record]) -> str:
    """What a reader of a figure of these runs may not overlook."""
    cards = [record.summary["card"] for record in records]
    warnings = {
        "SYNTHETIC SPEECH": any(card["synthetic"] for card in cards),
        "TEST-SELECTED": any(card.get("selected_on") == "test" for card in cards),
    }
    return " · ".join(text for text, applies in warnings.items() if applies)
