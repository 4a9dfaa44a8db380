"""UA by any two settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.reports import report_json, report_tables, report_text

from sercli.errors import RequestError
from sercli.reporting.table import Table
from sercli.results.run_record import Record

Make = Callable[..., Record]

WHERE = [{"seed": 3, "fold": "Session2", "step": 140}]


def pivots(runs: Path, rows: str | None, columns: str | None = None) -> list[Table]:
    return report_tables(runs, rows=rows, columns=columns)


def texts(table: Table) -> list[list[str]]:
    headings = [column.name for column in table.columns]
    return [headings, *([cell.text for cell in row] for row in table.rows)]


def test_groups_and_keys_are_axes(record: Make, runs: Path) -> None:
    record("activation=tanh", "cell=gru", ua=0.6)
    record("activation=tanh", "cell=lstm", ua=0.61)
    record("activation=relu", "cell=gru", ua=0.62)

    (table,) = pivots(runs, "activation", "cell")

    assert table.title == "iemocap, loso_session, 4 classes: UA (%)"
    assert texts(table) == [
        ["activation", "cell gru", "cell lstm"],
        ["relu", "62.0", ""],
        ["tanh", "60.0", "61.0"],
    ]


def test_numbers_are_ordered_by_size_and_what_lacks_the_setting_stands_last(
    record: Make, runs: Path
) -> None:
    record("activation=tanh", ua=0.5)
    for alpha in (0.9, 0.05, 0.5):
        record("activation=arelu", f"arelu.alpha={alpha}", ua=alpha / 2)

    (table,) = pivots(runs, "arelu.alpha")

    assert texts(table)[1:] == [
        ["0.05", "2.5"],
        ["0.5", "25.0"],
        ["0.9", "45.0"],
        ["–", "50.0"],
    ]
    assert [row[0].value for row in table.rows] == [0.05, 0.5, 0.9, None]
    assert texts(pivots(runs, "activation.alpha")[0])[1:] == texts(table)[1:]


def test_a_single_axis_may_lie_across(record: Make, runs: Path) -> None:
    record("optim.lr=0.01", ua=0.6)
    record("optim.lr=0.002", ua=0.7)

    (table,) = pivots(runs, None, "optim.lr")

    assert texts(table) == [["", "optim.lr 0.002", "optim.lr 0.01"], ["all runs", "70.0", "60.0"]]


def test_several_runs_of_a_cell_are_a_mean_with_deviation_and_number(
    record: Make, runs: Path
) -> None:
    for lr, ua in ((0.1, 0.6), (0.2, 0.7), (0.3, 0.8)):
        record("activation=tanh", f"optim.lr={lr}", ua=ua)

    (table,) = pivots(runs, "activation")

    assert texts(table)[1] == ["tanh", "70.0 ± 10.0 (n=3)"]
    assert table.rows[0][1].value == pytest.approx(70)
    assert "n: number of runs" in table.notes[0]


def test_a_run_of_several_seeds_has_their_deviation(record: Make, runs: Path) -> None:
    record(ua=0.7, by_seed=[{"seed": 0, "ua": 0.6}, {"seed": 1, "ua": 0.8}])

    (table,) = pivots(runs, "cell")

    assert texts(table)[1] == ["gru", "70.0 ± 14.1"]
    assert table.notes == ("± of a single run: standard deviation over its seeds.",)


def test_diverged_runs_are_left_out_of_a_mean_and_named_where_they_are_alone(
    record: Make, runs: Path
) -> None:
    record("activation=tanh", ua=0.6)
    record("activation=tanh", "optim.lr=9", diverged=WHERE)
    record("activation=relu", diverged=WHERE)

    (table,) = pivots(runs, "activation")

    assert texts(table)[1:] == [["relu", "diverged"], ["tanh", "60.0"]]
    assert "Diverged runs are left out of the means." in table.notes


def test_tasks_stand_apart_unless_they_are_an_axis(record: Make, runs: Path) -> None:
    record("activation=tanh", ua=0.6)
    record("activation=tanh", "dataset=nemo", ua=0.8)

    assert len(pivots(runs, "activation")) == 2
    (table,) = pivots(runs, "activation", "dataset")
    assert texts(table) == [
        ["activation", "dataset iemocap", "dataset nemo"],
        ["tanh", "60.0", "80.0"],
    ]
    assert any("are not comparable" in note for note in table.notes)


def test_runs_of_several_tasks_never_make_a_mean(record: Make, runs: Path) -> None:
    record(ua=0.6)
    record("protocol=loso_speaker", ua=0.8)

    (table,) = pivots(runs, "dataset")

    assert texts(table)[1] == ["iemocap", "–"]
    assert "–: runs of several tasks." in table.notes


def test_synthetic_speech_is_shouted(record: Make, runs: Path) -> None:
    record("dataset=synthetic")

    assert pivots(runs, "cell")[0].warning.startswith("SYNTHETIC")


def test_an_unknown_key_is_refused_with_the_nearest(record: Make, runs: Path) -> None:
    record()

    with pytest.raises(RequestError, match=r"setting 'activatoin'\. Did you mean 'activation'\?"):
        pivots(runs, "activatoin")
    with pytest.raises(RequestError, match=r"setting 'optim.rl'\. Did you mean 'optim.lr'\?"):
        pivots(runs, "activation", "optim.rl")


def test_the_data_are_fractions(record: Make, runs: Path) -> None:
    one, two = (record(f"optim.lr={lr}", ua=lr) for lr in (0.25, 0.75))

    first, second = report_json(runs, rows="optim.lr", columns="seeds")["pivot"]

    assert first == {
        "task": "iemocap, loso_session, 4 classes",
        "optim.lr": 0.25,
        "seeds": [0],
        "metric": "ua",
        "mean": 0.25,
        "sd": None,
        "runs": [one.key],
        "diverged": 0,
    }
    assert second["runs"] == [two.key]


def test_csv_has_a_line_for_every_cell(record: Make, runs: Path) -> None:
    record("activation=tanh", ua=0.625)

    heading, line = report_text(runs, "csv", rows="activation").splitlines()
    assert heading == "task,activation,metric,mean,sd,runs,diverged"
    assert line.startswith('"iemocap, loso_session, 4 classes",tanh,ua,0.625,,')
