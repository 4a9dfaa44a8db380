"""How a sweep went: what it found point by point, and which settings mattered."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

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
"""Form and colour of a point by what became of it."""

_MANY = 1000
"""Points beyond which marks are stored as pixels (our choice)."""


@styled()
def draw_history(summary: SweepSummary, trials: pd.DataFrame, warning: str = "") -> Plot | None:
    """Draw dev UA by the number of the point, the best so far, and the importances.

    Args:
        summary: The sweep.
        trials: Its points (`sercli.results.sweep_summary.write_sweep`).
        warning: What nobody may overlook.

    Returns:
        None where no point has a dev UA.
    """
    if trials["dev_ua"].notna().sum() == 0:
        return None
    importance = dict(summary.importance or {})
    figure = new_figure(DOUBLE, 62, warning)
    if importance:
        points, bars = figure.subplots(1, 2, width_ratios=[5, 2])
        _draw_importance(bars, importance)
    else:
        points = figure.subplots()
    _draw_points(points, trials.sort_values("number"))
    legend_below(figure, points)
    return Plot(
        file_name("history", summary.experiment),
        f"What the sweep {summary.experiment} found",
        _caption(summary, bool(importance)),
        figure,
    )


def _draw_points(axes: Axes, trials: pd.DataFrame) -> None:
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
    axes.set_xlabel("number of the point")
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


def _caption(summary: SweepSummary, importance: bool) -> str:
    parts = [
        f"Dev UA of every point of the sweep {summary.experiment} (sampler: {summary.sampler}) by "
        "its number, and the best so far. A point that diverged, failed or was pruned without a UA "
        "stands on the lower edge. Test plays no part."
    ]
    if importance:
        parts.append(
            "Right: how much each setting decides whether a point is among the best (PED-ANOVA)."
        )
    return " ".join(parts)
