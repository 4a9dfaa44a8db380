"""Learned parameters of activations during training, by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from sercli.reporting.figures.histories import draw_histories, read_history
from sercli.reporting.figures.plot import Plot, file_name
from sercli.reporting.figures.style import (
    DOUBLE,
    GREY,
    SINGLE,
    VERMILLION,
    grid_lines,
    legend_below,
    new_figure,
    styled,
)
from sercli.results.run_record import Record

_PREFIX, _INSIDE = "activation/", ".activations."
_LAYERS, _ROWS = 6, 6
"""Most columns and rows of panels: a page of print (our choice)."""

_LETTERS = {"alpha": "α", "beta": "β"}

Parameters = dict[str, dict[str, str]]
"""Parameter ("alpha") → layer ("current.l0") → column of the history."""


@styled()
def draw_trajectories(record: Record, system: str, warning: str = "") -> Plot | None:
    """Draw every learned parameter of a run over the training steps.

    Args:
        record: The run.
        system: Its name.
        warning: A warning above the figure.

    Returns:
        A panel for each layer and parameter; None if nothing is learned.
    """
    history = read_history(record)
    parameters = _parameters(history)
    if not parameters:
        return None
    layers = list(dict.fromkeys(layer for columns in parameters.values() for layer in columns))
    shown, rows = layers[:_LAYERS], list(parameters)[:_ROWS]
    width = SINGLE if len(shown) == 1 else DOUBLE
    figure = new_figure(width, 14 + 34 * len(rows), warning)
    grid = figure.subplots(len(rows), len(shown), sharex=True, sharey="row", squeeze=False)
    bounds = _bounds(record.summary["configuration"]["activation"])
    for parameter, row in zip(rows, grid, strict=True):
        for layer, axes in zip(shown, row, strict=True):
            if (column := parameters[parameter].get(layer)) is not None:
                _draw_parameter_panel(axes, history, column, bounds.get(parameter))
        row[0].set_ylabel(_letter(parameter))
    for layer, top, bottom in zip(shown, grid[0], grid[-1], strict=True):
        top.set_title(layer)
        bottom.set_xlabel("training step")
    legend_below(figure, *grid.flat)
    left_out = [*layers[_LAYERS:], *list(parameters)[_ROWS:]]
    caption = _trajectories_caption(
        system, any(parameter in bounds for parameter in rows), left_out
    )
    return Plot(
        file_name("trajectories", record.key), f"Learned parameters of {system}", caption, figure
    )


def _parameters(history: pd.DataFrame) -> Parameters:
    parameters: Parameters = {}
    for column in history.columns:
        if column.startswith(_PREFIX) and _INSIDE in column:
            module, inside = column.removeprefix(_PREFIX).split(_INSIDE)
            level, name = inside.split(".", maxsplit=1)
            parameters.setdefault(name, {})[f"{module}.{level}"] = column
    return parameters


def _bounds(activation: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the clamp of α, which the activation applies to the parameter."""
    if not {"alpha_min", "alpha_max"} <= set(activation):
        return {}
    clamp = activation["alpha_min"], activation["alpha_max"]
    return dict.fromkeys(("alpha", "alpha.mean", "alpha.min", "alpha.max"), clamp)


def _draw_parameter_panel(
    axes: Axes, history: pd.DataFrame, column: str, bounds: tuple[float, float] | None
) -> None:
    values = history.assign(**{column: history[column].clip(*bounds)}) if bounds else history
    draw_histories(axes, values, column)
    starts = values[values["step"] == 0]
    axes.plot(starts["step"], starts[column], "D", color=VERMILLION, zorder=3, label="start")
    low, high = axes.get_ylim()
    for bound in bounds or ():
        if low <= bound <= high:
            axes.axhline(bound, color=GREY, linestyle="--", linewidth=0.8)
    grid_lines(axes)


def _letter(name: str) -> str:
    first, _, rest = name.partition(".")
    return f"{_LETTERS.get(first, first)} {rest.replace('.', ' ')}".strip()


def _trajectories_caption(system: str, clamped: bool, left_out: list[str]) -> str:
    parts = [
        f"Learned parameters of the activations of {system}. Columns: layers. Thin lines: each "
        "fold with each seed; thick line: their mean, up to the first that stops; diamond: initial "
        "value."
    ]
    if clamped:
        parts.append("α is shown after its clamp (dashed where in view).")
    if left_out:
        parts.append(f"Not shown for lack of space: {', '.join(left_out)}.")
    return " ".join(parts)
