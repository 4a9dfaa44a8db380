"""A figure that is drawn, and the files that it becomes."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from sercli.files import write_atomically, write_text
from sercli.reporting.figures.style import styled
from sercli.reporting.figures.svg import for_any_page, smaller

_PRINT, _SCREEN = 300, 150
"""Dots per inch of a PNG, and of what is dense in an SVG for a page (our choice)."""


@dataclass(frozen=True)
class Plot:
    """A figure.

    Attributes:
        name: Of its files.
        title: What it shows, in a few words.
        caption: How to read it: what a line and a mark stand for, and what was left out.
        figure: The drawing.
    """

    name: str
    title: str
    caption: str
    figure: Figure


def file_name(kind: str, what: str) -> str:
    """Name a figure so that the name can be that of a file, and of identifiers in an SVG."""
    return f"{kind}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', what)}"


def save(drawn: Plot, folder: Path) -> list[Path]:
    """Write ``name.svg`` and ``name.png``, for print; the same figure gives the same bytes.

    Letters in the SVG are outlines, so that no printer needs the font.

    Returns:
        The two files.

    Raises:
        OSError: The folder cannot be written.
    """
    svg, png = (folder / f"{drawn.name}.{form}" for form in ("svg", "png"))
    write_text(svg, '<?xml version="1.0" encoding="utf-8"?>\n' + _svg(drawn, "path", _PRINT))
    write_atomically(
        png,
        lambda path: _savefig(
            drawn, path, {}, format="png", dpi=_PRINT, metadata={"Software": None}
        ),
    )
    return [svg, png]


def as_svg(drawn: Plot) -> str:
    """Return an SVG element for a page: it refers to nothing outside, and is the same each time.

    Its identifiers begin with the name of the figure, so that a page can hold several. Letters
    stay letters: they can be searched and read aloud, and take less space.
    """
    return smaller(_svg(drawn, "none", _SCREEN))


def _svg(drawn: Plot, letters: str, dpi: int) -> str:
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    settings = {"svg.fonttype": letters, "svg.hashsalt": drawn.name}
    _savefig(drawn, stream, settings, format="svg", dpi=dpi, metadata=nothing)
    return for_any_page(stream.getvalue(), drawn.name, drawn.title)


def _savefig(drawn: Plot, target: Any, settings: dict[Any, Any], **how: Any) -> None:
    with styled(), matplotlib.rc_context(settings):
        drawn.figure.savefig(target, **how)
