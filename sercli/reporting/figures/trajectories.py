"""Where the learned numbers of an activation go, layer by layer."""

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
_LAYERS, _NUMBERS = 6, 6
"""Columns and rows of panels that a page of print holds (our choice)."""

_LETTERS = {"alpha": "α", "beta": "β"}

Numbers = dict[str, dict[str, str]]
"""Number ("alpha") → layer ("current.l0") → column of the history."""


@styled()
def draw_trajectories(record: Record, system: str, warning: str = "") -> Plot | None:
    """Draw every learned number of a run over the steps of training.

    Args:
        record: The run.
        system: Its name.
        warning: What nobody may overlook.

    Returns:
        A panel for each layer and number; None where nothing was learned.
    """
    history = read_history(record)
    numbers = _numbers(history)
    if not numbers:
        return None
    layers = list(dict.fromkeys(layer for columns in numbers.values() for layer in columns))
    shown, rows = layers[:_LAYERS], list(numbers)[:_NUMBERS]
    width = SINGLE if len(shown) == 1 else DOUBLE
    figure = new_figure(width, 14 + 34 * len(rows), warning)
    grid = figure.subplots(len(rows), len(shown), sharex=True, sharey="row", squeeze=False)
    bounds = _bounds(record.summary["configuration"]["activation"])
    for number, row in zip(rows, grid, strict=True):
        for layer, axes in zip(shown, row, strict=True):
            if (column := numbers[number].get(layer)) is not None:
                _draw_panel(axes, history, column, bounds.get(number))
        row[0].set_ylabel(_letter(number))
    for layer, top, bottom in zip(shown, grid[0], grid[-1], strict=True):
        top.set_title(layer)
        bottom.set_xlabel("training step")
    legend_below(figure, *grid.flat)
    left_out = [*layers[_LAYERS:], *list(numbers)[_NUMBERS:]]
    caption = _caption(system, any(number in bounds for number in rows), left_out)
    return Plot(
        file_name("trajectories", record.key), f"Learned numbers of {system}", caption, figure
    )


def _numbers(history: pd.DataFrame) -> Numbers:
    numbers: Numbers = {}
    for column in history.columns:
        if column.startswith(_PREFIX) and _INSIDE in column:
            module, inside = column.removeprefix(_PREFIX).split(_INSIDE)
            level, name = inside.split(".", maxsplit=1)
            numbers.setdefault(name, {})[f"{module}.{level}"] = column
    return numbers


def _bounds(activation: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The clamp of α, which a parameter may leave and the activation does not."""
    if not {"alpha_min", "alpha_max"} <= set(activation):
        return {}
    clamp = activation["alpha_min"], activation["alpha_max"]
    return dict.fromkeys(("alpha", "alpha.mean", "alpha.min", "alpha.max"), clamp)


def _draw_panel(
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


def _caption(system: str, clamped: bool, left_out: list[str]) -> str:
    parts = [
        f"What the activations of {system} learned. Columns: layers. Thin lines: each fold with "
        "each seed; thick line: their mean, as far as all of them were trained; diamond: start."
    ]
    if clamped:
        parts.append("α is shown as it acts, within its clamp (dashed where it is in view).")
    if left_out:
        parts.append(f"Not shown for want of room: {', '.join(left_out)}.")
    return " ".join(parts)
