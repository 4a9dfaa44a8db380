"""What a search found, and above all what it does not show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.reports import left_out, report_json, report_tables

from sercli.reporting.table import Table
from sercli.reporting.views.sweep import sweep_tables
from sercli.results.fold_result import FoldResult
from sercli.results.run_record import Record, write_record
from sercli.results.sweep_summary import SweepSummary

Make = Callable[..., Record]
Search = Callable[..., SweepSummary]

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
    best = row(find(sweep_tables(SUMMARY, trials, records), "the best trial on dev"))

    assert (best["trial"], best["run"]) == ("arelu.alpha=0.5 arelu.beta=1", "p3")
    assert (best["dev UA"], best["test UA"], best["test WA"]) == ("91.7", "93.0", "83.0")
    corrected = float(best["corrected"])
    assert 66 < corrected < 100
    assert float(best["optimism"]) == pytest.approx(91.7 - corrected, abs=0.11)


def test_what_became_of_the_points_is_counted(trials: pd.DataFrame, records: list[Record]) -> None:
    table = find(sweep_tables(SUMMARY, trials, records), "trials by state")

    assert [tuple(row(table, n).values()) for n in range(3)] == [
        ("complete", "4"),
        ("pruned", "2"),
        ("failed", "3"),
    ]
    assert "Compared on dev: 4 trials." in table.notes


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
    assert "1 trial waiting or running" in seen
    assert ("results are shown when all trials have ended" in seen) == (not opened)


def test_an_unfinished_comparison_promises_no_winner(trials: pd.DataFrame) -> None:
    summary = replace(SUMMARY, states={**SUMMARY.states, "waiting": 1}, comparison=True)

    assert "when all trials have ended" not in texts(sweep_tables(summary, trials, []))


def test_the_opening_and_earlier_winners_are_told(
    trials: pd.DataFrame, records: list[Record]
) -> None:
    opened = [{"time": "2026-11-20T12:00", "how": "report --unseal"}]
    summary = replace(SUMMARY, opened=opened, shown=["p1", "p3"])

    notes = find(sweep_tables(summary, trials, records), "trials by state").notes

    assert "Unsealed for all trials on 2026-11-20T12:00 by report --unseal." in notes
    assert any("1 earlier winner" in note and "p1" in note for note in notes)
    assert not any("Sealed" in note for note in notes)


def test_in_a_comparison_nothing_was_chosen(trials: pd.DataFrame, records: list[Record]) -> None:
    tables = sweep_tables(replace(SUMMARY, comparison=True), trials, records)

    assert not any("the best trial on dev" in table.title for table in tables)
    assert any("none was selected" in note for note in tables[0].notes)


def test_settings_stand_by_importance_and_with_their_effects(
    trials: pd.DataFrame, records: list[Record]
) -> None:
    tables = sweep_tables(SUMMARY, trials, records)

    decisive = find(tables, "importance of")
    assert [row(decisive, n)["setting"] for n in range(2)] == ["arelu.alpha", "arelu.beta"]
    effect = find(tables, "Dev UA by setting")
    assert row(effect) == {
        "setting": "arelu.alpha",
        "value": "0.01",
        "dev UA": "70.8 ± 0.0",
        "trials": "2",
    }
    assert any("α = 0.5 and β = 1, mean dev UA 91.7 over 1 trial" in note for note in effect.notes)


def test_failures_stand_by_cause_the_most_frequent_first(
    trials: pd.DataFrame, records: list[Record]
) -> None:
    failures = find(sweep_tables(SUMMARY, trials, records), "Failures")

    assert row(failures) == {"cause": "out of memory", "trials": "2", "example": "point 6"}
    assert row(failures, 1)["cause"] == "a bug"


def test_a_front_shows_every_objective_and_no_test(
    trials: pd.DataFrame, records: list[Record]
) -> None:
    summary = replace(SUMMARY, objectives=("dev_ua", "seconds"), front=["p0", "p3"])

    front = find(sweep_tables(summary, trials, records), "Pareto front")

    assert [row(front, n) for n in range(2)] == [
        {
            "trial": "arelu.alpha=0.5 arelu.beta=1",
            "run": "p3",
            "dev UA (%)": "91.7",
            "seconds": "30",
        },
        {
            "trial": "arelu.alpha=0.01 arelu.beta=0",
            "run": "p0",
            "dev UA (%)": "66.7",
            "seconds": "0",
        },
    ]


def test_a_sweep_of_which_nothing_is_finished_has_its_points_alone(trials: pd.DataFrame) -> None:
    summary = replace(SUMMARY, states={"waiting": 2}, winner=None, importance=None)
    waiting = trials.head(2).assign(state="waiting", dev_ua=float("nan"), run=None)

    (table,) = sweep_tables(summary, waiting, [])

    assert row(table) == {"state": "waiting", "trials": "2"}


def test_a_winner_whose_record_is_gone_has_no_figures_of_test(trials: pd.DataFrame) -> None:
    best = row(find(sweep_tables(SUMMARY, trials, []), "the best trial on dev"))

    assert (best["dev UA"], best["corrected"], best["test UA"]) == ("91.7", "–", "–")


@pytest.fixture(name="winner")
def _winner(record: Make, search: Search) -> Record:
    record("activation=relu", dev_ua=0.5)
    winner = record("activation=tanh", dev_ua=0.9)
    search(winner)
    return winner


def titles(runs: Path, *names: str) -> list[str]:
    return [table.title for table in report_tables(runs, names)]


def test_a_search_that_is_reported_says_what_it_found(winner: Record, runs: Path) -> None:
    for names in ((), ("first",)):
        assert "first: trials by state" in titles(runs, *names)

    (sweep,) = report_json(runs)["sweeps"]
    assert sweep["winner"] == winner.key


def test_of_a_single_point_only_its_run_is_reported(winner: Record, runs: Path) -> None:
    assert "first: trials by state" not in titles(runs, winner.key)
    assert "sweeps" not in report_json(runs, [winner.key])


def test_runs_without_a_search_have_none(record: Make, runs: Path) -> None:
    record()

    assert set(report_json(runs)) == {
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

    (line,) = left_out(runs)
    assert line.startswith(f"{path} cannot be read (")
    assert "\n" not in line
    assert len(report_tables(runs)[0].rows) == 2
