"""UA of every system with its 95 % confidence interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from sercli.reporting.figures.plot import Plot
from sercli.reporting.figures.style import (
    BLUE,
    DOUBLE,
    GREY,
    PALE,
    SINGLE,
    VERMILLION,
    grid_lines,
    legend_below,
    new_figure,
    styled,
    wrapped,
)
from sercli.reporting.names import without_common_words
from sercli.results.run_record import Record

ROWS = 60
"""Most systems of a figure: a page of print (our choice)."""

_HEIGHT = 265.0
"""Height of all rows, in mm: a page of print."""

_LETTERS = 34
"""Letters of the longest name beyond which the figure takes two columns of a journal."""


@styled()
def draw_forest(
    records: Sequence[Record],
    systems: Mapping[str, str],
    published: Mapping[str, float],
    warning: str = "",
) -> Plot | None:
    """Draw a row for each run, the best on top.

    Args:
        records: Runs of one task whose test results may be shown; the first `ROWS` are drawn.
        systems: Key of a run → its name.
        published: Key of a run → published UA of the same system, as a fraction.
        warning: A warning above the figure.

    Returns:
        None if no run has a UA.
    """
    known = [record for record in records if record.metrics.get("ua") is not None]
    shown = sorted(known[:ROWS], key=lambda record: record.metrics["ua"])
    if not shown:
        return None
    common, names = without_common_words([systems[record.key] for record in shown])
    width = DOUBLE if max(map(len, names)) > _LETTERS else SINGLE
    figure = new_figure(width, 24 + min(5.5 * len(shown), _HEIGHT), warning)
    axes = figure.subplots()
    for place, record in enumerate(shown):
        _draw_system(axes, place, record, published.get(record.key))
    chance = 100 / len(shown[0].summary["card"]["classes"])
    axes.axvline(chance, color=GREY, linestyle="--", linewidth=0.8, label="chance")
    _label_systems(axes, [wrapped(name, 2 * _LETTERS) for name in names], shown)
    legend_below(figure, axes)
    marked = [record.key in published for record in shown]
    caption = _forest_caption(common, len(known) - len(shown), any(marked))
    return Plot("forest", "UA of the systems", caption, figure)


def _draw_system(axes: Axes, place: int, record: Record, published: float | None) -> None:
    metrics = record.metrics
    if (interval := metrics.get("ua_ci")) is not None:
        ends = [100 * end for end in interval]
        axes.plot(ends, [place] * 2, "|-", color=BLUE, markersize=5, label="95 % CI")
    seeds = [100 * row["ua"] for row in metrics.get("by_seed", []) if "ua" in row]
    if len(seeds) > 1:
        axes.plot(
            seeds, [place] * len(seeds), "o", markersize=2.5, color=PALE,
            markeredgecolor=BLUE, markeredgewidth=0.4, label="seeds",
        )  # fmt: skip
    axes.plot(100 * metrics["ua"], place, "s", markersize=4.5, color=BLUE, label="UA")
    if published is not None:
        axes.plot(
            100 * published, place, "D", markersize=5, markerfacecolor="none",
            markeredgecolor=VERMILLION, label="published",
        )  # fmt: skip


def _label_systems(axes: Axes, names: Sequence[str], records: Sequence[Record]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlabel("UA on test (%)")
    values = axes.secondary_yaxis("right")
    values.set_yticks(
        range(len(names)), [f"{100 * record.metrics['ua']:.1f}" for record in records]
    )
    for each in (axes, values):
        each.tick_params(axis="y", length=0)
        each.spines[:].set_visible(each is axes)
    axes.spines[["top", "right", "left"]].set_visible(False)
    grid_lines(axes, "x")


def _forest_caption(common: str, left_out: int, published: bool) -> str:
    parts = [
        "Squares and numbers on the right: UA on test at the step selected on dev. Bars: 95 % "
        "confidence intervals (cluster bootstrap over speakers and seeds). Small circles: seeds. "
        "Dashed: chance. Overlapping intervals do not show that systems are equal: see the tests "
        "of their differences."
    ]
    if published:
        parts.append("Diamonds: published for the same system, corpus and protocol.")
    if common:
        parts.append(f"All systems: {common}.")
    if left_out:
        parts.append(f"The best on dev; {left_out} more are not shown.")
    return " ".join(parts)
