"""Training histories: a thin line for each fold and seed, a thick one for their mean."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from sercli.reporting.figures.style import BLUE, PALE
from sercli.results.run_record import Record

_MANY = 1500
"""Points of a panel beyond which thin lines are rasterized (our choice)."""

FOLD_RUN = ["seed", "fold"]


def read_history(record: Record) -> pd.DataFrame:
    """Read the history of a record; empty if it cannot be read."""
    try:
        history = record.history()
        return history.drop_duplicates([*FOLD_RUN, "step"], keep="last")
    except (OSError, ValueError, KeyError):
        return pd.DataFrame()


def draw_histories(axes: Axes, history: pd.DataFrame, column: str, scale: float = 1.0) -> None:
    """Draw one column of a history.

    Args:
        axes: The axes.
        history: One row per seed, fold and step.
        column: The column to draw.
        scale: Factor: 100 for per cent.
    """
    lines = by_step(history, column, scale)
    points = [line.dropna().reset_index().to_numpy() for _, line in lines.items()]
    thin = LineCollection(points, colors=PALE, linewidths=0.6, label="each fold and seed")
    thin.set_rasterized(sum(map(len, points)) > _MANY)
    axes.add_collection(thin)
    for line in points:
        if len(line) == 1:  # has no length as a line
            axes.plot(*line[0], "o", color=PALE, markersize=2.5)
    draw_mean(axes, lines, color=BLUE, label="mean")
    axes.autoscale_view()


def label_steps(axes: Axes) -> None:
    """Label the axis of training steps, at whole numbers."""
    axes.set_xlabel("training step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def by_step(history: pd.DataFrame, column: str, scale: float = 1.0) -> pd.DataFrame:
    """Return one column of a history by step, a column for each fold and seed."""
    return history.pivot(index="step", columns=FOLD_RUN, values=column) * scale


def draw_mean(axes: Axes, lines: pd.DataFrame, **look: Any) -> None:
    """Draw the mean of lines up to the first that stops; of a single step as a point.

    Args:
        axes: The axes.
        lines: The lines (`by_step`).
        look: Colour, label and the like.
    """
    whole = lines.dropna()  # steps that all have reached, else the mean would jump where one stops
    if not whole.empty:
        marker = "o" if len(whole) == 1 else None
        axes.plot(whole.index, whole.mean(axis=1), marker=marker, **look)
