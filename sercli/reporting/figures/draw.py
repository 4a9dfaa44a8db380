"""The figures of a report, as far as there are data for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pandas as pd

from sercli.analysis.comparability import published_match, why_incomparable
from sercli.reporting.figures.confusion import draw_confusion
from sercli.reporting.figures.curves import ROWS, draw_curves, has_curves
from sercli.reporting.figures.forest import draw_forest
from sercli.reporting.figures.history import draw_history
from sercli.reporting.figures.plot import Plot
from sercli.reporting.figures.surface import SURFACES, draw_surface, find_surfaces
from sercli.reporting.figures.trajectories import draw_trajectories
from sercli.reporting.load import ReportData
from sercli.reporting.names import name_systems
from sercli.reporting.views.sweep import Sweep
from sercli.results.run_record import Record
from sercli.results.seal import shows_test
from sercli.results.sweep_summary import SweepSummary

SYSTEMS = 12
"""Most systems of a task whose training is drawn, the best on dev (our choice)."""


def draw_report(data: ReportData) -> Iterator[Plot]:
    """Draw the figures of a report."""
    names = name_systems(data.records)
    systems = {record.key: name.name for record, name in zip(data.records, names, strict=True)}
    return draw_all(
        data.records, data.sweeps, systems, _published_ua(data), test_curves=data.unsealed
    )


def draw_all(
    records: Sequence[Record],
    sweeps: Sequence[Sweep],
    systems: Mapping[str, str],
    published: Mapping[str, float] | None = None,
    *,
    test_curves: bool = False,
) -> Iterator[Plot]:
    """Draw the figures of runs and sweeps.

    Runs of different tasks (corpus, classes, division) never share a figure. Of many runs the best
    on dev are drawn, and the caption gives the number of the others. Of a sealed run only dev and
    training are drawn.

    Args:
        records: The runs.
        sweeps: The sweeps.
        systems: Key of a run → its name in tables.
        published: Key of a run → published UA of the same system as a fraction; only comparable
            ones.
        test_curves: Draw the curves of test UA as well.

    Yields:
        Figures with unique names.
    """
    taken: dict[str, int] = {}
    for plot in _draw(records, sweeps, systems, published or {}, test_curves):
        taken[plot.name] = number = taken.get(plot.name, 0) + 1
        yield plot if number == 1 else replace(plot, name=f"{plot.name}-{number}")


def _published_ua(data: ReportData) -> dict[str, float]:
    """Return key of a run → UA published for the same system, where the two are comparable."""
    found = {}
    for record in data.records:
        baseline = published_match(record.summary["configuration"], data.baselines)
        if baseline is not None and why_incomparable(record.summary["card"], baseline) is None:
            found[record.key] = baseline.ua / 100
    return found


def _draw(
    records: Sequence[Record],
    sweeps: Sequence[Sweep],
    systems: Mapping[str, str],
    published: Mapping[str, float],
    test_curves: bool,
) -> Iterator[Plot]:
    tasks = _by_task(records)
    for task in tasks:
        yield from _draw_results(task, systems, published)
    for summary, trials in sweeps:
        yield from _draw_sweep(summary, trials, records)
    for task in tasks:
        yield from _draw_training(task, systems, test_curves)


def _draw_results(
    task: Sequence[Record], systems: Mapping[str, str], published: Mapping[str, float]
) -> Iterator[Plot]:
    records = [record for record in task if shows_test(record)]
    warning = _warning(records)
    plots = [draw_confusion(records, systems, warning)]
    if len(records) > 1 or len(task) == 1:  # the winner of a search has nothing beside it
        plots.insert(0, draw_forest(records, systems, published, warning))
    yield from (plot for plot in plots if plot is not None)


def _draw_sweep(
    summary: SweepSummary, trials: pd.DataFrame, records: Sequence[Record]
) -> Iterator[Plot]:
    warning = _warning([each for each in records if each.experiment == summary.experiment])
    for surface in islice(find_surfaces(summary, trials), SURFACES):
        yield draw_surface(summary, surface, warning)
    if (plot := draw_history(summary, trials, warning)) is not None:
        yield plot


def _draw_training(
    records: Sequence[Record], systems: Mapping[str, str], test_curves: bool
) -> Iterator[Plot]:
    warning = _warning(records)
    trained = list(islice(filter(has_curves, records), SYSTEMS))
    for start in range(0, len(trained), ROWS):
        plot = draw_curves(trained[start : start + ROWS], systems, warning, test=test_curves)
        yield _noting_cut(plot, len(records))
    learned = draw_trajectories(trained, systems, warning)
    if learned is not None:
        yield _noting_cut(learned, len(records))


def _noting_cut(plot: Plot, runs: int) -> Plot:
    """Add to the caption that not all runs are drawn."""
    if runs <= SYSTEMS:
        return plot
    return replace(
        plot, caption=f"{plot.caption} Shown: the {SYSTEMS} of {runs} runs that are best on dev."
    )


def _by_task(records: Sequence[Record]) -> list[list[Record]]:
    """Group distinct runs by task, the best on dev first."""
    tasks: dict[tuple[Any, ...], list[Record]] = {}
    once = {record.key: record for record in reversed(records)}
    for record in sorted(once.values(), key=_dev_order):
        card = record.summary["card"]
        division = card.get("division", card["protocol"])
        task = card["dataset"], card["synthetic"], tuple(card["classes"]), division
        tasks.setdefault(task, []).append(record)
    return list(tasks.values())


def _dev_order(record: Record) -> tuple[float, str]:
    return -(record.metrics.get("dev_ua") or 0.0), record.key


def _warning(records: Sequence[Record]) -> str:
    """Return the warning that the figures of these runs carry."""
    cards = [record.summary["card"] for record in records]
    warnings = {
        "SYNTHETIC SPEECH": any(card["synthetic"] for card in cards),
        "TEST-SELECTED": any(card.get("selected_on") == "test" for card in cards),
    }
    return " · ".join(text for text, applies in warnings.items() if applies)
