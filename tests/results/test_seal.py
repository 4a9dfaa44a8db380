"""The seal: what a search's points gave on test is shown of its winner alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from helpers.reports import left_out, report_json, report_tables, report_text
from helpers.users import as_colleague, needs_root, shared_folder

from sercli.errors import RequestError
from sercli.reporting.formats import FORMATS
from sercli.reporting.load import ReportRequest
from sercli.reporting.report import make_report
from sercli.results.find import find_runs
from sercli.results.run_record import Record
from sercli.results.seal import hide_sealed, shows_test
from sercli.results.sweep_summary import SweepSummary, read_sweep, set_apart

Make = Callable[..., Record]
Search = Callable[..., SweepSummary]

TEST = {
    "ua": 0.1234,
    "wa": 0.1235,
    "maf": 0.1236,
    "map": 0.1237,
    "ua_ci": [0.1231, 0.1239],
    "wa_ci": [0.1232, 0.1238],
    "ua_oracle": 0.1241,
    "wa_oracle": 0.1242,
    "recall": {"anger": 0.1243},
    "by_seed": [{"seed": 0, "ua": 0.1244, "dev_ua": 0.61}, {"seed": 1, "ua": 0.1245}],
    "by_fold": [{"seed": 0, "fold": "one", "ua": 0.1246, "selected_step": 10, "oracle_step": 1247}],
}
"""Figures of a loser that can be told from all others."""


def losers_figures(text: str) -> list[str]:
    """Return what gives a loser away, as fractions or per cent."""
    return [sign for sign in ("0.123", "0.124", "12.3", "12.4", "1247") if sign in text]


@pytest.fixture(name="points")
def _points(record: Make, search: Search) -> tuple[Record, Record]:
    """The winner and a loser of a search."""
    winner = record("activation=tanh", ua=0.81, dev_ua=0.9)
    listeners = {"ua": 0.1235, "wa": 0.1245, "raters": 3, "labels": 99}
    loser = record("activation=relu", **TEST, dev_ua=0.62, listeners=listeners)
    search(winner)
    return winner, loser


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(n, marks=pytest.mark.exhaustive) for n in (1, 2))]
)
def test_nothing_shows_what_a_loser_gave_on_test(
    points: tuple[Record, Record], runs: Path, part: int
) -> None:
    loser = points[1]
    evaluations: list[dict[str, Any]] = [{}, {"table1": True}, {"rows": "activation"}]
    names = ("first", loser.key, str(loser.path))
    for (n, form), (m, look) in product(enumerate(FORMATS), enumerate(evaluations)):
        name = names[(n + m + part) % 3]
        text = report_text(runs, form, [name], **look)

        assert losers_figures(text) == [], (form, look, name)
        assert loser.key in text or "sealed" in text.lower(), (form, look, name)


def test_without_the_seal_the_same_report_shows_them(
    points: tuple[Record, Record], runs: Path, search: Search
) -> None:
    search(points[0], comparison=True)

    text = report_text(runs, "json")

    assert losers_figures(text) == ["0.123", "0.124"]


def test_the_winner_is_shown_and_that_is_noted(points: tuple[Record, Record], runs: Path) -> None:
    rows = report_json(runs)["rows"]

    assert [(row["ua"], row["sealed"]) for row in rows[:2]] == [(0.81, False), (None, True)]
    summary = read_sweep(runs / "first")
    assert summary is not None
    assert list(summary.shown) == [points[0].key]


def test_a_search_that_goes_on_has_no_winner_yet(
    points: tuple[Record, Record], runs: Path, search: Search
) -> None:
    search(points[0], states={"complete": 2, "waiting": 1})

    rows = report_json(runs)["rows"]

    assert [row["ua"] for row in rows[:2]] == [None, None]
    summary = read_sweep(runs / "first")
    assert summary is not None
    assert not summary.shown


def test_the_table_says_how_many_are_sealed_and_how_to_open_them(
    points: tuple[Record, Record], runs: Path
) -> None:
    table = report_tables(runs)[0]

    assert "SEALED: 1 of 2 runs" in table.warning
    assert "--unseal" in table.warning
    assert [row[1].text for row in table.rows] == ["81.0", "sealed"]


def test_opening_shows_all_and_the_page_says_so(points: tuple[Record, Record], runs: Path) -> None:
    table = report_tables(runs, ["first"], unseal=True)[0]

    assert [row[1].text for row in table.rows] == ["81.0", "12.3 ± 0.0"]
    assert table.warning == ""
    summary = read_sweep(runs / "first")
    assert summary is not None
    assert [each["how"] for each in summary.opened] == ["report --unseal"]


def test_a_page_that_cannot_be_read_keeps_its_runs_sealed(
    points: tuple[Record, Record], runs: Path
) -> None:
    (runs / "first" / "sweep.json").write_text("{")

    assert [row[1].text for row in report_tables(runs)[0].rows] == ["sealed", "sealed"]
    (line,) = left_out(runs)
    assert "sweep.json cannot be read" in line


def test_a_winner_that_cannot_be_noted_stays_sealed(
    points: tuple[Record, Record], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr("sercli.results.seal.record_shown_winner", refuse)

    records, lines = hide_sealed(find_runs([], runs)[0])

    assert not any(map(shows_test, records))
    assert lines == []


def test_nothing_is_tested_against_a_sealed_run(points: tuple[Record, Record], runs: Path) -> None:
    with pytest.raises(RequestError, match=r"it is sealed \(--unseal shows test\)"):
        report_tables(runs, against=points[1].key)
    document = report_json(runs)
    assert {tuple(each["runs"]) for each in document["comparisons"]} == {(points[0].key,)}


def test_a_pivot_of_sealed_runs_is_of_dev(points: tuple[Record, Record], runs: Path) -> None:
    (table,) = report_tables(runs, rows="activation")

    assert table.title == "iemocap, loso_session, 4 classes: dev UA (%)"
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["relu", "62.0"],
        ["tanh", "90.0"],
    ]


def test_what_is_no_search_is_not_sealed(record: Make) -> None:
    records, _ = hide_sealed([record()])

    assert shows_test(records[0])


def test_a_run_that_was_trained_for_itself_is_shown(
    points: tuple[Record, Record], record: Make, runs: Path
) -> None:
    alone = record("activation=elu", ua=0.55)
    set_apart(runs / "first", [alone.key, points[1].key])  # the loser is a trial as well

    records, _ = hide_sealed(find_runs([], runs)[0])

    assert {each.key: shows_test(each) for each in records} == {
        points[0].key: True,
        points[1].key: False,
        alone.key: True,
    }


def test_the_warning_names_the_way_to_an_open_comparison(
    points: tuple[Record, Record], runs: Path
) -> None:
    (warning,) = {table.warning for table in report_tables(runs) if table.warning}

    assert "run the same sweep with --comparison and another experiment=" in warning


@needs_root
def test_a_colleague_who_may_only_read_is_told_why_the_winner_is_sealed(
    record: Make, search: Search
) -> None:
    with shared_folder() as folder:
        runs = folder / "runs"
        shutil.copytree(search_folder(record, search), runs)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        with as_colleague():
            made = make_report(ReportRequest([], runs, format_name="csv"))

    assert made.status == 0
    assert made.notes == (
        "first: the winner stays sealed: sweep.json, which records that its test results were "
        "shown, cannot be written",
    )


def search_folder(record: Make, search: Search) -> Path:
    winner = record("activation=tanh")
    search(winner)
    return winner.path.parents[1]
