"""Confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sercli.reporting.figures.plot import Plot
from sercli.reporting.figures.style import (
    DOUBLE,
    SHADES,
    SINGLE,
    new_figure,
    styled,
    text_colour,
    wrapped,
)
from sercli.reporting.names import without_common_words
from sercli.results.run_record import Record

SYSTEMS = 12
"""Most matrices of a figure: a page of print (our choice)."""

_ACROSS = 3
_ROOM_FOR_COUNTS = 7
"""Classes up to which percentages and counts are written."""


@styled()
def draw_confusion(
    records: Sequence[Record], systems: Mapping[str, str], warning: str = ""
) -> Plot | None:
    """Draw the confusion matrix on test of each run, at the step selected on dev.

    Args:
        records: Runs on the same classes whose test results may be shown; the first `SYSTEMS`
            are drawn.
        systems: Key of a run → its name.
        warning: A warning above the figure.

    Returns:
        A panel for each run; None if no run has readable predictions.
    """
    matrices = ((each.key, confusion(each)) for each in records)
    readable = ((key, matrix) for key, matrix in matrices if matrix is not None)
    shown = dict(islice(readable, SYSTEMS))
    if not shown:
        return None
    common, names = without_common_words([systems[key] for key in shown])
    across = min(_ACROSS, len(shown))
    down = -(-len(shown) // across)
    width = {1: SINGLE, 2: 130.0}.get(across, DOUBLE)
    figure = new_figure(width, (70 if across == 1 else 64) * down + 4, warning)
    grid = figure.subplots(down, across, squeeze=False)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for axes, name, matrix in zip(grid.flat, names, shown.values(), strict=False):
        _draw_matrix(axes, matrix)
        axes.set_title(wrapped(name, 30))
    for row in grid:
        row[0].set_ylabel("true class")
    caption = _confusion_caption(common, len(records) - len(shown))
    return Plot("confusion", "Confusion matrices", caption, figure)


def confusion(record: Record) -> pd.DataFrame | None:
    """Count the confusions on test, pooled over folds, averaged over seeds that did not diverge.

    Returns:
        Rows: true classes; columns: predicted classes. None if no seed is left or the predictions
        cannot be read.
    """
    seeds = [row["seed"] for row in record.metrics.get("by_seed", [])]
    classes = record.summary["card"]["classes"]
    try:
        found = record.predictions()
        test = found[
            (found["part"] == "test") & (found["selection"] == "dev") & found["seed"].isin(seeds)
        ]
    except (OSError, ValueError, KeyError):
        return None
    if test.empty:
        return None
    counts = pd.crosstab(test["label"], test["predicted"])
    return counts.reindex(index=classes, columns=classes, fill_value=0) / len(seeds)


def _draw_matrix(axes: Axes, counts: pd.DataFrame) -> None:
    classes = list(counts.columns)
    totals = counts.sum(axis=1)
    shares = counts.div(totals.where(totals > 0), axis=0).to_numpy() * 100
    squares = axes.pcolormesh(
        np.nan_to_num(shares), cmap=SHADES, vmin=0, vmax=100, edgecolors="white", linewidth=0.8
    )
    numbers = counts.to_numpy(dtype=float)
    for (row, column), share in np.ndenumerate(shares):
        if np.isfinite(share):
            colour = text_colour(squares.to_rgba(share))
            number = float(numbers[row, column])
            _write_share(axes, (row, column), float(share), number, len(classes), colour)
    positions = np.arange(len(classes)) + 0.5
    axes.set_xticks(positions, classes, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(positions, classes)
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted class")


def _write_share(
    axes: Axes, place: tuple[int, int], share: float, n: float, classes: int, colour: str
) -> None:
    row, column = place
    roomy = classes <= _ROOM_FOR_COUNTS
    axes.text(
        column + 0.5,
        row + 0.5,
        f"{share:.1f} %\n{n:.4g}" if roomy else f"{share:.0f}",
        ha="center",
        va="center",
        color=colour,
        fontsize=6 if roomy else 5,
    )


def _confusion_caption(common: str, left_out: int) -> str:
    parts = [
        "Predicted classes of each true class, in per cent and, for up to "
        f"{_ROOM_FOR_COUNTS} classes, in utterances. On test, at the step selected on dev; pooled "
        "over folds, averaged over seeds."
    ]
    if common:
        parts.append(f"All systems: {common}.")
    if left_out:
        parts.append(f"The best on dev; {left_out} more are not shown.")
    return " ".join(parts)
