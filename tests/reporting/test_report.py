"""Records that were copied by half or edited by hand: a line each, and the others are reported."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.reports import left_out, report_tables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sercli.reporting.formats import FORMATS
from sercli.reporting.load import ReportRequest
from sercli.reporting.report import make_report
from sercli.results.run_record import Record

Make = Callable[..., Record]
Page = dict[str, Any]

FULL: dict[str, Any] = {
    "recall": {"anger": 0.5},
    "by_seed": [{"seed": 0, "ua": 0.7, "dev_ua": 0.7}, {"seed": 1, "ua": 0.7}],
    "by_fold": [{"seed": 0, "fold": "one", "ua": 0.7, "selected_step": 10}],
}


def edit(record: Record, change: Callable[[Page], object]) -> None:
    path = record.path / "run.json"
    page = json.loads(path.read_text(encoding="utf-8"))
    change(page)
    path.write_text(json.dumps(page), encoding="utf-8")


def reported(runs: Path) -> list[str]:
    return [row[0].text for row in report_tables(runs)[0].rows]


def put(value: Any, *where: str) -> Callable[[Page], None]:
    """Return what writes a value into a page."""

    def change(page: Page) -> None:
        for name in where[:-1]:
            page = page[name]
        page[where[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda page: page.pop("metrics"), "run.json: metrics is missing"),
        (lambda page: page.pop("card"), "run.json: card is missing"),
        (lambda page: page["metrics"].pop("ua"), "run.json: metrics.ua is missing"),
        (put({}, "metrics"), "run.json: metrics.ua is missing"),
        (put("high", "metrics", "ua"), "metrics.ua must be a number, not 'high'"),
        (put(70.0, "metrics", "wa"), "metrics.wa must be less than or equal to 1, not 70.0"),
        (put(True, "metrics", "dev_ua"), "metrics.dev_ua must be a number, not True"),
        (put([0.5], "metrics", "ua_ci"), r"metrics.ua_ci .*at least 2 items.*not \[0.5\]"),
        (
            put({"anger": None}, "metrics", "recall"),
            "metrics.recall.anger must be a number",
        ),
        (put([3], "metrics", "by_seed"), r"metrics.by_seed\[0\] must be a mapping, not 3"),
        (put("done", "status"), "status must be 'complete' or 'diverged', not 'done'"),
        (put("gru", "configuration", "cell"), "configuration.cell must be a mapping, not 'gru'"),
        (put({}, "configuration", "model"), "configuration.model.name is missing"),
        (
            put("much", "configuration", "activation", "alpha"),
            "activation.alpha must be a number",
        ),
        (put(4, "card", "classes"), "card.classes must be a list, not 4"),
        (put("five", "card", "folds"), "card.folds must be a whole number, not 'five'"),
        (put([{"seed": 0}], "diverged"), r"diverged\[0\].fold is missing"),
        (put(1, "format"), "has record format 1; this sercli reads 3"),
    ],
)
def test_an_edited_page_is_one_line_and_the_other_run_is_reported(
    record: Make, runs: Path, change: Callable[[Page], object], reason: str
) -> None:
    record("activation=tanh")
    edit(bad := record("activation=relu", **FULL), change)

    assert reported(runs) == ["iaan_small gru tanh"]
    (line,) = left_out(runs)
    assert str(bad.path) in line
    assert "\n" not in line
    assert re.search(reason, line)


@pytest.mark.parametrize("name", ["predictions", "utterances", "history"])
@pytest.mark.parametrize("harm", ["gone", "cut off", "empty"])
def test_a_record_that_was_copied_by_half_is_one_line(
    record: Make, runs: Path, name: str, harm: str
) -> None:
    record("activation=tanh")
    path = record("activation=relu").path / f"{name}.parquet"
    content = path.read_bytes()
    path.unlink()
    if harm != "gone":
        path.write_bytes(content[:-20] if harm == "cut off" else b"")

    assert reported(runs) == ["iaan_small gru tanh"]
    (line,) = left_out(runs)
    assert f"{name}.parquet is missing or cut off" in line


def test_a_diverged_run_needs_no_figures(record: Make, runs: Path) -> None:
    record(diverged=[{"seed": 0, "fold": "one", "step": 3}])

    assert left_out(runs) == ()


def places(node: Any, *where: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every value of a page, of mappings and lists as well."""
    if where:
        yield where
    if isinstance(node, dict | list):
        for key in node if isinstance(node, dict) else range(len(node)):
            yield from places(node[key], *where, key)


ANYTHING: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, 1e400, "", "x" * 200, "[red]", [], [[]], {}, {"name": "x"}, {"": []}]
)
LOOKS: list[dict[str, Any]] = [
    {},
    {"table1": True},
    {"rows": "activation", "columns": "optim.lr"},
]


@pytest.fixture(name="pages")
def _pages(record: Make) -> tuple[Path, str]:
    """A good record, and the page of another one and what it says."""
    record("activation=relu")
    path = record("activation=arelu", **FULL).path / "run.json"
    return path, path.read_text(encoding="utf-8")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_edited_nothing_breaks(
    pages: tuple[Path, str], runs: Path, data: st.DataObject
) -> None:
    path, text = pages
    node = page = json.loads(text)
    *parents, last = data.draw(st.sampled_from(list(places(page))))
    for key in parents:
        node = node[key]
    node[last] = data.draw(ANYTHING)
    path.write_text(json.dumps(page), encoding="utf-8")

    form, look = data.draw(st.sampled_from(list(FORMATS))), data.draw(st.sampled_from(LOOKS))
    made = make_report(ReportRequest([], runs, form, **look))

    assert len(made.notes) == made.status <= 1
    assert "relu" in made.text
