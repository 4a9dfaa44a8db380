"""A drawn figure and its files."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from sercli.files import write_atomically, write_text
from sercli.reporting.figures.fonts import spell_out_missing, use_fonts
from sercli.reporting.figures.style import styled

_PRINT, _SCREEN = 300, 150
"""Dots per inch of a PNG, and of rasters in the SVG of a page (our choice)."""

_PNG_FACTS, _PDF_FACTS = ("Software",), ("Creator", "Producer", "CreationDate")
"""Facts of files that would differ from one time or version to the next."""

_EMBEDDED = {"pdf.fonttype": 42}
"""Fonts as TrueType, which journals ask for."""


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
    """Write ``name.svg``, ``name.png`` and ``name.pdf`` for print, and return their paths.

    The same figure gives the same bytes. Text in the SVG is outlines, and the PDF has its fonts, so
    that no printer needs them. Characters that no font has are spelled out, with a warning.
    """
    with styled():
        spell_out_missing(plot.figure)
    svg, png, pdf = (folder / f"{plot.name}.{form}" for form in ("svg", "png", "pdf"))
    write_text(svg, '<?xml version="1.0" encoding="utf-8"?>\n' + _svg(plot, "path", _PRINT))
    with _fixed_layout(plot.figure):
        how = {"format": "png", "dpi": _PRINT, "metadata": dict.fromkeys(_PNG_FACTS)}
        write_atomically(png, lambda path: _savefig(plot, path, {}, **how))
        of_pdf = {"format": "pdf", "dpi": _PRINT, "metadata": dict.fromkeys(_PDF_FACTS)}
        write_atomically(pdf, lambda path: _savefig(plot, path, _EMBEDDED, **of_pdf))
    return [svg, png, pdf]


@contextmanager
def _fixed_layout(figure: Figure) -> Iterator[None]:
    """Keep everything in its place within the block: letters of a PDF have other widths.

    The layout takes a third of the time of writing a file.
    """
    engine = figure.get_layout_engine()
    figure.set_layout_engine("none")
    try:
        yield
    finally:
        figure.set_layout_engine(engine)


def save_all(plots: Iterable[Plot], folder: Path) -> list[Path]:
    """Save figures, and their captions in ``captions.md``; return the paths."""
    paths, captions = [], []
    for plot in plots:
        paths += save(plot, folder)
        captions.append(f"## {plot.name}\n\n{plot.title}. {plot.caption}\n")
    if captions:
        write_text(folder / "captions.md", "\n".join(captions))
        paths.append(folder / "captions.md")
    return paths


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
    with styled(), matplotlib.rc_context(settings), warnings.catch_warnings():
        use_fonts(plot.figure)
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a browser may have it
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
