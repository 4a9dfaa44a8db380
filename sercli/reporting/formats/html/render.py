"""Render a page: one HTML file that needs no network and is readable without JavaScript.

All data are escaped but the figures, which this package draws. A content security policy lets the
browser run the page's own script, known by its hash, and load nothing.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from sercli.reporting.formats.html.content import PageContent
from sercli.resources import PALETTE

_HERE = Path(__file__).resolve().parent


def render_page(content: PageContent) -> str:
    """Return the HTML document of a page."""
    script = _read(_HERE / "page.js")
    return _page_template().render(
        page=content,
        policy=_policy(script),
        style=Markup(_read(PALETTE) + _read(_HERE / "page.css")),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
    )


@cache
def _page_template() -> Template:
    templates = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("page.html.jinja")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """Return a policy that allows our script, inline style and inline images."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
