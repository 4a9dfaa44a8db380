"""The course of a sweep: dev UA by trial, and the importance of settings."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sercli.reporting.figures.plot import Plot, file_name
from sercli.reporting.figures.style import (
    BLUE,
    DOUBLE,
    GREY,
    PURPLE,
    SKY,
    VERMILLION,
    grid_lines,
    legend_below,
    new_figure,
    styled,
    wrapped,
)
from sercli.results.sweep_summary import SweepSummary

_MARKS = {"complete": ("o", BLUE), "diverged": ("x", VERMILLION), "pruned": ("v", PURPLE),
          "failed": ("+", "black")}  # fmt: skip
"""State of a trial → its marker and colour."""

_FEWEST = 5
"""Trials with a dev UA below which nothing is drawn (our choice: a table says it better)."""

_MANY = 1000
"""Trials beyond which markers are rasterized (our choice)."""


@styled()
def draw_history(summary: SweepSummary, trials: pd.DataFrame, warning: str = "") -> Plot | None:
    """Draw dev UA by trial number, the best so far, and the importance of settings.

    Args:
        summary: The sweep in short.
        trials: Its trials.
        warning: A warning above the figure.

    Returns:
        None for a comparison, whose order of trials means nothing, or if fewer than five trials
        have a dev UA.
    """
    if summary.comparison or trials["dev_ua"].notna().sum() < _FEWEST:
        return None
    importance = dict(summary.importance or {})
    figure = new_figure(DOUBLE, 62, warning)
    if importance:
        points, bars = figure.subplots(1, 2, width_ratios=[5, 2])
        _draw_importance(bars, importance)
    else:
        points = figure.subplots()
    _draw_trials(points, trials.sort_values("number"))
    legend_below(figure, points)
    return Plot(
        file_name("history", summary.experiment),
        f"Dev UA of the sweep {summary.experiment}",
        _history_caption(summary, bool(importance)),
        figure,
    )


def _draw_trials(axes: Axes, trials: pd.DataFrame) -> None:
    measured = trials.dropna(subset=["dev_ua"])
    best = 100 * measured.loc[measured["state"] == "complete", "dev_ua"].cummax()
    axes.step(
        measured.loc[best.index, "number"], best, where="post", color=SKY, label="best so far"
    )
    lowest, highest = float(measured["dev_ua"].min()), float(measured["dev_ua"].max())
    edge = lowest - 0.07 * (highest - lowest)
    for state, (mark, colour) in _MARKS.items():
        points = trials[trials["state"] == state]
        if points.empty:
            continue
        axes.scatter(
            points["number"],
            100 * points["dev_ua"].fillna(edge),
            marker=mark,
            s=14,
            color=colour,
            linewidths=1,
            label=state,
            rasterized=len(points) > _MANY,
            zorder=3,
        )
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("dev UA (%)")
    grid_lines(axes)


def _draw_importance(axes: Axes, importance: dict[str, float]) -> None:
    ordered = sorted(importance.items(), key=lambda item: item[1])[-12:]
    places = range(len(ordered))
    axes.barh(places, [value for _, value in ordered], color=SKY, edgecolor="black", linewidth=0.5)
    axes.set_yticks(places, [wrapped(key, 22) for key, _ in ordered])
    axes.tick_params(axis="y", length=0)
    for place, (_, value) in enumerate(ordered):
        axes.text(value, place, f" {value:.2f}", va="center", color=GREY)
    axes.margins(x=0.2)
    axes.set_xlabel("importance (share)")


def _history_caption(summary: SweepSummary, importance: bool) -> str:
    parts = [
        f"Dev UA of every trial of the sweep {summary.experiment} (sampler: {summary.sampler}), "
        "and the best so far. A trial that diverged, failed or was pruned without a UA is on the "
        "lower edge. No test results are used."
    ]
    if importance:
        parts.append(
            "Right: share of each setting in deciding whether a trial is among the best "
            "(PED-ANOVA)."
        )
    return " ".join(parts)
