"""Where learned parameters went, tabulated from the records of real runs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.reports import report_text

from sercli.config.schema import Config
from sercli.errors import RequestError
from sercli.reporting.views.parameters import parameter_rows, parameters_view
from sercli.results.run_record import Record
from sercli.training.data import Data
from sercli.training.fold_pool import FoldPool
from sercli.training.run import train_run
from sercli.training.validate import validate_run


@pytest.fixture(name="train", scope="module")
def _train(
    toy: Data, toy_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Record]:
    def train(*overrides: str) -> Record:
        runs = tmp_path_factory.mktemp("runs")
        fixed = ("trainer.steps=2", "trainer.eval_every=1", f"paths.runs={runs}")
        with FoldPool(toy) as pool:
            return train_run(
                validate_run(toy_config(*fixed, "experiment=one", *overrides), toy), pool
            )[0]

    return train


@pytest.fixture(name="run", scope="module")
def _run(train: Callable[..., Record]) -> Record:
    return train("activation=arelu", "arelu.alpha=0.5", "arelu.share=direction", "seeds=[0,1]")


def report(runs: Path, form: str) -> str:
    return report_text(runs, form, ["one"], parameters=True)


def test_each_layer_and_direction_has_a_row_with_its_start_and_where_it_went(
    run: Record, record: Callable[..., Record]
) -> None:
    rows = parameter_rows([run, record("activation=tanh")])

    assert {row["run"] for row in rows} == {run.key}

    assert [row["parameter"] for row in rows] == [
        f"{layer}.{name}"
        for layer in (
            "current.l0",
            "current.l0_reverse",
            "own.cell.l0",
            "interlocutor.cell.l0",
        )
        for name in ("alpha", "beta")
    ]
    history = run.history()
    steps = {(x["seed"], x["fold"]): x["selected_step"] for x in run.metrics["by_fold"]}
    for row in rows:
        column = f"activation/{row['parameter']}".replace(".l0", ".activations.l0")
        ends = [
            history.query("seed == @seed and fold == @fold and step == @step")[column].item()
            for (seed, fold), step in steps.items()
        ]
        assert row["initial"] == (0.5 if row["parameter"].endswith("alpha") else 1.0)
        assert row["fold_runs"] == len(ends) == 8
        assert row["mean"] == pytest.approx(sum(ends) / 8)
        assert (row["min"], row["max"]) == (min(ends), max(ends))
        assert row["min"] < row["max"]


def test_a_diverged_unit_shows_where_it_was_last(train: Callable[..., Record]) -> None:
    rows = parameter_rows([train("activation=arelu", "optim.lr=1e20")])

    assert rows[0]["initial"] == pytest.approx(0.01)
    assert rows[0]["fold_runs"] == 1


def test_a_report_has_every_form(run: Record) -> None:
    runs = run.path.parents[1]

    made = {form: report(runs, form) for form in ("csv", "json")}

    lines = list(csv.DictReader(io.StringIO(made["csv"])))
    rows = json.loads(made["json"])["parameters"]
    assert [line["parameter"] for line in lines] == [row["parameter"] for row in rows]
    assert {row["system"] for row in rows} == {"iaan_small gru arelu α=0.5 β=1"}
    assert "| current.l0.alpha | 0.5 |" in report(runs, "markdown")


def test_runs_that_learn_nothing_of_the_kind_are_refused(record: Callable[..., Record]) -> None:
    run = record("activation=tanh")

    with pytest.raises(RequestError, match="no activation of these runs has learned parameters"):
        parameters_view([run])
    assert parameter_rows([run]) == []
