"""The page of a report and its figures, from the same material as its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sercli.analysis.comparability import published_match, why_incomparable
from sercli.errors import RequestError, SercliError
from sercli.reporting.figures.draw import draw_all
from sercli.reporting.figures.plot import Plot, as_svg, save
from sercli.reporting.formats.html.collect import collect
from sercli.reporting.formats.html.content import Figure, Section
from sercli.reporting.formats.html.render import render_page
from sercli.reporting.report import Material, ReportRequest, look
from sercli.reporting.table import Table, View
from sercli.reporting.views.diagnostics import diagnostics_view
from sercli.reporting.views.parameters import parameters_view
from sercli.reporting.views.results import published_tables, recall_tables, result_tables
from sercli.reporting.views.rows import published_rows, run_rows, system_names
from sercli.reporting.views.searches import with_sweeps
from sercli.reporting.views.significance import differences_tables, find_differences
from sercli.results.seal import shows_test

_DIAGNOSED = 12
"""Runs up to which the page says where recognition fails (our choice: two tables each)."""


def make_page(request: ReportRequest, material: Material) -> str:
    """Make one HTML file of everything that there is to say about the runs.

    Args:
        request: What was asked; a special view (``rows``, ``table1``, …) stands first.
        material: What the report is made of.

    Raises:
        RequestError: As `sercli.reporting.report.look`.
    """
    figures = [
        Figure(drawn.name, drawn.title, drawn.caption, as_svg(drawn)) for drawn in _draw(material)
    ]
    sections = list(_sections(request, material))
    content = collect(material.records, material.sweeps, sections, figures, material.damaged)
    return render_page(content)


def save_figures(material: Material, folder: Path) -> list[Path]:
    """Draw what the runs give, each as SVG and PNG.

    Returns:
        The files.
    """
    return [path for drawn in _draw(material) for path in save(drawn, folder)]


def _draw(material: Material) -> Iterator[Plot]:
    names = system_names(material.records)
    systems = {record.key: name for record, name in zip(material.records, names, strict=True)}
    return draw_all(
        material.records,
        material.sweeps,
        systems=systems,
        shows_test=shows_test,
        published=_published(material),
    )


def _published(material: Material) -> dict[str, float]:
    """Key of a run → UA published for the system that it repeats, where the two compare."""
    found = {}
    for record in material.records:
        baseline = published_match(record.summary["configuration"], material.baselines)
        if baseline is not None and why_incomparable(record.summary["card"], baseline) is None:
            found[record.key] = baseline.ua / 100
    return found


def _sections(request: ReportRequest, material: Material) -> Iterator[Section]:
    special = request.rows or request.columns or request.table1
    if special:
        yield Section("As asked for", look(request, material).tables)
    records, baselines = material.records, material.baselines
    rows = run_rows(records, baselines)
    differences = find_differences(rows, records, request.against)
    results = [*result_tables(rows, differences), *differences_tables(differences)]
    published = published_tables(rows, published_rows(baselines, records), baselines)
    for title, tables, folded in (
        ("Results", results, False),
        ("Searches", with_sweeps(View((), {}), material.sweeps, records).tables, False),
        ("Published results", published, False),
        ("Recall of every class", recall_tables(rows), True),
        ("Where recognition fails", _diagnostics(material), True),
        ("What activations learned", _parameters(material), True),
    ):
        if tables:
            yield Section(title, tuple(tables), folded)


def _diagnostics(material: Material) -> tuple[Table, ...]:
    if len(material.records) > _DIAGNOSED:
        return ()
    with suppress(SercliError):  # what cannot be shown is said elsewhere on the page
        return diagnostics_view(material.records).tables
    return ()


def _parameters(material: Material) -> tuple[Table, ...]:
    with suppress(RequestError):  # nothing is learned
        return parameters_view(material.records).tables
    return ()
