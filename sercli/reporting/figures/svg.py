"""What matplotlib writes as SVG, made fit to stand among others in a page."""

from __future__ import annotations

import re
from html import escape


def for_any_page(svg: str, name: str, title: str) -> str:
    """Take off the document type, which names a server, and what would reach other figures.

    A rule of style holds for a whole page; as an attribute it holds for this element.

    Args:
        svg: What matplotlib writes.
        name: Before every identifier, so that a page can hold several figures.
        title: What a reader who does not see is told.
    """
    element = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg[svg.index("<svg") :])
    spoken = f'<svg role="img" aria-label="{escape(title)}" style="stroke-linejoin: round"'
    own_ids = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", element)
    return own_ids.replace("<svg", spoken, 1)


def smaller(svg: str) -> str:
    """Leave out what nobody sees or refers to: hundredths of a point, names, ends of lines."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda name: name[0] if name[1] in used else "", svg)
    svg = re.sub(r' transform="rotate\(-?0 [^"]*"', "", svg)
    svg = re.sub(r' (?:d|x|y|transform)="[^"]*"', _rounded, svg)
    return _with_one_font(re.sub(r"\s*\n\s*", "", svg))


def _with_one_font(svg: str) -> str:
    """Name the font once, for all letters."""
    fonts = re.findall(r"font-family: [^;\"]*", svg)
    for font in fonts[:1]:
        svg = svg.replace(f" {font};", "").replace(' style="', f' style="{font}; ', 1)
    return svg


def _rounded(attribute: re.Match[str]) -> str:
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute[0])
