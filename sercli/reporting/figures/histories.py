"""Training histories: a thin line for each fold and seed, a thick one for their mean."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

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
    lines = history.pivot(index="step", columns=FOLD_RUN, values=column) * scale
    points = [line.dropna().reset_index().to_numpy() for _, line in lines.items()]
    thin = LineCollection(points, colors=PALE, linewidths=0.6, label="each fold and seed")
    thin.set_rasterized(sum(map(len, points)) > _MANY)
    axes.add_collection(thin)
    whole = lines.dropna()  # steps that all have reached, else the mean would jump where one stops
    if not whole.empty:
        axes.plot(whole.index, whole.mean(axis=1), color=BLUE, label="mean")
    axes.autoscale_view()
