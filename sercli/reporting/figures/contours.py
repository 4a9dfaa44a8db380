"""Dev UA at scattered points, and contours of a smooth surface through them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import LogLocator, NullFormatter

from sercli.reporting.figures.style import COLOURS, GREY, VERMILLION, figure_text

FEWEST = 6
"""Points that contours need (our choice)."""

MOST = 150
"""Points of a fit; of more, some are drawn at random (our choice: a fit then takes a second)."""

_SIDE = 50
"""Grid points per side of the surface."""

_DECADES = 1e3
"""Range of a logarithmic axis beyond which it has a number for each decade (our choice)."""


def draw_contours(
    axes: Axes, points: pd.DataFrame, shades: Normalize, logarithmic: Sequence[bool]
) -> None:
    """Draw trials coloured by dev UA, the best trial, and a smooth surface behind them.

    Args:
        axes: The axes.
        points: ``x``, ``y``, ``dev_ua`` and ``diverged`` of each trial.
        shades: Range of the colours, in UA.
        logarithmic: True for a logarithmic x axis; the same for y.
    """
    measured, lost = points.dropna(), points[points["diverged"]]
    if len(measured) >= FEWEST:
        _draw_surface(axes, measured, shades, logarithmic)
    axes.scatter(
        measured["x"], measured["y"], c=measured["dev_ua"], cmap=COLOURS, norm=shades, s=12,
        edgecolors="black", linewidths=0.5, zorder=3, clip_on=False, label="trial",
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
    """Make an axis logarithmic, with plain numbers."""
    axes.set(**{f"{axis}scale": "log"})
    numbers = axes.xaxis if axis == "x" else axes.yaxis
    low, high = numbers.get_view_interval()
    numbers.set_major_locator(LogLocator(subs=(1, 3) if high < _DECADES * low else (1,)))
    numbers.set_major_formatter(lambda value, place: figure_text(value))
    numbers.set_minor_formatter(NullFormatter())


def smooth(points: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Fit a noisy Gaussian process to values in the plane, and return its mean elsewhere.

    Matérn covariance (ν = 5/2) with one length scale per direction; lengths, variance
    and noise by maximum likelihood (Rasmussen & Williams 2006, chapters 4 and 5).

    Args:
        points: Places of the values in the unit square, (n, 2).
        values: Values, (n,).
        wanted: Places of the surface in the unit square, (m, 2).

    Returns:
        Heights, (m,).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    if len(points) > MOST:
        drawn = np.random.default_rng(0).choice(len(points), MOST, replace=False)
        points, values = points[drawn], values[drawn]
    lengths = Matern([0.3, 0.3], (0.05, 10.0), nu=2.5)
    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * lengths + WhiteKernel(0.1, (1e-3, 1.0))
    process = GaussianProcessRegressor(kernel, normalize_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a flat surface has no length
        process.fit(points, values)
    mean: np.ndarray = process.predict(wanted)
    return mean
