"""A drawn figure and its files."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from sercli.files import write_atomically, write_text
from sercli.reporting.figures.style import styled

_PRINT, _SCREEN = 300, 150
"""Dots per inch of a PNG, and of rasters in the SVG of a page (our choice)."""


@dataclass(frozen=True)
class Plot:
    """A figure with its caption.

    Attributes:
        name: Name of its files.
        title: A few words.
        caption: The meaning of lines and marks, and what is left out.
        figure: The drawing.
    """

    name: str
    title: str
    caption: str
    figure: Figure


def file_name(kind: str, what: str) -> str:
    """Return a name that files and identifiers of an SVG can have."""
    return f"{kind}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', what)}"


def save(plot: Plot, folder: Path) -> list[Path]:
    """Write ``name.svg`` and ``name.png`` for print, and return their paths.

    The same figure gives the same bytes. Text in the SVG is outlines, so that no printer needs
    the font.
    """
    svg, png = (folder / f"{plot.name}.{form}" for form in ("svg", "png"))
    write_text(svg, '<?xml version="1.0" encoding="utf-8"?>\n' + _svg(plot, "path", _PRINT))
    write_atomically(
        png,
        lambda path: _savefig(
            plot, path, {}, format="png", dpi=_PRINT, metadata={"Software": None}
        ),
    )
    return [svg, png]


def as_svg(plot: Plot) -> str:
    """Return an ``<svg>`` element for a page; the same figure gives the same text.

    It refers to nothing outside. Its identifiers begin with the name of the figure, so that a page
    can hold several. Text stays text, which is searchable, accessible and smaller.
    """
    return _minified(_svg(plot, "none", _SCREEN))


def _svg(plot: Plot, letters: str, dpi: int) -> str:
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    settings = {"svg.fonttype": letters, "svg.hashsalt": plot.name}
    _savefig(plot, stream, settings, format="svg", dpi=dpi, metadata=nothing)
    return _embeddable(stream.getvalue(), plot.name, plot.title)


def _savefig(plot: Plot, target: Any, settings: dict[Any, Any], **how: Any) -> None:
    with styled(), matplotlib.rc_context(settings):
        plot.figure.savefig(target, **how)


def _embeddable(svg: str, name: str, title: str) -> str:
    """Take off the document type and style rules, which apply to a whole page; prefix the ids."""
    element = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg[svg.index("<svg") :])
    spoken = f'<svg role="img" aria-label="{escape(title)}" style="stroke-linejoin: round"'
    own_ids = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", element)
    return own_ids.replace("<svg", spoken, 1)


def _minified(svg: str) -> str:
    """Leave out unused ids, line ends and digits beyond hundredths of a point."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda name: name[0] if name[1] in used else "", svg)
    svg = re.sub(r' transform="rotate\(-?0 [^"]*"', "", svg)
    svg = re.sub(r' (?:d|x|y|transform)="[^"]*"', _rounded, svg)
    return _with_one_font(re.sub(r"\s*\n\s*", "", svg))


def _with_one_font(svg: str) -> str:
    """Name the font once."""
    fonts = re.findall(r"font-family: [^;\"]*", svg)
    for font in fonts[:1]:
        svg = svg.replace(f" {font};", "").replace(' style="', f' style="{font}; ', 1)
    return svg


def _rounded(attribute: re.Match[str]) -> str:
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute[0])
