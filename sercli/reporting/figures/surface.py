"""Dev UA over two swept settings, such as α and β."""

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
"""Most surfaces of a sweep: a further numeric setting with more values is averaged over (our
choice)."""

_FILLED = 2 / 3
"""Share of all pairs of values that a heat map needs; else trials are scattered (our choice)."""

_NAMES = {ALPHA: "initial α", BETA: "initial β"}


@dataclass(frozen=True)
class Surface:
    """Trials of a sweep over two numeric settings.

    Attributes:
        x: Key of one setting.
        y: Key of the other.
        points: ``x``, ``y``, ``dev_ua`` (per cent, NaN for none) and ``diverged`` of each trial.
        fixed: Values of further settings, as text.
        together: Keys of further settings whose values share the surface.
    """

    x: str
    y: str
    points: pd.DataFrame
    fixed: str
    together: tuple[str, ...]


def find_surfaces(summary: SweepSummary, trials: pd.DataFrame) -> Iterator[Surface]:
    """Yield a surface over α and β, else over the two most important numeric settings.

    There is one for every choice of the further settings.

    Args:
        summary: The sweep in short.
        trials: Its trials.
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
    for fixed, part in points.groupby(_fixed_texts(rest, points.index)):
        measured = part.dropna()
        if _varies(measured["x"]) and _varies(measured["y"]):
            yield Surface(x, y, part, str(fixed), together)


def _numeric(
    settings: Mapping[str, pd.Series], importance: Mapping[str, float]
) -> dict[str, pd.Series]:
    """Return numeric settings, those for the axes first."""
    numbers = {key: _numbers(values) for key, values in settings.items()}
    keys = [key for key, values in numbers.items() if _varies(values)]
    keys.sort(key=lambda key: (key not in _NAMES, -importance.get(key, 0.0)))
    return {key: numbers[key] for key in keys}


def _fixed_texts(settings: Mapping[str, pd.Series], rows: pd.Index) -> pd.Series:
    """Return the settings of each row as text: "activation=arelu, optim.lr=0.1"."""
    words = [", ".join(f"{key}={settings[key][row]}" for key in settings) for row in rows]
    return pd.Series(words, rows)


@styled()
def draw_surface(summary: SweepSummary, surface: Surface, warning: str = "") -> Plot:
    """Draw a heat map where nearly all pairs of values were tried, else trials and contours.

    Args:
        summary: The sweep in short.
        surface: Its trials.
        warning: A warning above the figure.
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
    caption = _surface_caption(summary, surface, lattice)
    return Plot(file_name("surface", summary.experiment), title, caption, figure)


def _varies(values: pd.Series) -> bool:
    return bool(values.dropna().astype(str).nunique() > 1)


def _numbers(values: pd.Series) -> pd.Series:
    """Return the values as numbers, NaN for text and booleans."""
    plain = values.map(lambda value: isinstance(value, int | float | str) and value is not True)
    plain &= values.map(lambda value: value is not False)
    return pd.to_numeric(values.where(plain), errors="coerce").astype(float)


def _is_lattice(summary: SweepSummary, points: pd.DataFrame) -> bool:
    pairs = points["x"].nunique() * points["y"].nunique()
    return summary.sampler == "grid" or len(points.groupby(["x", "y"])) >= _FILLED * pairs


def _is_log(summary: SweepSummary, key: str, values: pd.Series) -> bool:
    """Return True if the sampler draws the setting on a logarithmic scale and all are positive."""
    return "log" in summary.space.get(key, "") and bool((values > 0).all())


def _surface_caption(summary: SweepSummary, surface: Surface, lattice: bool) -> str:
    measured = int(surface.points["dev_ua"].notna().sum())
    parts = [f"Dev UA of {measured} trials of the sweep {summary.experiment} ({summary.sampler})."]
    if lattice:
        parts.append("One square per pair of values; framed: the best.")
    else:
        parts.append("Dots: trials; star: the best.")
        if measured >= FEWEST:
            parts.append(
                "Contours: mean of a noisy Gaussian process through the trials, a reading aid."
            )
    if surface.points["diverged"].any():
        parts.append("Crosses: diverged.")
    if surface.fixed:
        parts.append(f"All trials: {surface.fixed}.")
    if surface.together:
        pooled = "averaged" if lattice else "drawn"
        parts.append(f"{pooled.capitalize()} over: {', '.join(surface.together)}.")
    return " ".join([*parts, "No test results are used."])
