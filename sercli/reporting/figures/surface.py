"""Dev UA over two settings that were swept, as α and β."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from sercli.config.keys import ALPHA, BETA
from sercli.reporting.figures.contours import FEWEST, draw_contours
from sercli.reporting.figures.heatmap import draw_heatmap
from sercli.reporting.figures.plot import Plot, file_name
from sercli.reporting.figures.style import (
    COLOURS,
    SINGLE,
    legend_below,
    new_figure,
    styled,
    wrapped,
)
from sercli.results.sweep_summary import PARAMETER, SweepSummary

SURFACES = 4
"""Surfaces of a sweep. Of a further number with more values all are drawn together (our choice)."""

_FILLED = 2 / 3
"""Share of all pairs of values that makes a heat map; else points lie anywhere (our choice)."""

_NAMES = {ALPHA: "initial α", BETA: "initial β"}


@dataclass(frozen=True)
class Surface:
    """Points of a sweep over two numeric settings.

    Attributes:
        x: Key of the one setting.
        y: Key of the other.
        points: ``x``, ``y``, ``dev_ua`` (per cent, NaN where there is none) and ``diverged``.
        fixed: What further settings are, in words.
        together: Keys of further settings whose values are drawn together.
    """

    x: str
    y: str
    points: pd.DataFrame
    fixed: str
    together: tuple[str, ...]


def find_surfaces(summary: SweepSummary, trials: pd.DataFrame) -> Iterator[Surface]:
    """Yield a surface over α and β, else over the two numeric settings that matter most.

    There is one for every choice of further settings.

    Args:
        summary: The sweep.
        trials: Its points (`sercli.results.sweep_summary.write_sweep`).
    """
    settings = {
        name.removeprefix(PARAMETER): trials[name]
        for name in trials.columns
        if name.startswith(PARAMETER) and _varies(trials[name])
    }
    numeric = _numeric(settings, summary.importance or {})
    if len(numeric) < 2:
        return
    x, y = sorted(list(numeric)[:2])
    points = pd.DataFrame(
        {
            "x": numeric[x],
            "y": numeric[y],
            "dev_ua": 100 * trials["dev_ua"].where(trials["state"] == "complete"),
            "diverged": trials["state"] == "diverged",
        }
    ).dropna(subset=["x", "y"])
    together = tuple(key for key in list(numeric)[2:] if numeric[key].nunique() > SURFACES)
    rest = {key: values for key, values in settings.items() if key not in (x, y, *together)}
    for fixed, part in points.groupby(_in_words(rest, points.index)):
        measured = part.dropna()
        if _varies(measured["x"]) and _varies(measured["y"]):
            yield Surface(x, y, part, str(fixed), together)


def _numeric(
    settings: Mapping[str, pd.Series], importance: Mapping[str, float]
) -> dict[str, pd.Series]:
    """The settings that are numbers, those first that a surface is drawn over."""
    numbers = {key: _numbers(values) for key, values in settings.items()}
    keys = [key for key, values in numbers.items() if _varies(values)]
    keys.sort(key=lambda key: (key not in _NAMES, -importance.get(key, 0.0)))
    return {key: numbers[key] for key in keys}


def _in_words(settings: Mapping[str, pd.Series], rows: pd.Index) -> pd.Series:
    """What the settings of each row are, as "activation=arelu, optim.lr=0.1"."""
    words = [", ".join(f"{key}={settings[key][row]}" for key in settings) for row in rows]
    return pd.Series(words, rows)


@styled()
def draw_surface(summary: SweepSummary, surface: Surface, warning: str = "") -> Plot:
    """Draw a heat map where all pairs of values were tried, else contours and the points.

    Args:
        summary: The sweep.
        surface: Its points.
        warning: What nobody may overlook.
    """
    figure = new_figure(SINGLE, 74, warning)
    axes = figure.subplots()
    points = surface.points
    shades = Normalize(points["dev_ua"].min(), points["dev_ua"].max())
    lattice = _is_lattice(summary, points)
    if lattice:
        draw_heatmap(axes, points, shades)
    else:
        logarithmic = [
            _is_log(summary, surface.x, points["x"]),
            _is_log(summary, surface.y, points["y"]),
        ]
        draw_contours(axes, points, shades, logarithmic)
        legend_below(figure, axes)
    axes.set_xlabel(_NAMES.get(surface.x, surface.x))
    axes.set_ylabel(_NAMES.get(surface.y, surface.y))
    axes.set_title(wrapped(surface.fixed, 50))
    bar = figure.colorbar(ScalarMappable(shades, COLOURS), ax=axes, label="dev UA (%)")
    bar.outline.set_visible(False)
    title = f"Dev UA over {surface.x} and {surface.y}"
    caption = _caption(summary, surface, lattice)
    return Plot(file_name("surface", summary.experiment), title, caption, figure)


def _varies(values: pd.Series) -> bool:
    return bool(values.dropna().astype(str).nunique() > 1)


def _numbers(values: pd.Series) -> pd.Series:
    """The values as numbers, NaN where they are none; on and off are no numbers."""
    plain = values.map(lambda value: isinstance(value, int | float | str) and value is not True)
    plain &= values.map(lambda value: value is not False)
    return pd.to_numeric(values.where(plain), errors="coerce").astype(float)


def _is_lattice(summary: SweepSummary, points: pd.DataFrame) -> bool:
    pairs = points["x"].nunique() * points["y"].nunique()
    return summary.sampler == "grid" or len(points.groupby(["x", "y"])) >= _FILLED * pairs


def _is_log(summary: SweepSummary, key: str, values: pd.Series) -> bool:
    """Whether the setting was drawn on a logarithmic scale, and can be shown on one."""
    return "log" in summary.space.get(key, "") and bool((values > 0).all())


def _caption(summary: SweepSummary, surface: Surface, lattice: bool) -> str:
    measured = int(surface.points["dev_ua"].notna().sum())
    smoothed = (
        " Contours: the mean of a Gaussian process with noise through them, which helps to read "
        "and is no measurement."
    )
    parts = [
        f"Dev UA of {measured} points of the sweep {summary.experiment} ({summary.sampler}).",
        "A cell for each pair of values; framed: the best."
        if lattice
        else "Dots: the points, in the colour of what they gave; star: the best."
        + (smoothed if measured >= FEWEST else ""),
    ]
    if surface.points["diverged"].any():
        parts.append("Crosses: diverged.")
    if surface.fixed:
        parts.append(f"All of them: {surface.fixed}.")
    if surface.together:
        mean = ", and a cell is the mean" if lattice else ""
        parts.append(f"Drawn together whatever it is: {', '.join(surface.together)}{mean}.")
    return " ".join([*parts, "Test plays no part."])
