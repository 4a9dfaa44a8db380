"""Learning curves: loss, dev UA, and test UA on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes

from sercli.reporting.figures.histories import FOLD_RUN, draw_histories, label_steps, read_history
from sercli.reporting.figures.plot import Plot
from sercli.reporting.figures.style import (
    DOUBLE,
    GREY,
    VERMILLION,
    grid_lines,
    legend_below,
    new_figure,
    styled,
    wrapped,
)
from sercli.results.run_record import Record
from sercli.results.seal import shows_test

ROWS = 4
"""Most systems of a figure: a page of print."""

_PANELS = {
    "loss": ("training loss", 1.0),
    "dev_ua": ("dev UA (%)", 100.0),
    "test_ua": ("test UA (%)", 100.0),
}


def has_curves(record: Record) -> bool:
    """Return True if a run was trained by gradient descent and its history can be read."""
    history = read_history(record)
    return {"loss", "dev_ua"} <= set(history.columns) and bool(history["loss"].notna().any())


@styled()
def draw_curves(
    records: Sequence[Record],
    systems: Mapping[str, str],
    warning: str = "",
    *,
    test: bool = False,
) -> Plot:
    """Draw a row of panels for each run.

    Args:
        records: At most `ROWS` runs for which `has_curves` is true.
        systems: Key of a run → its name.
        warning: A warning above the figure.
        test: Draw test UA of unsealed runs too. Choices made after seeing it are selection on test.
    """
    seen = [test and shows_test(record) for record in records]
    panels = [name for name in _PANELS if name != "test_ua" or any(seen)]
    figure = new_figure(DOUBLE, 12 + 36 * len(records), warning)
    grid = figure.subplots(len(records), len(panels), sharex=True, sharey="col", squeeze=False)
    for row, record, shown in zip(grid, records, seen, strict=True):
        history = read_history(record)
        for axes, name in zip(row, panels, strict=True):
            if name == "test_ua" and not shown:
                _mark_sealed(axes)
            elif name in history.columns:
                _draw_curve_panel(axes, history, name, _selected_steps(record))
        row[0].set_title(wrapped(systems[record.key], 60), loc="left")
    for axes in grid[-1]:
        label_steps(axes)
    legend_below(figure, grid[0][1])
    return Plot("curves", "Learning curves", _curves_caption("test_ua" in panels), figure)


def _draw_curve_panel(axes: Axes, history: pd.DataFrame, name: str, selected: pd.DataFrame) -> None:
    label, scale = _PANELS[name]
    draw_histories(axes, history, name, scale)
    if name == "loss":
        _draw_loss_parts(axes, history)
    else:
        at = history.merge(selected, on=[*FOLD_RUN, "step"])
        axes.scatter(
            at["step"],
            at[name] * scale,
            s=10,
            color=VERMILLION,
            edgecolors="black",
            linewidths=0.4,
            zorder=3,
            label="selected step",
        )
    axes.set_ylabel(label)
    grid_lines(axes)


def _draw_loss_parts(axes: Axes, history: pd.DataFrame) -> None:
    """Draw the mean of each part of the loss, where a model has auxiliary losses."""
    parts = [str(name) for name in history if str(name).startswith("loss/")]
    for name in parts:
        mean = history.pivot(index="step", columns=FOLD_RUN, values=name).dropna().mean(axis=1)
        axes.plot(mean.index, mean, "--", linewidth=0.8, label=name.removeprefix("loss/"))
    if parts:
        handles = axes.lines[-len(parts) :]
        axes.legend(handles=handles, fontsize="x-small", frameon=False)


def _selected_steps(record: Record) -> pd.DataFrame:
    """Return seed, fold and the step selected on dev."""
    rows = [
        (each["seed"], each["fold"], each["selected_step"])
        for each in record.metrics.get("by_fold", [])
    ]
    return pd.DataFrame(rows, columns=[*FOLD_RUN, "step"]).dropna()


def _mark_sealed(axes: Axes) -> None:
    axes.text(0.5, 0.5, "sealed", color=GREY, ha="center", va="center", transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])


def _curves_caption(test: bool) -> str:
    parts = "dev and test" if test else "dev"
    return (
        f"Mean training loss since the last evaluation, and UA on {parts}, at every evaluation; "
        "step 0 is the untrained network. "
        "Thin lines: each fold with each seed; thick line: their mean, up to the first that stops; "
        "dashed: the mean of each part of the loss; dots: the step selected on dev."
    )
