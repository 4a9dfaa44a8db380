"""What differs between two runs, and between a run and its rerun, to read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sercli.config.compose import Choice
from sercli.config.keys import Difference
from sercli.errors import RequestError, SercliError
from sercli.reporting.formats import to_text
from sercli.reporting.table import Table
from sercli.reporting.views.config import difference_view, groups_view
from sercli.reporting.views.rerun import rerun_view
from sercli.results.agreement import Rerun
from sercli.results.find import find_run
from sercli.results.run_record import Record


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_only_what_can_change_a_result_is_compared(record: Callable[..., Record]) -> None:
    left = record("activation=tanh", "device=cpu")
    right = record("activation=arelu", "arelu.alpha=0.1", experiment="second")

    view = difference_view(left, right)

    (table,) = view.tables
    assert [column.name for column in table.columns] == [
        "key",
        f"first/{left.key}",
        f"second/{right.key}",
    ]
    assert ["activation.name", "tanh", "arelu"] in texts(table)
    assert ["activation.alpha", "–", "0.1"] in texts(table)
    assert {"key": "activation.alpha", "right": 0.1} in view.data["differences"]
    assert not any(row[0].startswith(("device", "arelu")) for row in texts(table))


def test_everything_includes_how_to_run_and_the_card(record: Callable[..., Record]) -> None:
    left = record("device=cpu")
    right = record("optim.lr=0.5", "device=auto", card={"folds": 7})

    rows = texts(difference_view(left, right, everything=True).tables[0])

    assert ["device", "cpu", "auto"] in rows
    assert ["optim.lr", "0.001", "0.5"] in rows
    assert ["card.folds", "5", "7"] in rows


def test_equal_runs_differ_in_nothing(record: Callable[..., Record]) -> None:
    run = record()

    view = difference_view(run, run)

    assert view.tables[0].title.endswith(": none")
    assert view.data == {"differences": []}


def test_a_long_value_is_cut_in_the_table_alone(record: Callable[..., Record]) -> None:
    left, right = record(), record("optim.lr=0.5", card={"division": "x" * 100})

    view = difference_view(left, right, everything=True)

    assert ["card.division", "–", "x" * 59 + "…"] in texts(view.tables[0])
    assert {"key": "card.division", "right": "x" * 100} in view.data["differences"]


def test_a_record_without_its_environment_is_one_line(record: Callable[..., Record]) -> None:
    run = record()
    (run.path / "environment.json").unlink()

    with pytest.raises(SercliError, match="see `sercli verify`"):
        difference_view(run, run, everything=True)


@pytest.mark.parametrize("name", ["{key}", "first/{key}", "{runs}/first/{key}", "first"])
def test_a_run_is_found_by_key_experiment_and_folder(
    record: Callable[..., Record], runs: Path, name: str
) -> None:
    run = record()
    assert find_run(name.format(key=run.key, runs=runs), runs).key == run.key


def test_an_experiment_of_several_runs_is_no_run(record: Callable[..., Record], runs: Path) -> None:
    keys = sorted([record().key, record("optim.lr=0.5").key])

    with pytest.raises(RequestError, match="'first' has 2 runs: name one") as error:
        find_run("first", runs)

    assert f"({', '.join(keys)})" in str(error.value)


def made(run: Record, *changed: Difference, max_difference: float = 0.0) -> Rerun:
    """A rerun of one unit."""
    figures = {"selected_step": 10, "dev_ua": 0.5, "ua": 0.625, "wa": 0.75}
    again = {f"{name}_again": value for name, value in figures.items()}
    unit = {
        "seed": 0,
        "fold": "one",
        **figures,
        **again,
        "same": 1.0,
        "max_difference": max_difference,
    }
    return Rerun(run, run, changed, pd.DataFrame([unit]), True, {"ua": 0.0})


def test_a_rerun_shows_every_unit_and_its_verdict(record: Callable[..., Record]) -> None:
    (table,) = rerun_view(made(record())).tables

    assert table.title.endswith("and its rerun: they agree to the last digit")
    assert texts(table) == [
        ["one", "0", "10", "10", "50.0", "50.0", "62.5", "62.5", "75.0", "75.0", "100.0", "0"]
    ]


def test_a_rerun_that_does_not_agree_says_why(record: Callable[..., Record]) -> None:
    (table,) = rerun_view(made(record(), max_difference=0.25)).tables

    assert "THEY DO NOT AGREE" in table.title
    assert table.notes[0] == "seed 0, fold one: probabilities differ by up to 0.25."


def test_a_rerun_elsewhere_shows_what_differs_and_how_far_it_may_be_off(
    record: Callable[..., Record],
) -> None:
    table, changed = rerun_view(made(record(), Difference("processor", "one", "other"))).tables

    assert "they agree within 1 percentage point" in table.title
    assert texts(changed) == [["processor", "one", "other"]]
    assert any("may differ by 1 percentage points" in note for note in table.notes)


def test_a_rerun_of_a_sealed_run_shows_dev_alone(record: Callable[..., Record]) -> None:
    (table,) = rerun_view(made(record()), shows_test=False).tables
    assert [column.name for column in table.columns][4:6] == ["dev UA", "dev UA rerun"]
    assert not any("62.5" in row or "75.0" in row for row in texts(table))


CHOICES = [
    Choice("cell", "gru", "Gated [recurrent] unit", default=True),
    Choice("activation", "relu", "Rectified", default=False),
    Choice("activation", "tanh", "Hyperbolic", default=True),
]


def test_groups_are_listed_once_with_a_star_at_the_default() -> None:
    lines = [line.split() for line in to_text(groups_view(CHOICES)).splitlines()]

    assert [line for line in lines if "gru*" in line or "relu" in line or "tanh*" in line] == [
        ["cell", "gru*", "Gated", "[recurrent]", "unit"],
        ["activation", "relu", "Rectified"],
        ["tanh*", "Hyperbolic"],
    ]


def test_groups_as_data_hold_every_choice() -> None:
    assert groups_view(CHOICES).data["activation"] == [
        {"name": "relu", "description": "Rectified", "default": False},
        {"name": "tanh", "description": "Hyperbolic", "default": True},
    ]
    assert to_text(groups_view(CHOICES), "csv").splitlines()[1].startswith("cell,gru,Gated")
