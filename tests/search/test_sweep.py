"""The sweep: every point run once, through failures, divergences and interruptions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest

from sercli.config.schema import Config
from sercli.errors import Interrupted, RequestError, SercliError
from sercli.results.record import Record
from sercli.search.plan import Point, plan_points
from sercli.search.sweep import SweepResult, run_sweep
from sercli.training.crew import Crew
from sercli.training.data import Data
from sercli.training.run import train_run

STEPS = 2
FOLDS = 4
RUN_STEPS = FOLDS * STEPS


@pytest.fixture(name="reads", autouse=True)
def _reads(toy: Data, monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """Give the toy corpus to sweeps, and list the configurations that were read."""
    reads: list[Config] = []

    def read(config: Config, **options: object) -> Data:
        reads.append(config)
        return toy

    monkeypatch.setattr("sercli.search.sweep.read_data", read)
    return reads


@pytest.fixture(name="points")
def _points(tmp_path: Path) -> Callable[..., list[Point]]:
    """Plan a sweep of tiny runs; its records go below ``tmp_path``."""
    tiny = [f"model.{name}=4" for name in ("hidden", "context_hidden", "attention", "head")]
    fixed = [f"trainer.steps={STEPS}", f"trainer.eval_every={STEPS}", f"paths.runs={tmp_path}"]
    return lambda *overrides: plan_points([*tiny, *fixed, "experiment=study", *overrides])


def sweep(points: Sequence[Point], **options: Any) -> SweepResult:
    return run_sweep(points, workers=1, **options)


def activations(records: Sequence[Record]) -> list[str]:
    return [record.page["configuration"]["activation"]["name"] for record in records]


def test_every_point_gets_a_record_and_dev_ua_is_the_objective(
    points: Callable[..., list[Point]], tmp_path: Path, reads: list[Config]
) -> None:
    result = sweep(points("activation=tanh,relu", "seeds=[0],[1]"))

    assert (result.experiment, result.points, result.finished_now) == ("study", 4, 4)
    assert result.all_well
    assert activations(result.records) == ["tanh", "tanh", "relu", "relu"]
    storage = f"sqlite:///{tmp_path / 'study' / 'study.db'}"
    trials = optuna.load_study(study_name="study", storage=storage).trials
    assert [trial.value for trial in trials] == [
        record.metrics["dev_ua"] for record in result.records
    ]
    assert len(reads) == 1  # all points read the same corpus


def test_a_finished_sweep_runs_nothing_again(
    points: Callable[..., list[Point]], watching: Any
) -> None:
    first = sweep(points("activation=tanh,relu"))
    progress = watching()

    second = sweep(points("activation=tanh,relu"), progress=progress)

    assert second.finished_now == 0
    assert progress.steps == 0
    assert [record.page for record in second.records] == [record.page for record in first.records]


def test_a_sweep_may_grow(points: Callable[..., list[Point]], watching: Any) -> None:
    sweep(points("activation=tanh,relu"))
    progress = watching()

    result = sweep(points("activation=tanh,relu,leaky_relu"), progress=progress)

    assert (result.points, result.finished_now) == (3, 1)
    assert progress.steps == RUN_STEPS


def test_a_stopped_sweep_goes_on_where_it_was(
    points: Callable[..., list[Point]], watching: Any
) -> None:
    def stop_in_the_second_point(task: str, count: float) -> None:
        if progress.steps == RUN_STEPS + STEPS + 1:
            raise Interrupted

    progress = watching(stop_in_the_second_point)
    with pytest.raises(Interrupted):
        sweep(points("activation=tanh,relu,leaky_relu"), progress=progress)

    again = watching()
    result = sweep(points("activation=tanh,relu,leaky_relu"), progress=again)
    assert (result.points, result.finished_now) == (3, 2)
    assert again.steps == RUN_STEPS - STEPS + RUN_STEPS  # one fold of the second was done
    assert again.counts["sweep study, points"] == 2
    assert activations(result.records) == ["tanh", "relu", "leaky_relu"]


def test_a_point_that_makes_no_sense_is_refused_before_any_work(
    points: Callable[..., list[Point]],
) -> None:
    plan = points("activation=arelu", "arelu.alpha_max=0.5", "arelu.alpha=0.1,0.8,0.2")

    with pytest.raises(RequestError, match=r"arelu.alpha=0.8: .* lies outside its clamp"):
        sweep(plan)

    assert not list(Path(plan[0].config.paths.runs).rglob("run.json"))


def no_memory_for_tanh(config: Config, *arguments: Any, **options: Any) -> tuple[Record, bool]:
    """Train a run, unless it is one with tanh."""
    if config.activation["name"] == "tanh":
        raise SercliError("a training process was killed")
    return train_run(config, *arguments, **options)


def test_a_failed_point_is_noted_and_run_by_the_next_sweep(
    points: Callable[..., list[Point]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("sercli.search.sweep.train_run", no_memory_for_tanh)
        first = sweep(points("activation=tanh,relu"))
    ((overrides, reason),) = first.failed
    assert "activation=tanh" in overrides
    assert reason == "a training process was killed"
    assert len(first.records) == 1
    assert not first.all_well

    second = sweep(points("activation=tanh,relu"))
    assert (second.finished_now, second.failed) == (1, ())
    assert second.all_well


def test_a_diverged_point_is_a_result_and_is_not_tried_again(
    points: Callable[..., list[Point]], watching: Any
) -> None:
    plan = points("activation=relu", "optim.lr=1e20,0.01")

    first = sweep(plan)
    assert [record.status for record in first.records] == ["diverged", "complete"]
    assert (first.finished_now, first.failed, first.all_well) == (2, (), False)

    progress = watching()
    second = sweep(plan, progress=progress)
    assert (second.finished_now, progress.steps) == (0, 0)
    assert second.lines() == ["study: 2 points, 0 finished now, 2 before, 1 diverged, 0 failed"]


def test_a_point_whose_record_was_removed_is_run_again(
    points: Callable[..., list[Point]], watching: Any
) -> None:
    first = sweep(points("activation=tanh,relu"))
    shutil.rmtree(first.records[0].path)
    progress = watching()

    second = sweep(points("activation=tanh,relu"), progress=progress)

    assert (second.finished_now, progress.steps) == (1, RUN_STEPS)
    assert [record.page for record in second.records] == [record.page for record in first.records]


def test_a_run_that_was_trained_before_is_taken_into_the_sweep(
    points: Callable[..., list[Point]], toy: Data, watching: Any
) -> None:
    plan = points("activation=tanh,relu")
    with Crew(toy) as crew:
        train_run(plan[0].config, toy, crew)
    progress = watching()

    result = sweep(plan, progress=progress)

    assert result.all_well
    assert (result.finished_now, progress.steps) == (1, RUN_STEPS)


def test_points_of_two_corpora_are_each_run_on_their_own(
    points: Callable[..., list[Point]], reads: list[Config]
) -> None:
    result = sweep(points("features.pool=1,5", "activation=tanh,relu"))

    assert result.all_well
    pools = [record.page["configuration"]["features"]["pool"] for record in result.records]
    assert pools == [1, 1, 5, 5]
    assert {config.features.pool for config in reads} == {1, 5}


def test_points_that_turn_out_to_read_the_same_data_are_one_run(
    points: Callable[..., list[Point]],
) -> None:
    result = sweep(points("dataset.root=here,there"))

    assert (result.points, len(result.records)) == (1, 1)
    assert result.all_well


def test_a_second_process_on_the_same_sweep_is_refused(
    points: Callable[..., list[Point]], watching: Any
) -> None:
    refused: list[object] = []

    def sweep_too(task: str, count: float) -> None:
        if progress.steps == 1:
            with pytest.raises(RequestError, match="is being run by another process") as error:
                sweep(points("activation=tanh,relu"))
            refused.append(error)

    progress = watching(sweep_too)
    assert sweep(points("activation=tanh,relu"), progress=progress).all_well
    assert len(refused) == 1


def test_a_sweep_over_experiments_is_refused(points: Callable[..., list[Point]]) -> None:
    plan = [*points("seeds=[0],[1]"), *points("experiment=other", "seeds=[0],[1]")]

    with pytest.raises(RequestError, match="a sweep is one experiment"):
        sweep(plan)


def test_the_document_of_a_sweep_lists_runs_and_failures(
    points: Callable[..., list[Point]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.search.sweep.train_run", no_memory_for_tanh)
    result = sweep(points("activation=relu,tanh"))

    document = json.loads(json.dumps(result.to_json()))
    (record,) = result.records
    assert document["runs"] == [
        {"key": record.key, "status": "complete", "dev_ua": record.metrics["dev_ua"]}
    ]
    assert (document["points"], document["finished"], document["finished_now"]) == (2, 1, 1)
    assert "activation=tanh" in document["failed"][0]["point"]
    assert result.lines()[1].startswith("failed: model.hidden=4 ")
