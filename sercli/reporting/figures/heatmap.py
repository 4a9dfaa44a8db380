"""A heat map of dev UA over two settings."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from sercli.reporting.figures.style import COLOURS, VERMILLION, figure_text, text_colour

_ROOMY, _LEGIBLE = 9, 15
"""Values per axis up to which numbers have full size, and are written at all (our choice)."""


def draw_heatmap(axes: Axes, points: pd.DataFrame, shades: Normalize) -> None:
    """Draw the mean UA of every pair of values, a cross where all diverged, a frame at the best.

    Args:
        axes: The axes.
        points: ``x``, ``y``, ``dev_ua`` and ``diverged`` of each trial.
        shades: Range of the colours, in UA.
    """
    table = points.groupby(["y", "x"])["dev_ua"].mean().unstack()
    columns, rows = (axis.astype(float).tolist() for axis in (table.columns, table.index))
    means = table.to_numpy()
    squares = axes.pcolormesh(means, cmap=COLOURS, norm=shades, edgecolors="white", linewidth=0.6)
    size = 6 if max(means.shape) <= _ROOMY else 4.5
    for (row, column), mean in np.ndenumerate(means):
        if np.isfinite(mean) and max(means.shape) <= _LEGIBLE:
            _write(axes, row, column, f"{mean:.1f}", text_colour(squares.to_rgba(mean)), size)
    lost = points[points["diverged"]]
    for x, y in zip(lost["x"].tolist(), lost["y"].tolist(), strict=True):
        row, column = rows.index(y), columns.index(x)
        if np.isnan(means[row, column]):
            _write(axes, row, column, "×", VERMILLION, size + 3)
    _frame_best(axes, means)
    axes.set_xticks(*_ticks(columns, _ROOMY))
    axes.set_yticks(*_ticks(rows, _LEGIBLE))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _write(axes: Axes, row: int, column: int, text: str, colour: str, size: float) -> None:
    axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, fontsize=size)


def _ticks(values: list[float], most: int) -> tuple[list[float], list[str]]:
    """Return positions and labels of at most ``most`` ticks."""
    every = -(-len(values) // most)
    shown = range(0, len(values), every)
    return [place + 0.5 for place in shown], [figure_text(values[place]) for place in shown]


def _frame_best(axes: Axes, means: np.ndarray) -> None:
    row, column = map(int, np.unravel_index(np.nanargmax(means), means.shape))
    frame = Rectangle((column, row), 1, 1, fill=False, edgecolor=VERMILLION, linewidth=2, zorder=4)
    axes.add_patch(frame)
