"""Records for TensorBoard and MLflow say what the records say, and nothing that is sealed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sercli.errors import RequestError, SercliError
from sercli.reporting.export.mlflow import export_mlflow
from sercli.reporting.export.run_export import run_export
from sercli.reporting.export.tensorboard import export_tensorboard
from sercli.results.run_record import Record
from sercli.results.seal import hide_sealed

HISTORY = pd.DataFrame(
    {
        "step": [0, 10, 20],
        "loss": [float("nan"), 0.5, 0.25],
        "dev_ua": [float("nan"), 0.5, 0.75],
        "test_ua": [float("nan"), 0.25, 0.5],
        "max_state": [float("nan"), 1.0, 2.0],
        "seed": 3,
        "fold": "Ses:01",
    }
)


@pytest.fixture(name="kept")
def _kept(record: Callable[..., Record]) -> Callable[..., Record]:
    """Write a record with a history and a time."""

    def kept(*overrides: str, **facts: Any) -> Record:
        made = record(*overrides, **facts)
        HISTORY.to_parquet(made.path / "history.parquet")
        environment = {"time": datetime(2026, 5, 4, tzinfo=UTC).isoformat()}
        (made.path / "environment.json").write_text(json.dumps(environment))
        return made

    return kept


@pytest.fixture(name="sealed")
def _sealed(kept: Callable[..., Record], search: Callable[..., Any]) -> Record:
    """A point of a search that is no winner."""
    made = kept()
    search()
    (sealed,), _ = hide_sealed([made])
    return sealed


def test_settings_figures_and_curves_are_those_of_the_record(kept: Callable[..., Record]) -> None:
    run = kept("optim.lr=0.5", "seeds=[3]", "trainer.patience=null")

    found = run_export(run)

    assert found.parameters["run"] == run.key
    assert found.parameters["optim.lr"] == 0.5
    assert found.parameters["seeds"] == "[3]"
    assert found.parameters["trainer.patience"] == "null"
    assert found.metrics["ua"] == run.metrics["ua"]
    assert found.metrics["ua_ci_low"] == run.metrics["ua_ci"][0]
    assert found.curves["seed3/Ses_01"]["dev_ua"] == [(10, 0.5), (20, 0.75)]
    assert set(found.curves["seed3/Ses_01"]) == {"loss", "dev_ua", "test_ua", "max_state"}


def test_of_a_sealed_run_nothing_of_test_is_told(sealed: Record) -> None:
    found = run_export(sealed)

    assert set(found.metrics) == {"dev_ua"}
    assert set(found.curves["seed3/Ses_01"]) == {"loss", "dev_ua"}


def test_a_record_without_its_history_is_one_line(kept: Callable[..., Record]) -> None:
    run = kept()
    (run.path / "history.parquet").unlink()

    with pytest.raises(SercliError, match="see `sercli verify`"):
        run_export(run)


@pytest.mark.parametrize(
    ("module", "export", "remedy"),
    [
        ("torch.utils.tensorboard", export_tensorboard, r"pip install 'sercli\[tensorboard\]'"),
        ("mlflow", export_mlflow, r"pip install 'sercli\[mlflow\]'"),
    ],
)
def test_without_the_package_one_line_says_what_to_install(
    kept: Callable[..., Record],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    module: str,
    export: Callable[..., object],
    remedy: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RequestError, match=remedy):
        export([kept()], tmp_path / "there")


def test_event_files_never_go_among_the_records(kept: Callable[..., Record], runs: Path) -> None:
    run = kept()
    before = sorted(run.path.rglob("*"))

    with pytest.raises(RequestError, match="holds the records themselves"):
        export_tensorboard([run], runs)
    assert sorted(run.path.rglob("*")) == before


def test_tensorboard_reads_curves_and_final_figures(
    kept: Callable[..., Record], tmp_path: Path
) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    ).EventAccumulator
    run = kept()

    for _ in range(2):  # the second time replaces the first
        (home,) = export_tensorboard([run], tmp_path / "board")

    assert home == tmp_path / "board" / "first" / run.key
    unit, final = accumulator(str(home / "seed3" / "Ses_01")), accumulator(str(home))
    unit.Reload()
    final.Reload()
    assert [(event.step, event.value) for event in unit.Scalars("test_ua")] == [
        (10, 0.25),
        (20, 0.5),
    ]
    (figure,) = final.Scalars("final/ua")
    assert figure.value == pytest.approx(run.metrics["ua"])


def test_mlflow_has_a_run_for_each_record(kept: Callable[..., Record], tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    run = kept("activation=arelu", diverged=[{"seed": 1, "fold": "x", "step": 2}])
    uri = f"sqlite:///{tmp_path}/mlflow.db"

    export_mlflow([run], uri)
    (identity,) = export_mlflow([run, kept("optim.lr=2")], uri)[:1]

    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("first")
    assert len(client.search_runs([experiment.experiment_id])) == 2
    logged = client.get_run(identity)
    assert logged.info.run_name == run.key
    assert logged.info.status == "FAILED"
    assert logged.data.params["activation.name"] == "arelu"
    assert logged.data.tags["sercli.record"] == str(run.path)
    curve = client.get_metric_history(identity, "seed3/Ses_01/dev_ua")
    assert [(each.step, each.value) for each in curve] == [(10, 0.5), (20, 0.75)]


def test_a_store_that_mlflow_cannot_have_is_one_line_without_the_password(
    kept: Callable[..., Record],
) -> None:
    pytest.importorskip("mlflow")
    with pytest.raises(RequestError, match="try sqlite:///mlflow") as error:
        export_mlflow([kept()], "ftp://me:secret@host/there")
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)
