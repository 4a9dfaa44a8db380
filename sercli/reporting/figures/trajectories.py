"""Learned parameters of activations during training, by layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from sercli.reporting.figures.histories import (
    by_step,
    draw_histories,
    draw_mean,
    label_steps,
    read_history,
)
from sercli.reporting.figures.plot import Plot
from sercli.reporting.figures.style import (
    BLUE,
    DOUBLE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SINGLE,
    SKY,
    VERMILLION,
    grid_lines,
    legend_below,
    new_figure,
    styled,
)
from sercli.reporting.names import without_common_words
from sercli.results.run_record import Record

_PREFIX, _INSIDE = "activation/", ".activations."
_LAYERS, _ROWS = 6, 6
"""Most columns and rows of panels: a page of print (our choice)."""

_LETTERS = {"alpha": "α", "beta": "β"}

Parameters = dict[str, dict[str, str]]
"""Parameter ("alpha") → layer ("current.l0") → column of the history."""


@styled()
def draw_trajectories(
    records: Sequence[Record], systems: Mapping[str, str], warning: str = ""
) -> Plot | None:
    """Draw every learned parameter over the training steps: of one run, or the means of several.

    Args:
        records: The runs.
        systems: Key of a run → its name.
        warning: A warning above the figure.

    Returns:
        A panel for each layer and parameter; None if nothing is learned.
    """
    histories = {record.key: read_history(record) for record in records}
    learned = {key: found for key, each in histories.items() if (found := _parameters(each))}
    shown = [record for record in records if record.key in learned]
    if not shown:
        return None
    layers, parameters = _names(learned.values())
    columns, rows = layers[:_LAYERS], parameters[:_ROWS]
    width = SINGLE if len(columns) == 1 else DOUBLE
    height = 14 + 34 * len(rows) + 5 * (len(shown) // 3)
    figure = new_figure(width, height, warning)
    grid = figure.subplots(len(rows), len(columns), sharex=True, sharey="row", squeeze=False)
    common, names = without_common_words([systems[record.key] for record in shown])
    for place, (record, name) in enumerate(zip(shown, names, strict=True)):
        bounds = _bounds(record.summary["configuration"]["activation"])
        for parameter, row in zip(rows, grid, strict=True):
            of_layers = learned[record.key].get(parameter, {})
            for axes, column in zip(row, map(of_layers.get, columns), strict=True):
                if column is not None:
                    values = _clamped(histories[record.key], column, bounds.get(parameter))
                    _draw_line(axes, values, column, name, None if len(shown) == 1 else place)
    _mark_bounds(grid, rows, shown)
    for parameter, row in zip(rows, grid, strict=True):
        row[0].set_ylabel(_letter(parameter))
    for layer, top, bottom in zip(columns, grid[0], grid[-1], strict=True):
        top.set_title(layer)
        label_steps(bottom)
    legend_below(figure, *grid.flat)
    left_out = [*layers[_LAYERS:], *parameters[_ROWS:]]
    what = systems[shown[0].key] if len(shown) == 1 else f"{len(shown)} systems"
    clamped = any(name.startswith("alpha") for name in rows)
    caption = _trajectories_caption(what, common, len(shown) == 1, clamped, left_out)
    title = f"Learned parameters of {what}"
    return Plot("trajectories", title, caption, figure)


def _names(learned: Iterable[Parameters]) -> tuple[list[str], list[str]]:
    """Return all layers and all parameters."""
    both = [(layer, name) for each in learned for name, layers in each.items() for layer in layers]
    return list(dict.fromkeys(x for x, _ in both)), list(dict.fromkeys(x for _, x in both))


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


def _clamped(
    history: pd.DataFrame, column: str, bounds: tuple[float, float] | None
) -> pd.DataFrame:
    return history.assign(**{column: history[column].clip(*bounds)}) if bounds else history


def _draw_parameter_panel(axes: Axes, values: pd.DataFrame, column: str) -> None:
    draw_histories(axes, values, column)
    starts = values[values["step"] == 0]
    axes.plot(starts["step"], starts[column], "D", color=VERMILLION, zorder=3, label="start")


def _draw_line(axes: Axes, values: pd.DataFrame, column: str, name: str, place: int | None) -> None:
    """Draw all folds and seeds of the only run, or the mean of one of several."""
    if place is None:
        _draw_parameter_panel(axes, values, column)
    else:
        draw_mean(axes, by_step(values, column), label=name, **_look(place))


def _look(place: int) -> dict[str, str]:
    """Return colour and dashes of the line of a system."""
    colours = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
    dashes = ("-", "--", ":")
    return {
        "color": colours[place % len(colours)],
        "linestyle": dashes[place // len(colours) % len(dashes)],
    }


def _mark_bounds(
    grid: npt.NDArray[np.object_], rows: Sequence[str], records: Sequence[Record]
) -> None:
    """Draw the ends of the clamps that are in view."""
    clamps = [_bounds(record.summary["configuration"]["activation"]) for record in records]
    for parameter, row in zip(rows, grid, strict=True):
        ends = {end for clamp in clamps for end in clamp.get(parameter, ())}
        for axes in row:
            low, high = axes.get_ylim()
            for end in sorted(ends):
                if low <= end <= high:
                    axes.axhline(end, color=GREY, linestyle="-.", linewidth=0.8, label="clamp")
            grid_lines(axes)


def _letter(name: str) -> str:
    first, _, rest = name.partition(".")
    return f"{_LETTERS.get(first, first)} {rest.replace('.', ' ')}".strip()


def _trajectories_caption(
    what: str, common: str, alone: bool, clamped: bool, left_out: list[str]
) -> str:
    lines = (
        "Thin lines: each fold with each seed; thick line: their mean, up to the first that stops; "
        "diamond: initial value."
        if alone
        else "Lines: means over folds and seeds, up to the first that stops."
    )
    parts = [f"Learned parameters of the activations of {what}. Columns: layers. {lines}"]
    if common:
        parts.append(f"All systems: {common}.")
    if clamped:
        parts.append("α is shown after its clamp (grey where in view).")
    if left_out:
        parts.append(f"Not shown for lack of space: {', '.join(left_out)}.")
    return " ".join(parts)
