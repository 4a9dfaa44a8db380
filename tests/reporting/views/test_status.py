"""How far a sweep is: what waits, runs, failed and why, the best so far, and how long it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest

from sercli.reporting.formats import to_text
from sercli.reporting.views.status import seconds_left, status_view
from sercli.results.sweep_summary import STATES, SweepSummary

Row = Mapping[str, Any]


def point(state: str, **facts: Any) -> Row:
    """A point of a sweep: one that nobody has tried, unless told otherwise."""
    blank = {"dev_ua": float("nan"), "seconds": float("nan"), "worker": None, "fold_runs": 0}
    return {"state": state, "overrides": "activation=tanh", "cause": None, **blank, **facts}


def sweep(*points: Row) -> tuple[SweepSummary, pd.DataFrame]:
    trials = pd.DataFrame(
        [{"number": number, **each} for number, each in enumerate(points)],
        columns=["number", *point("waiting")],
    )
    counts = {state: int((trials["state"] == state).sum()) for state in STATES}
    return SweepSummary("lr", "tpe", ["dev_ua"], None, {}, [0], counts), trials


MIDST = (
    point("complete", dev_ua=0.612, seconds=100.0, overrides="optim.lr=0.1", worker="a"),
    point("complete", dev_ua=0.634, seconds=140.0, overrides="optim.lr=0.2", worker="b"),
    point("diverged", seconds=120.0, overrides="optim.lr=9", worker="a"),
    point("running", worker="a", fold_runs=3, overrides="optim.lr=0.3"),
    point("running", worker="b", overrides="optim.lr=0.4"),
    point("waiting"),
    point("waiting", cause="its worker was killed (out of memory?)"),
    point("failed", cause="ZeroDivisionError: division by zero"),
    point("failed", cause="ZeroDivisionError: division by zero"),
)
"""A sweep in its midst."""


def text(*said: Any) -> str:
    return to_text(status_view(*said))


def test_counts_who_is_at_what_and_the_best_so_far_are_shown() -> None:
    shown = text(*sweep(*MIDST))

    assert "lr: tpe, 9 trials" in shown
    rows = dict(line.split() for line in shown.splitlines() if len(line.split()) == 2)
    assert rows["waiting"] == rows["running"] == rows["complete"] == rows["failed"] == "2"
    assert rows["diverged"] == "1"
    assert "pruned" not in rows
    assert "a optim.lr=0.3 3" in " ".join(shown.split())
    assert "b optim.lr=0.4 0" in " ".join(shown.split())
    assert "Best so far on dev: 63.4 % UA, optim.lr=0.2" in shown


def test_what_is_left_is_shared_by_those_who_work() -> None:
    _, trials = sweep(*MIDST)

    assert seconds_left(trials) == pytest.approx(120 * 4 / 2)
    assert "Time left: about 4 min 0 s" in text(*sweep(*MIDST))


def test_days_are_told_in_hours() -> None:
    rows = [point("complete", seconds=3600.0, dev_ua=0.5), point("running", worker="a")]

    assert "Time left: about 29 h 0 min" in text(*sweep(*rows, *[point("waiting")] * 28))


@pytest.mark.parametrize(
    "points",
    [
        [point("running", worker="a"), point("waiting")],  # none is finished
        [MIDST[0], point("waiting")],  # nobody works
        [],
    ],
)
def test_where_nothing_can_be_said_of_the_time_nothing_is(points: list[Row]) -> None:
    page, trials = sweep(*points)

    assert seconds_left(trials) is None
    assert "Time left" not in text(page, trials)
    assert status_view(page, trials).data["seconds_left"] is None


def test_failures_stand_by_cause_with_one_traceback_each() -> None:
    traces = {"ZeroDivisionError: division by zero": "Traceback …\n  in divide\n"}

    shown = text(*sweep(*MIDST), None, traces)

    assert "ZeroDivisionError: division by zero 2" in " ".join(shown.split())
    assert shown.count("in divide") == 1
    assert "its worker was killed (out of memory?) 1" in " ".join(shown.split())


def test_a_stopped_sweep_says_why() -> None:
    shown = text(*sweep(point("waiting")), "by sercli stop")

    assert "Stopped: by sercli stop" in shown
    assert "Stopped" not in text(*sweep(point("waiting")))


def test_what_a_cause_says_is_no_markup() -> None:
    shown = text(*sweep(point("failed", cause="[bold]no[/bold] [/]")))

    assert "[bold]no[/bold] [/]" in shown


def test_the_document_tells_the_same() -> None:
    traces = {"ZeroDivisionError: division by zero": "Traceback"}

    found = json.loads(json.dumps(status_view(*sweep(*MIDST), "by me", traces).data))

    assert (found["experiment"], found["sampler"], found["complete"]) == ("lr", "tpe", False)
    assert found["states"] == {
        "waiting": 2,
        "running": 2,
        "complete": 2,
        "diverged": 1,
        "pruned": 0,
        "failed": 2,
        "excluded": 0,
    }
    assert found["best"] == {"overrides": "optim.lr=0.2", "dev_ua": 0.634}
    assert found["running"] == [
        {"number": 3, "overrides": "optim.lr=0.3", "worker": "a", "fold_runs": 3},
        {"number": 4, "overrides": "optim.lr=0.4", "worker": "b", "fold_runs": 0},
    ]
    assert found["failures"] == [
        {
            "cause": "ZeroDivisionError: division by zero",
            "trials": 2,
            "traceback": "Traceback",
        },
        {"cause": "its worker was killed (out of memory?)", "trials": 1, "traceback": ""},
    ]
    assert (found["seconds_left"], found["stopped"]) == (240.0, "by me")


def test_a_finished_sweep_has_no_time_left_and_a_new_one_no_best() -> None:
    done, new = sweep(MIDST[0], MIDST[1]), sweep(point("waiting"))

    assert status_view(*done).data["complete"] is True
    assert status_view(*done).data["seconds_left"] is None
    assert status_view(*new).data["best"] is None
    assert "Best" not in text(*new)
