"""The HTML page of a report, from the same data as its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from sercli.errors import RequestError, SercliError
from sercli.reporting.figures.draw import draw_report
from sercli.reporting.figures.plot import as_svg
from sercli.reporting.formats.html.collect import collect
from sercli.reporting.formats.html.content import Figure, Section
from sercli.reporting.formats.html.render import render_page
from sercli.reporting.load import ReportData
from sercli.reporting.table import Table, View
from sercli.reporting.views.diagnostics import diagnostics_view
from sercli.reporting.views.parameters import parameters_view
from sercli.reporting.views.published import published_tables
from sercli.reporting.views.results import listener_tables, recall_tables, result_tables
from sercli.reporting.views.rows import published_rows, run_rows
from sercli.reporting.views.significance import differences_tables, find_differences
from sercli.reporting.views.sweep import with_sweeps

_DIAGNOSED = 12
"""Runs up to which the page has diagnostics (our choice: two tables each)."""


def make_page(data: ReportData, special: View | None = None, against: str | None = None) -> str:
    """Make one HTML file of all views and figures of a report.

    Args:
        data: The content.
        special: A view that comes first, such as a table by settings.
        against: Key or name of the run to test all others against.

    Raises:
        RequestError: ``against`` is none of the runs.
    """
    figures = [
        Figure(plot.name, plot.title, plot.caption, as_svg(plot)) for plot in draw_report(data)
    ]
    sections = list(_sections(data, special, against))
    return render_page(collect(data.records, data.sweeps, sections, figures, data.damaged))


def _sections(data: ReportData, special: View | None, against: str | None) -> Iterator[Section]:
    records, baselines = data.records, data.baselines
    rows = run_rows(records, baselines)
    differences = find_differences(rows, records, against)
    results = [*result_tables(rows, differences), *differences_tables(differences)]
    for title, tables, folded in (
        ("Requested view", special.tables if special else (), False),
        ("Results", results, False),
        ("Sweeps", with_sweeps(View((), {}), data.sweeps, records).tables, False),
        ("Published results", published_tables(rows, published_rows(baselines, records), baselines),
         False),
        ("Recall per class", recall_tables(rows), True),
        ("Labels of each rater", listener_tables(rows), True),
        ("Diagnostics", _diagnostics(data), True),
        ("Learned parameters", _parameters(data), True),
    ):  # fmt: skip
        if tables:
            yield Section(title, tuple(tables), folded)


def _diagnostics(data: ReportData) -> tuple[Table, ...]:
    if len(data.records) > _DIAGNOSED:
        return ()
    with suppress(SercliError):  # the page names damaged records elsewhere
        return diagnostics_view(data.records).tables
    return ()


def _parameters(data: ReportData) -> tuple[Table, ...]:
    with suppress(RequestError):  # nothing is learned
        return parameters_view(data.records).tables
    return ()
