"""The style of all figures, for screen, print, greyscale and colour-blind readers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

SINGLE, DOUBLE = 88.0, 180.0
"""Widths of one and two columns of a journal, in mm."""

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
"""A palette for colour-blind readers (Okabe & Ito 2008)."""

PALE, GREY = "#A9CCE3", "#767676"
"""The colour behind a mean drawn in `BLUE`; the colour of reading aids."""

COLOURS, SHADES = "cividis_r", "Blues"
"""Colour maps from light (low) to dark (high), even in greyscale; `SHADES` begins at white."""

_PARAMETERS = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana"],  # comes with matplotlib; is as wide on a page
    "font.size": 7,
    "text.parse_math": False,  # a name with dollars is a name
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "figure.titlesize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextmanager
def styled() -> Iterator[None]:
    """Use this style within the block, whatever the user's matplotlibrc says.

    Also a decorator for functions that return a figure; not for generators, which would leave
    their caller in this style.
    """
    with style.context(["default", _PARAMETERS]):
        yield


def new_figure(width: float, height: float, warning: str = "") -> Figure:
    """Make an empty figure without pyplot.

    Args:
        width: Width in mm.
        height: Height in mm.
        warning: A warning above the figure, such as SYNTHETIC.
    """
    figure = Figure(figsize=(width / 25.4, height / 25.4), layout="constrained")
    if warning:
        figure.suptitle(warning, x=0.99, ha="right", color=VERMILLION, weight="bold")
    return figure


def grid_lines(axes: Axes, axis: str = "y") -> None:
    """Draw light grid lines."""
    axes.grid(axis=axis, color="#DDDDDD", linewidth=0.5)  # type: ignore[arg-type]


def legend_below(figure: Figure, *axes: Axes) -> None:
    """Add one legend for all ``axes`` below the figure."""
    entries: dict[str, Artist] = {}
    for each in axes:
        handles, labels = each.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    across = 3 if figure.get_figwidth() * 25.4 < DOUBLE else 6
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="outside lower center",
        ncols=min(across, len(entries)),
    )


def text_colour(background: Any) -> str:
    """Return black or white, whichever contrasts more with a background (WCAG 2.1).

    Args:
        background: A colour as matplotlib takes it.

    >>> text_colour("#08306b"), text_colour("#ffee00")
    ('white', 'black')
    """
    parts = to_rgb(background)
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"


def figure_text(number: float) -> str:
    """Write a number with a typographic minus."""
    return f"{number:g}".replace("-", "−")


def wrapped(text: str, width: int) -> str:
    """Break a name into lines of at most ``width`` letters, never within a word."""
    return "\n".join(textwrap.wrap(text, width, break_long_words=False)) or text
