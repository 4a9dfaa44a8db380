"""Render a page: one HTML file that opens without a network and reads without JavaScript.

Everything that was not written in this package is data and is escaped. The browser is told so as
well: the policy in the page's head lets it run the page's own script, known by its hash, and load
nothing.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from sercli.reporting.formats.html.content import PageContent
from sercli.reporting.formats.html.svg import embeddable
from sercli.reporting.table import Table

_HERE = Path(__file__).resolve().parent


def render_page(content: PageContent) -> str:
    """Render a page.

    Args:
        content: What it says.

    Returns:
        An HTML document.

    Raises:
        SercliError: A figure is no harmless SVG.
    """
    script = _read("page.js")
    return _template("page.html.jinja").render(
        page=content,
        policy=_policy(script),
        style=Markup(_read("page.css")),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        drawings={each.name: Markup(embeddable(each)) for each in content.figures},  # noqa: S704
    )


def render_table(table: Table) -> str:
    """Render a table alone: a ``<table>`` with the values that it is sorted by."""
    return _template("table.html.jinja").render(table=table)


@cache
def _template(name: str) -> Template:
    templates = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template(name)


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """Our script runs, no other; nothing is loaded but the images that a drawing holds."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
