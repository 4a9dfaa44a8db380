"""Reports for tests: their tables, their text, their JSON document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sercli.reporting.load import ReportRequest, load
from sercli.reporting.report import build_view, make_report
from sercli.reporting.table import Table


def report_tables(runs: Path, names: Sequence[str] = (), **asked: Any) -> list[Table]:
    """Return the tables of a report."""
    request = ReportRequest(names, runs, **asked)
    return list(build_view(request, load(request)).tables)


def report_text(
    runs: Path, format_name: str = "table", names: Sequence[str] = (), **asked: Any
) -> str:
    """Return a report as it is printed."""
    return make_report(ReportRequest(names, runs, format_name, **asked)).text


def report_json(runs: Path, names: Sequence[str] = (), **asked: Any) -> dict[str, Any]:
    """Return the JSON document of a report."""
    document: dict[str, Any] = json.loads(report_text(runs, "json", names, **asked))
    return document


def left_out(runs: Path) -> tuple[str, ...]:
    """Return the lines about records and sweeps that a report of all runs leaves out."""
    return load(ReportRequest([], runs)).damaged
