"""Make a report: load records, build a view, format it, export it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sercli.errors import RequestError, counted
from sercli.reporting.formats import to_text
from sercli.reporting.load import ReportData, ReportRequest, load
from sercli.reporting.table import View
from sercli.reporting.views.diagnostics import diagnostics_view
from sercli.reporting.views.dimensions import with_dimensions
from sercli.reporting.views.parameters import parameters_view
from sercli.reporting.views.pivot import Axes, pivot_view
from sercli.reporting.views.published import table1_view
from sercli.reporting.views.results import results_view
from sercli.reporting.views.rows import published_rows, run_rows
from sercli.reporting.views.significance import find_differences
from sercli.reporting.views.sweep import with_sweeps

_NAMED = 3
"""Runs that an error names."""


@dataclass(frozen=True)
class ReportResult:
    """A report, ready to print.

    Attributes:
        text: The report.
        notes: Lines for the user beside it: what was exported, which records are left out.
        status: The exit status: 1 if a record could not be read, else 0.
    """

    text: str
    notes: tuple[str, ...]
    status: int


def make_report(request: ReportRequest) -> ReportResult:
    """Report experiments and runs beside published results, and export them where asked.

    Raises:
        RequestError: A name or setting is unknown, there is no run, nothing is learned, or a
            package that an export needs is not installed.
        SercliError: The user's file of published results is invalid.
    """
    data = load(request)
    needing = _view_of_classes(request)
    if needing and data.of_dimensions and not data.records:
        names = ", ".join(record.key for record in data.of_dimensions[:_NAMED])
        raise RequestError(f"{needing}: only for runs on classes; dimensional labels: {names}")
    if request.format_name == "html":
        from sercli.reporting.formats.html.document import make_page

        special = request.rows or request.columns or request.table1
        text = make_page(data, build_view(request, data) if special else None, request.against)
    else:
        text = to_text(build_view(request, data), request.format_name, plain=request.plain)
    notes = [f"left out: {line}" for line in data.damaged]
    if needing:
        notes += [
            f"left out of {needing}: {record.key} predicts dimensional labels"
            for record in data.of_dimensions
        ]
    notes += [
        f"{summary.experiment}: the winner stays sealed: sweep.json, which records that its test "
        "results were shown, cannot be written"
        for summary, _ in data.sweeps
        if summary.unrecorded
    ]
    return ReportResult(text, (*_export(request, data), *notes), int(bool(data.damaged)))


def _view_of_classes(request: ReportRequest) -> str:
    """Return the options in use that apply to runs on classes alone; empty if there are none."""
    asked = {
        "--format html": request.format_name == "html",
        "--rows": request.rows,
        "--columns": request.columns,
        "--table1": request.table1,
        "--diagnostics": request.diagnostics,
        "--figures": request.figures,
        "--tensorboard": request.tensorboard,
        "--mlflow": request.mlflow,
    }
    return ", ".join(name for name, value in asked.items() if value)


def build_view(request: ReportRequest, data: ReportData) -> View:
    """Build the requested view.

    Raises:
        RequestError: A setting or the run to test against is unknown, or nothing is learned.
    """
    records, baselines = data.records, data.baselines
    if request.parameters:
        return parameters_view([*records, *data.of_dimensions])
    if not records and data.of_dimensions:
        return with_dimensions(View((), {}), data.of_dimensions)
    if request.diagnostics:
        return diagnostics_view(records)
    rows = run_rows(records, baselines)
    if request.rows or request.columns:
        return pivot_view(rows, records, Axes(request.rows, request.columns))
    if request.table1:
        return table1_view(rows, baselines)
    differences = find_differences(rows, records, request.against)
    view = results_view(rows, published_rows(baselines, records), baselines, differences)
    return with_dimensions(with_sweeps(view, data.sweeps, records), data.of_dimensions)


def _export(request: ReportRequest, data: ReportData) -> Iterator[str]:
    """Save figures and export runs as requested; yield a line about each."""
    if request.figures is not None:
        from sercli.reporting.figures.draw import draw_report
        from sercli.reporting.figures.plot import save_all

        files = save_all(draw_report(data), request.figures)
        yield f"{counted(len(files), 'figure file')}: {request.figures}"
    if request.tensorboard is not None:
        from sercli.reporting.export.tensorboard import export_tensorboard

        folders = export_tensorboard(data.records, request.tensorboard)
        yield f"{counted(len(folders), 'run')} for TensorBoard: {request.tensorboard}"
    if request.mlflow is not None:
        from sercli.reporting.export.mlflow import export_mlflow

        yield f"{counted(len(export_mlflow(data.records, request.mlflow)), 'run')} in MLflow"
