"""What a report adds of the searches that its runs are points of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sercli.reporting.report import Report, ReportRequest, make_report
from sercli.results.run_record import Record
from sercli.results.sweep_summary import SweepSummary

Make = Callable[..., Record]
Search = Callable[..., SweepSummary]


@pytest.fixture(name="winner")
def _winner(record: Make, search: Search) -> Record:
    record("activation=relu", dev_ua=0.5)
    winner = record("activation=tanh", dev_ua=0.9)
    search(winner)
    return winner


def titles(made: Report) -> list[str]:
    return [table.title for table in made.tables]


def test_a_search_that_is_reported_says_what_it_found(winner: Record, runs: Path) -> None:
    for names in ([], ["first"]):
        assert "first: the points" in titles(make_report(ReportRequest(names, runs)))

    (sweep,) = json.loads(str(make_report(ReportRequest([], runs, "json")).content))["sweeps"]
    assert sweep["winner"] == winner.key


def test_of_a_single_point_only_its_run_is_reported(winner: Record, runs: Path) -> None:
    made = make_report(ReportRequest([winner.key], runs, "json"))

    assert "first: the points" not in titles(made)
    assert "sweeps" not in json.loads(str(made.content))


def test_runs_without_a_search_have_none(record: Make, runs: Path) -> None:
    record()

    assert set(json.loads(str(make_report(ReportRequest([], runs, "json")).content))) == {
        "rows",
        "comparisons",
    }


@pytest.mark.parametrize("harm", ["missing", "cut off", "of another form"])
def test_points_that_cannot_be_read_are_one_line_and_the_runs_are_reported(
    winner: Record, runs: Path, harm: str
) -> None:
    path = runs / "first" / "trials.parquet"
    content = path.read_bytes()
    path.unlink()
    if harm == "cut off":
        path.write_bytes(content[:100])
    elif harm == "of another form":
        pd.DataFrame({"number": [1]}).to_parquet(path)

    made = make_report(ReportRequest([], runs))

    (line,) = made.damaged
    assert line.startswith(f"{path} cannot be read (")
    assert "\n" not in line
    assert len(made.tables[0].rows) == 2
