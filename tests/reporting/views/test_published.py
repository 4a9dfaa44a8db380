"""Runs compared with Table 1 of the AR-GRU paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.reports import report_json, report_tables

from sercli.reporting.table import Table
from sercli.results.baselines import read_baselines
from sercli.results.run_record import Record

Make = Callable[..., Record]

SYSTEMS = [
    *("BiLSTM+ATT", "MDNN", "IAAN", "R-GRU"),
    *(f"AR-GRU ({number})" for number in ("I", "II", "III", "IV", "V")),
]


def table1(runs: Path) -> Table:
    (table,) = report_tables(runs, table1=True)
    return table


def row_of(table: Table, system: str) -> dict[str, str]:
    row = next(row for row in table.rows if row[0].text == system)
    return {column.name: cell.text for column, cell in zip(table.columns, row, strict=True)}


def test_rows_stand_in_the_papers_order_and_say_what_was_not_run(record: Make, runs: Path) -> None:
    record("activation=arelu")
    record("activation=relu")

    table = table1(runs)

    assert [row[0].text for row in table.rows] == SYSTEMS
    assert [row[1].text for row in table.rows] == [
        *["not run"] * 3,
        "iaan_small gru relu",
        *["not run"] * 4,
        "iaan_small gru arelu α=0.01 β=1",
    ]
    missing = row_of(table, "MDNN")
    assert (missing["UA published"], missing["UA ours"], missing["Δ UA"]) == ("62.7", "–", "–")
    assert missing["notes"] == ""


def test_a_run_that_compares_has_a_difference_with_its_interval(record: Make, runs: Path) -> None:
    record("activation=arelu")

    table = table1(runs)

    row = row_of(table, "AR-GRU (V)")
    assert (row["UA published"], row["UA ours"]) == ("68.3", "70.0 (65.1–74.9)")
    assert row["Δ UA"] == "+1.7 (−3.2 to +6.6)"
    assert row["Δ WA"] == "+1.1 (−3.9 to +6.1)"
    assert table.notes[int(row["notes"]) - 1] == "1: selection not stated."
    assert any("That of Δ is the run's own" in note for note in table.notes)


def test_what_was_selected_on_test_is_compared_with_the_oracle(record: Make, runs: Path) -> None:
    record("activation=tanh", ua_oracle_ci=[0.7, 0.75])

    row = row_of(table1(runs), "IAAN")

    assert (row["UA ours"], row["Δ UA"]) == ("72.0 (70.0–75.0)", "+5.7 (+3.7 to +8.7)")
    assert (row["WA ours"], row["Δ WA"]) == ("69.0", "+4.3")


def test_what_does_not_compare_has_no_difference_but_a_reason(record: Make, runs: Path) -> None:
    record("activation=relu", "dataset=nemo")

    table = table1(runs)

    row = row_of(table, "R-GRU")
    assert (row["UA ours"], row["Δ UA"], row["notes"]) == ("70.0 (65.1–74.9)", "–", "1, 2")
    assert table.notes[0] == "1: not comparable: corpus iemocap, not nemo."
    assert "ANOTHER CORPUS: the published results are on iemocap." in table.warning


def test_synthetic_speech_never_stands_there_without_its_mark(record: Make, runs: Path) -> None:
    record("activation=relu", "dataset=synthetic")

    table = table1(runs)

    assert table.warning.startswith("SYNTHETIC speech: these numbers say nothing about people.")
    assert row_of(table, "R-GRU")["Δ UA"] == "–"
    assert "that of the run is synthetic" in table.notes[0]


def test_several_runs_of_a_system_stand_below_each_other(record: Make, runs: Path) -> None:
    for lr, dev in ((0.1, 0.5), (0.2, 0.6)):
        record("activation=relu", f"optim.lr={lr}", dev_ua=dev)

    found = [row[1].text for row in table1(runs).rows if row[0].text == "R-GRU"]

    assert found == ["iaan_small gru relu optim.lr=0.2", "iaan_small gru relu optim.lr=0.1"]


def test_published_results_are_listed_of_the_corpora_of_the_runs_only(
    record: Make, runs: Path
) -> None:
    record("activation=relu")

    table = report_tables(runs)[-1]

    assert table.title == "Published results (%)"
    assert len(table.rows) == sum(each.corpus == "iemocap" for each in read_baselines())


def test_the_data_are_fractions(record: Make, runs: Path) -> None:
    run = record("activation=relu")

    pairs = report_json(runs, table1=True)["table1"]
    assert [pair["published"] for pair in pairs] == SYSTEMS
    (pair,) = (pair for pair in pairs if pair["runs"])
    assert pair["runs"] == [run.key]
    assert (pair["published_ua"], pair["ua"]) == (pytest.approx(0.677), 0.7)
    assert pair["delta_ua"] == pytest.approx(0.023)
    assert pair["delta_ua_ci"] == pytest.approx([0.651 - 0.677, 0.749 - 0.677])
