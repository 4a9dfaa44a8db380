"""What a search found, and above all what it does not show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sercli.reporting.table import Table
from sercli.reporting.views.sweep import sweep_tables
from sercli.results.fold_result import FoldResult
from sercli.results.run_record import Record, write_record
from sercli.results.sweep_summary import SweepSummary

LABELS = ("anger", "neutral") * 6
WRONG = {"anger": "neutral", "neutral": "anger"}
ALPHAS, BETAS = (0.01, 0.5), (0.0, 1.0)

SUMMARY = SweepSummary(
    experiment="bayes",
    sampler="tpe",
    objectives=("dev_ua",),
    pruner="wilcoxon",
    space={"arelu.alpha": "interval(0,1)", "arelu.beta": "interval(-4,4)"},
    seeds=[0],
    states={"complete": 4, "pruned": 2, "failed": 3, "waiting": 0, "running": 0},
    winner="p3",
    importance={"arelu.beta": 0.25, "arelu.alpha": 0.75},
)


@pytest.fixture(name="trials")
def _trials() -> pd.DataFrame:
    """Four complete points p0 to p3, each better than the one before; and others."""
    rows: list[dict[str, Any]] = [
        {"state": "complete", "run": f"p{n}", "dev_ua": (8 + n) / 12, "seconds": 10.0 * n,
         "param/arelu.alpha": ALPHAS[n // 2], "param/arelu.beta": BETAS[n % 2]}
        for n in range(4)
    ]  # fmt: skip
    rows += [{"state": "pruned", "param/arelu.alpha": 0.9}] * 2
    rows += [{"state": "failed", "cause": "out of memory", "param/arelu.alpha": 0.7}] * 2
    rows += [{"state": "failed", "cause": "a bug", "param/arelu.alpha": 0.8}]
    table = pd.DataFrame(rows)
    table["overrides"] = [f"point {n}" for n in range(len(table))]
    return table


@pytest.fixture(name="records")
def _records(make_result: Callable[..., FoldResult], tmp_path: Path) -> list[Record]:
    """Their runs: on test pN gives a UA of 0.9N."""

    def record(n: int) -> Record:
        guesses = [WRONG[x] if place < 4 - n else x for place, x in enumerate(LABELS)]
        names = [f"one-dev{place}" for place in range(len(LABELS))]
        who = [f"s{place % 3}" for place in range(len(LABELS))]
        return write_record(
            tmp_path / "runs" / "bayes" / f"p{n}",
            {
                "key": f"p{n}",
                "status": "complete",
                "card": {"synthetic": True},
                "metrics": {"ua": 0.9 + n / 100, "wa": 0.8 + n / 100},
            },
            config_yaml="",
            folds={"one": {}},
            environment={},
            utterances=pd.DataFrame({"utterance": names, "speaker": who}),
            results=[make_result(["anger"], ["neutral"], dev=(LABELS, guesses))],
        )

    return [record(n) for n in range(4)]


def texts(tables: list[Table]) -> str:
    """Everything that a reader sees."""
    return "\n".join(
        part
        for table in tables
        for part in (
            table.title,
            table.warning,
            *table.notes,
            *(column.name for column in table.columns),
            *(cell.text for row in table.rows for cell in row),
        )
    )


def row(table: Table, place: int = 0) -> dict[str, str]:
    names = [column.name for column in table.columns]
    return dict(zip(names, [cell.text for cell in table.rows[place]], strict=True))


def find(tables: list[Table], title: str) -> Table:
    (found,) = [table for table in tables if title in table.title]
    return found


def test_the_best_stands_with_its_dev_ua_what_is_left_of_it_and_its_test_ua(
    trials: pd.DataFrame, records: list[Record]
) -> None:
    best = row(find(sweep_tables(SUMMARY, trials, records), "the best on dev"))

    assert (best["point"], best["run"]) == ("arelu.alpha=0.5 arelu.beta=1", "p3")
    assert (best["dev UA"], best["test UA"], best["test WA"]) == ("91.7", "93.0", "83.0")
    corrected = float(best["corrected"])
    assert 66 < corrected < 100
    assert float(best["optimism"]) == pytest.approx(91.7 - corrected, abs=0.11)


def test_what_became_of_the_points_is_counted(trials: pd.DataFrame, records: list[Record]) -> None:
    table = find(sweep_tables(SUMMARY, trials, records), "the points")

    assert [tuple(row(table, n).values()) for n in range(3)] == [
        ("complete", "4"),
        ("pruned", "2"),
        ("failed", "3"),
    ]
    assert "4 points were compared on dev." in table.notes


def test_of_a_sealed_sweep_only_the_winner_shows_test(
    trials: pd.DataFrame, records: list[Record]
) -> None:
    seen = texts(sweep_tables(replace(SUMMARY, front=["p2", "p3"]), trials, records))

    assert "93.0" in seen
    assert not any(other in seen for other in ("90.0", "91.0", "92.0", "80.0", "81.0", "82.0"))
    assert "Sealed" in seen


@pytest.mark.parametrize("opened", [[], [{"time": "2026-11-20", "how": "report --unseal"}]])
@pytest.mark.parametrize("state", ["waiting", "running"])
def test_before_the_end_no_figure_of_test_is_shown(
    trials: pd.DataFrame, records: list[Record], state: str, opened: list[dict[str, str]]
) -> None:
    summary = replace(SUMMARY, states={**SUMMARY.states, state: 1}, opened=opened)

    seen = texts(sweep_tables(summary, trials, records))

    assert not any(f"9{n}.0" in seen or f"8{n}.0" in seen for n in range(4))
    assert "1 still wait or run" in seen


def test_the_opening_and_earlier_winners_are_told(
    trials: pd.DataFrame, records: list[Record]
) -> None:
    opened = [{"time": "2026-11-20T12:00", "how": "report --unseal"}]
    summary = replace(SUMMARY, opened=opened, shown=["p1", "p3"])

    notes = find(sweep_tables(summary, trials, records), "the points").notes

    assert "Test was opened for all points on 2026-11-20T12:00 by report --unseal." in notes
    assert any("1 earlier best" in note and "p1" in note for note in notes)
    assert not any("Sealed" in note for note in notes)


def test_in_a_comparison_nothing_was_chosen(trials: pd.DataFrame, records: list[Record]) -> None:
    tables = sweep_tables(replace(SUMMARY, comparison=True), trials, records)

    assert not any("the best on dev" in table.title for table in tables)
    assert any("none was chosen" in note for note in tables[0].notes)


def test_settings_stand_by_importance_and_with_their_effects(
    trials: pd.DataFrame, records: list[Record]
) -> None:
    tables = sweep_tables(SUMMARY, trials, records)

    decisive = find(tables, "what decides")
    assert [row(decisive, n)["setting"] for n in range(2)] == ["arelu.alpha", "arelu.beta"]
    effect = find(tables, "Dev UA by setting")
    assert row(effect) == {
        "setting": "arelu.alpha",
        "value": "0.01",
        "dev UA": "70.8 ± 0.0",
        "points": "2",
    }
    assert any("α = 0.5 and β = 1, mean dev UA 91.7 of 1" in note for note in effect.notes)


def test_failures_stand_by_cause_the_most_frequent_first(
    trials: pd.DataFrame, records: list[Record]
) -> None:
    failures = find(sweep_tables(SUMMARY, trials, records), "Failures")

    assert row(failures) == {"cause": "out of memory", "points": "2", "one of them": "point 6"}
    assert row(failures, 1)["cause"] == "a bug"


def test_a_front_shows_every_objective_and_no_test(
    trials: pd.DataFrame, records: list[Record]
) -> None:
    summary = replace(SUMMARY, objectives=("dev_ua", "seconds"), front=["p0", "p3"])

    front = find(sweep_tables(summary, trials, records), "no other beats")

    assert [row(front, n) for n in range(2)] == [
        {"point": "arelu.alpha=0.5 arelu.beta=1", "run": "p3", "dev UA": "91.7", "seconds": "30"},
        {"point": "arelu.alpha=0.01 arelu.beta=0", "run": "p0", "dev UA": "66.7", "seconds": "0"},
    ]


def test_a_sweep_of_which_nothing_is_finished_has_its_points_alone(trials: pd.DataFrame) -> None:
    summary = replace(SUMMARY, states={"waiting": 2}, winner=None, importance=None)
    waiting = trials.head(2).assign(state="waiting", dev_ua=float("nan"), run=None)

    (table,) = sweep_tables(summary, waiting, [])

    assert row(table) == {"what became of them": "waiting", "points": "2"}


def test_a_winner_whose_record_is_gone_has_no_figures_of_test(trials: pd.DataFrame) -> None:
    best = row(find(sweep_tables(SUMMARY, trials, []), "the best on dev"))

    assert (best["dev UA"], best["corrected"], best["test UA"]) == ("91.7", "–", "–")
