"""Make a drawing fit to stand inside a page.

A page runs what stands in it, so a drawing may hold shapes and text and nothing else: what
is not known to be harmless is refused, not repaired. The drawing is written anew from what was
read, so that a browser sees exactly what was checked.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from sercli.errors import SercliError
from sercli.reporting.formats.html.content import Figure

_SVG = "http://www.w3.org/2000/svg"

_SHAPES = frozenset(
    f"{{{_SVG}}}{name}"
    for name in (
        *("svg", "g", "defs", "symbol", "use", "title", "desc"),
        *("path", "rect", "circle", "ellipse", "line", "polyline", "polygon"),
        *("text", "tspan", "image"),
        *("clipPath", "mask", "marker", "pattern", "linearGradient", "radialGradient", "stop"),
    )
)
"""No ``style``: its rules would reach the whole page."""

_ELSEWHERE = re.compile(r"url\(\s*['\"]?(?!#|['\"\s])|\\", re.IGNORECASE)
"""In a style: an address that is not within the drawing, or letters that could spell one."""

_LEFT_OUT = ("metadata",)
"""Elements that nobody sees; matplotlib's metadata name addresses in the network."""


def embeddable(figure: Figure) -> str:
    """Return a figure's drawing as an element of a page.

    To those who cannot see it, it is an image with the figure's title.

    Raises:
        SercliError: It is no SVG, or holds what could run or load something.
    """
    root = _parsed(figure)
    for element in root.iter():
        for child in list(element):
            if _local(child.tag) in _LEFT_OUT:
                element.remove(child)
        _check(element, figure.name)
    for element in root.iter():
        _drop_namespaces(element)
    root.attrib.update({"xmlns": _SVG, "role": "img", "aria-label": figure.title})
    return ElementTree.tostring(root, encoding="unicode")


def _parsed(figure: Figure) -> ElementTree.Element:
    if not re.fullmatch(r"[A-Za-z][\w.-]*", figure.name):
        raise _refused(figure.name, "has a name that is not one word")
    if "<!ENTITY" in figure.svg:
        raise _refused(figure.name, "declares entities")
    try:
        return ElementTree.fromstring(figure.svg)  # noqa: S314 - no entities, see above
    except ElementTree.ParseError as error:
        raise _refused(figure.name, f"is no SVG ({error})") from error


def _check(element: ElementTree.Element, name: str) -> None:
    if element.tag not in _SHAPES:
        raise _refused(name, f"holds <{_local(element.tag)}>")
    for key, value in element.attrib.items():
        if _local(key).lower().startswith("on"):
            raise _refused(name, f"holds {_local(key)}=")
        if _local(key) == "href" and not value.startswith(("#", "data:image/png;")):
            raise _refused(name, f"refers to {value}")
        if key != "aria-label" and _ELSEWHERE.search(value):  # a label is read, not obeyed
            raise _refused(name, f"could load something by {_local(key)}=")


def _drop_namespaces(element: ElementTree.Element) -> None:
    """Name elements and attributes as HTML does."""
    element.tag = _local(element.tag)
    element.attrib = {_local(key): value for key, value in element.attrib.items()}


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _refused(name: str, why: str) -> SercliError:
    return SercliError(f"figure '{name}' {why}; a page takes drawings of shapes and text alone")
