"""Contours through points that lie anywhere, and the points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import LogLocator, NullFormatter

from sercli.reporting.figures.smooth import MOST, smooth
from sercli.reporting.figures.style import COLOURS, GREY, VERMILLION, figure_text

FEWEST = 6
"""Points that contours need (our choice)."""

_SIDE = 50

_DECADES = 1e3
"""Range of a logarithmic axis beyond which it has a number for each decade (our choice)."""


def draw_contours(
    axes: Axes, points: pd.DataFrame, shades: Normalize, logarithmic: Sequence[bool]
) -> None:
    """Draw the points with the UA that they gave, the best of them, and a smooth surface behind.

    Args:
        axes: Where.
        points: ``x``, ``y``, ``dev_ua`` and ``diverged``.
        shades: Between which UA the colours lie.
        logarithmic: Whether the x axis is, and the y axis.
    """
    measured, lost = points.dropna(), points[points["diverged"]]
    if len(measured) >= FEWEST:
        _draw_surface(axes, measured, shades, logarithmic)
    axes.scatter(
        measured["x"], measured["y"], c=measured["dev_ua"], cmap=COLOURS, norm=shades, s=12,
        edgecolors="black", linewidths=0.5, zorder=3, clip_on=False, label="point",
        rasterized=len(measured) > MOST,
    )  # fmt: skip
    if not lost.empty:
        axes.scatter(
            lost["x"], lost["y"], marker="x", s=16, color=VERMILLION, zorder=3, clip_on=False,
            label="diverged",
        )  # fmt: skip
    best = measured.iloc[int(measured["dev_ua"].argmax())]
    axes.plot(
        best["x"], best["y"], "*", color=VERMILLION, markersize=11, markeredgecolor="white",
        zorder=4, clip_on=False, linestyle="none", label=f"best: {best['x']:.3g}, {best['y']:.3g}",
    )  # fmt: skip
    for axis, log in zip("xy", logarithmic, strict=True):
        if log:
            _set_log(axes, axis)


def _draw_surface(
    axes: Axes, measured: pd.DataFrame, shades: Normalize, logarithmic: Sequence[bool]
) -> None:
    plane = measured[["x", "y"]].to_numpy()
    plane = np.where(logarithmic, np.log(np.where(logarithmic, plane, 1.0)), plane)
    low, high = plane.min(axis=0), plane.max(axis=0)
    side = np.linspace(0, 1, _SIDE)
    square = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    heights = smooth((plane - low) / (high - low), measured["dev_ua"].to_numpy(), square)
    places = low + square * (high - low)
    places = np.where(logarithmic, np.exp(places), places).reshape(_SIDE, _SIDE, 2)
    surface = places[..., 0], places[..., 1], heights.reshape(_SIDE, _SIDE)
    levels = np.linspace(measured["dev_ua"].min(), measured["dev_ua"].max(), 11)
    if levels[0] < levels[-1]:
        axes.contourf(*surface, levels=levels, cmap=COLOURS, norm=shades, extend="both")
        axes.contour(*surface, levels=levels, colors=GREY, linewidths=0.3)


def _set_log(axes: Axes, axis: str) -> None:
    """Scale an axis by its logarithm, with plain numbers beside it."""
    axes.set(**{f"{axis}scale": "log"})
    numbers = axes.xaxis if axis == "x" else axes.yaxis
    low, high = numbers.get_view_interval()
    numbers.set_major_locator(LogLocator(subs=(1, 3) if high < _DECADES * low else (1,)))
    numbers.set_major_formatter(lambda value, place: figure_text(value))
    numbers.set_minor_formatter(NullFormatter())
