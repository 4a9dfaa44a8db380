"""Learning curves: loss, dev UA, and test UA where it may be seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes

from sercli.reporting.figures.histories import UNIT, draw_histories, read_history
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

ROWS = 4
"""Systems of one figure: a page of print holds no more."""

_PANELS = {
    "loss": ("loss", 1.0),
    "dev_ua": ("dev UA (%)", 100.0),
    "test_ua": ("test UA (%)", 100.0),
}


def has_curves(record: Record) -> bool:
    """Whether a record was trained step by step, and its history can be read."""
    history = read_history(record)
    return {"loss", "dev_ua"} <= set(history.columns) and bool(history["loss"].notna().any())


@styled()
def draw_curves(
    records: Sequence[Record],
    systems: Mapping[str, str],
    shows_test: Callable[[Record], bool],
    warning: str = "",
) -> Plot:
    """Draw a row of panels for each run.

    Args:
        records: At most `ROWS` of those that `has_curves` tells of.
        systems: Key of a run → its name.
        shows_test: Whether the test figures of a run may be seen.
        warning: What nobody may overlook.
    """
    seen = [shows_test(record) for record in records]
    panels = [name for name in _PANELS if name != "test_ua" or any(seen)]
    figure = new_figure(DOUBLE, 12 + 36 * len(records), warning)
    grid = figure.subplots(len(records), len(panels), sharex=True, sharey="col", squeeze=False)
    for row, record, test in zip(grid, records, seen, strict=True):
        history = read_history(record)
        for axes, name in zip(row, panels, strict=True):
            if name == "test_ua" and not test:
                _seal(axes)
            elif name in history.columns:
                _draw_panel(axes, history, name, _selected(record))
        row[0].set_title(wrapped(systems[record.key], 60), loc="left")
    for axes in grid[-1]:
        axes.set_xlabel("training step")
    legend_below(figure, grid[0][1])
    return Plot("curves", "Learning curves", _caption("test_ua" in panels), figure)


def _draw_panel(axes: Axes, history: pd.DataFrame, name: str, selected: pd.DataFrame) -> None:
    label, scale = _PANELS[name]
    draw_histories(axes, history, name, scale)
    if name != "loss":
        at = history.merge(selected, on=[*UNIT, "step"])
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


def _selected(record: Record) -> pd.DataFrame:
    """Seed, fold and the step that was selected on dev."""
    rows = [
        (each["seed"], each["fold"], each["selected_step"])
        for each in record.metrics.get("by_fold", [])
    ]
    return pd.DataFrame(rows, columns=[*UNIT, "step"]).dropna()


def _seal(axes: Axes) -> None:
    axes.text(0.5, 0.5, "sealed", color=GREY, ha="center", va="center", transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])


def _caption(test: bool) -> str:
    parts = "dev and on test" if test else "dev"
    return (
        "Loss since the look before, and UA on "
        f"{parts}, at every look. Thin lines: each fold with each seed; "
        "thick line: their mean, as far as all of them were trained; dots: the step that was "
        "selected on dev."
    )
