"""A report: records and published results in one of several forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType

from sercli.reporting.find import find
from sercli.reporting.formats import FORMS
from sercli.reporting.table import Table, View
from sercli.reporting.views.diagnostics import diagnostics_view
from sercli.reporting.views.parameters import parameters_view
from sercli.reporting.views.pivot import Axes, pivot_view
from sercli.reporting.views.results import overview
from sercli.reporting.views.rows import published_rows, run_rows
from sercli.reporting.views.searches import Sweep, find_sweeps, with_sweeps
from sercli.reporting.views.significance import find_differences
from sercli.reporting.views.table1 import table1_view
from sercli.results.baselines import Baseline, known_baselines
from sercli.results.run_record import Record
from sercli.results.seal import keep_sealed


@dataclass(frozen=True)
class ReportRequest:
    """What is asked of a report.

    Attributes:
        names: Experiments, keys or folders of runs; none means all experiments.
        runs: Where the experiments lie.
        form: ``table``, ``markdown``, ``latex``, ``csv`` or ``json``.
        rows: A setting whose values stand below each other in a table of UA (`pivot_view`).
        columns: The same for its columns.
        table1: Lay the AR-GRU paper's Table 1 beside the runs instead.
        parameters: Show what activations learned instead.
        diagnostics: Show where recognition fails instead (`sercli.reporting.views.diagnostics`).
        against: Key or name of the run that the others are tested against; see
            `sercli.reporting.views.significance.find_differences`.
        baselines: A registry of published results that adds to the shipped one.
        open: Break the seals of the searches that the runs are points of.
    """

    names: Sequence[str]
    runs: Path
    form: str = "table"
    rows: str | None = None
    columns: str | None = None
    table1: bool = False
    parameters: bool = False
    diagnostics: bool = False
    against: str | None = None
    baselines: Path | None = None
    open: bool = False


@dataclass(frozen=True)
class Material:
    """What a report is made of.

    Attributes:
        records: The runs; the pages of sealed ones hold no test figures.
        sweeps: Pages and points of the searches that were asked for as a whole.
        baselines: Published results.
        damaged: A line about each record or page that cannot be read.
    """

    records: tuple[Record, ...]
    sweeps: tuple[Sweep, ...]
    baselines: tuple[Baseline, ...]
    damaged: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """A report and what had to be left out of it."""

    content: str | RenderableType
    damaged: tuple[str, ...]
    tables: tuple[Table, ...]


def make_report(request: ReportRequest) -> Report:
    """Report experiments and runs beside the published baselines.

    Raises:
        RequestError: A name or a setting is unknown, there is no run, or nothing is learned.
        SercliError: The user's registry of published results is not of the form.
    """
    material = gather(request)
    view = look(request, material)
    return Report(FORMS[request.form](view), material.damaged, view.tables)


def gather(request: ReportRequest) -> Material:
    """Read what a report is made of, and take out what is sealed.

    Raises:
        RequestError: A name is unknown, or there is no run.
        SercliError: The user's registry of published results is not of the form.
    """
    baselines = known_baselines(request.baselines)
    found, damaged = find(request.names, request.runs)
    records, lines = keep_sealed(found, opening=request.open)
    whole = [
        record for record in records if not request.names or record.experiment in request.names
    ]
    sweeps, more = find_sweeps(whole)
    damaged = [*damaged, *dict.fromkeys([*lines, *more])]
    return Material(tuple(records), tuple(sweeps), tuple(baselines), tuple(damaged))


def look(request: ReportRequest, material: Material) -> View:
    """Make the view that is asked for.

    Raises:
        RequestError: A setting or the run to test against is unknown, or nothing is learned.
    """
    records, baselines = material.records, material.baselines
    if request.parameters:
        return parameters_view(records)
    if request.diagnostics:
        return diagnostics_view(records)
    rows = run_rows(records, baselines)
    if request.rows or request.columns:
        return pivot_view(rows, records, Axes(request.rows, request.columns))
    if request.table1:
        return table1_view(rows, baselines)
    differences = find_differences(rows, records, request.against)
    view = overview(rows, published_rows(baselines, records), baselines, differences)
    return with_sweeps(view, material.sweeps, records)
