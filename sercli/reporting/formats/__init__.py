"""The forms of a report by the names that the command line gives them.

UA and WA are percentages in tables, fractions in CSV and JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import RenderableType

from sercli.reporting.formats.csv_json import as_csv, as_json
from sercli.reporting.formats.latex import as_latex
from sercli.reporting.formats.markdown import as_markdown
from sercli.reporting.formats.terminal import as_terminal
from sercli.reporting.table import View

FORMS: Mapping[str, Callable[[View], str | RenderableType]] = {
    "table": lambda view: as_terminal(view.tables),
    "markdown": lambda view: as_markdown(view.tables),
    "latex": lambda view: as_latex(view.tables),
    "csv": lambda view: as_csv(view.data),
    "json": lambda view: as_json(view.data),
}
