"""A run: complete or absent, trained once, resumed where it stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.toy import RecordingProgress, toy_config, toy_data
from safetensors.numpy import load_file

from sercli.config.compose import to_yaml
from sercli.config.schema import Config
from sercli.errors import Interrupted, RequestError
from sercli.processes import start_worker
from sercli.results.run_record import Record, find_records, read_record
from sercli.results.verify.record import verify_record
from sercli.training.data import Data
from sercli.training.fold_pool import FoldPool
from sercli.training.folds import make_folds
from sercli.training.run import train_run
from sercli.training.validate import validate_run

STEPS = 4
FOLD_RUNS = 4
DIVERGING = ("activation=relu", "optim.lr=1e20")


def short(*overrides: str) -> Config:
    """Compose a short run of four folds."""
    return toy_config(f"trainer.steps={STEPS}", "trainer.eval_every=2", *overrides)


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Callable[..., Config]:
    """Compose a short run whose record goes below ``tmp_path``."""
    return lambda *overrides: short("experiment=first", f"paths.runs={tmp_path}", *overrides)


def train(config: Config, data: Data, **options: Any) -> tuple[Record, bool]:
    with FoldPool(data) as pool:
        return train_run(validate_run(config, data), pool, **options)


def train_until_the_third_fold(config: Config, data: Data) -> None:
    """Interrupt training when two folds are finished."""

    def stop(task: str, count: float) -> None:
        if count == 2 * STEPS + 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(config, data, progress=RecordingProgress(stop))


@pytest.fixture(name="trained", scope="module")
def _trained(toy: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of a finished run."""
    runs = tmp_path_factory.mktemp("trained")
    train(short("experiment=first", f"paths.runs={runs}"), toy)
    return runs


@pytest.fixture(name="finished")
def _finished(trained: Path, tmp_path: Path) -> Record:
    """A copy of its record below ``tmp_path``, which a test may change."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    (record,) = find_records(tmp_path / "first")
    return read_record(record)


def assert_same_results(one: Record, other: Record) -> None:
    assert one.summary == other.summary
    for name in ("predictions", "history"):
        left, right = (pd.read_parquet(record.path / f"{name}.parquet") for record in (one, other))
        pd.testing.assert_frame_equal(left, right, check_exact=True)
    weights = sorted(path.name for path in (one.path / "weights").iterdir())
    assert weights == sorted(path.name for path in (other.path / "weights").iterdir())
    for name in weights:
        values = [load_file(record.path / "weights" / name) for record in (one, other)]
        assert all((values[0][key] == values[1][key]).all() for key in values[0])


def test_a_record_holds_everything_that_a_reader_needs(
    toy: Data, config: Callable[..., Config], tmp_path: Path
) -> None:
    record, new = train(config("seeds=[0,1]"), toy)

    assert new
    assert record.status == "complete"
    assert record.path == tmp_path / "first" / record.key
    assert list(find_records(tmp_path / "first")) == [record.path]
    assert (record.path / "config.yaml").read_text() == to_yaml(config("seeds=[0,1]"))
    folds = json.loads((record.path / "folds.json").read_text())
    for fold in make_folds(toy.manifest, config().protocol):
        parts = {"train": fold.train, "dev": fold.dev, "test": fold.test}
        assert folds[fold.name] == {part: list(names) for part, names in parts.items()}
    weights = sorted(path.name for path in (record.path / "weights").iterdir())
    assert weights == [f"seed{s}-fold{f}.safetensors" for s in (0, 1) for f in range(4)]
    environment = json.loads((record.path / "environment.json").read_text())
    assert {"command", "git", "packages", "processor"} <= set(environment)
    assert record.summary["card"]["folds"] == 4
    assert record.summary["configuration"]["trainer"]["steps"] == STEPS
    assert record.summary["diverged"] == []
    predictions = record.predictions()
    for (part, _, _), group in predictions.groupby(["part", "selection", "seed"]):
        assert part in ("dev", "test")
        assert sorted(group["utterance"]) == sorted(toy.labels)
    assert len(predictions) == 2 * 2 * 2 * len(toy.labels)
    assert record.metrics["n"] == len(toy.labels)


def test_the_backend_is_said_once_and_recorded(
    toy: Data, config: Callable[..., Config], watching: Any
) -> None:
    progress = watching()

    for settings in (("seeds=[1]",), ("seeds=[2]", "precision=bf16")):
        record, new = train(config("recurrence.backend=eager", *settings), toy, progress=progress)
        assert new
        environment = json.loads((record.path / "environment.json").read_text())
        assert environment["recurrence"] == "eager"

    assert progress.notes == ["recurrence: eager"]


def test_a_run_that_another_backend_finished_is_known(
    toy: Data, config: Callable[..., Config], watching: Any, finished: Record
) -> None:
    assert config().recurrence.backend == "auto"
    progress = watching()

    again, new = train(config("recurrence.backend=eager"), toy, progress=progress)

    assert not new
    assert again.key == finished.key
    assert progress.notes == []  # nothing runs


def test_a_device_that_is_not_there_is_refused_before_any_work(
    toy: Data, config: Callable[..., Config], watching: Any
) -> None:
    progress = watching()
    with pytest.raises(RequestError, match="device=toaster is not available here"):
        train(config("device=toaster"), toy, progress=progress)
    assert progress.steps == 0


def test_a_finished_run_is_not_trained_again(
    toy: Data, config: Callable[..., Config], watching: Any, finished: Record
) -> None:
    progress = watching()

    again, new = train(config(), toy, progress=progress)

    assert not new
    assert progress.steps == 0
    assert_same_results(again, finished)


def test_other_data_make_another_run(
    toy: Data, config: Callable[..., Config], finished: Record
) -> None:
    other, new = train(config(), replace(toy, fingerprint="other"))

    assert new
    assert other.key != finished.key


def test_a_stopped_run_resumes_with_the_folds_that_it_lacks(
    toy: Data, config: Callable[..., Config], tmp_path: Path, watching: Any, trained: Path
) -> None:
    train_until_the_third_fold(config(), toy)
    assert list(find_records(tmp_path / "first")) == []

    progress = watching()
    record, new = train(config(), toy, progress=progress)
    assert new
    assert progress.steps == (FOLD_RUNS - 2) * STEPS
    assert progress.notes[1:] == [f"2 of {FOLD_RUNS} folds × seeds were finished before: resuming"]
    (whole,) = find_records(trained / "first")
    assert_same_results(record, read_record(whole))
    assert not list((tmp_path / "first").glob("*.partial"))


def test_a_fold_result_that_cannot_be_read_is_trained_again(
    toy: Data, config: Callable[..., Config], tmp_path: Path, watching: Any
) -> None:
    train_until_the_third_fold(config(), toy)
    first, _ = sorted((tmp_path / "first").glob(".*.partial/seed*/weights.safetensors"))
    first.write_bytes(b"cut off")

    progress = watching()
    record, new = train(config(), toy, progress=progress)

    assert new
    assert progress.steps == (FOLD_RUNS - 1) * STEPS
    (note,) = [note for note in progress.notes if "trained again" in note]
    assert note.startswith(f"{first.parent} cannot be read: ")
    assert verify_record(record.path) == []


def killed_in_the_fourth_fold(settings: list[str]) -> int:
    def kill(task: str, count: float) -> None:
        if count == 3 * STEPS + 1:
            os.kill(os.getpid(), signal.SIGKILL)

    train(short(*settings), toy_data(), progress=RecordingProgress(kill))
    return 0


def test_a_killed_process_leaves_folds_and_no_lock(
    toy: Data, config: Callable[..., Config], tmp_path: Path, watching: Any
) -> None:
    settings = ["experiment=first", f"paths.runs={tmp_path}"]
    killed = start_worker(killed_in_the_fourth_fold, settings)
    killed.join(timeout=60)
    assert killed.exitcode == -signal.SIGKILL
    assert list(find_records(tmp_path / "first")) == []

    progress = watching()
    record, _ = train(config(), toy, progress=progress)
    assert progress.steps == (FOLD_RUNS - 3) * STEPS
    assert record.status == "complete"


def test_a_run_of_another_experiment_is_taken_over_by_links(
    toy: Data, config: Callable[..., Config], watching: Any, finished: Record
) -> None:
    progress = watching()

    adopted, new = train(config("experiment=second"), toy, progress=progress)

    assert not new
    assert progress.steps == 0
    assert adopted.experiment == "second"
    for name in ("run.json", "weights/seed0-fold0.safetensors"):
        assert (adopted.path / name).samefile(finished.path / name)
    shutil.rmtree(finished.path.parent)
    assert not adopted.predictions().empty


def test_force_trains_again_and_replaces_the_record(
    toy: Data, config: Callable[..., Config], tmp_path: Path, watching: Any, finished: Record
) -> None:
    (finished.path / "mark").touch()
    progress = watching()

    again, new = train(config(), toy, force=True, progress=progress)

    assert new
    assert progress.steps == FOLD_RUNS * STEPS
    assert again.path == finished.path
    assert not (again.path / "mark").exists()
    assert_same_results(again, finished)
    remains = [path.name for path in (tmp_path / "first").iterdir() if path != finished.path]
    assert remains == [f".{finished.key}.lock"]


def test_a_run_that_another_process_trains_is_refused(
    toy: Data, config: Callable[..., Config], watching: Any
) -> None:
    refused = []

    def train_it_too(task: str, count: float) -> None:
        if count == 1:
            with pytest.raises(RequestError, match="is being trained by another process") as error:
                train(config(), toy)
            refused.append(error)

    record, _ = train(config(), toy, progress=watching(train_it_too))
    assert len(refused) == 1
    assert record.status == "complete"


def test_a_diverged_run_is_a_record_without_metrics_and_is_not_trained_again(
    toy: Data, config: Callable[..., Config], watching: Any
) -> None:
    record, new = train(config(*DIVERGING), toy)

    assert new
    assert record.status == "diverged"
    assert record.metrics == {}
    (where,) = record.summary["diverged"]
    assert (where["seed"], where["fold"]) == (0, "session1")
    assert where["step"] >= 1
    progress = watching()
    assert train(config(*DIVERGING), toy, progress=progress)[1] is False
    assert progress.steps == 0


@pytest.fixture(name="reread")
def _reread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep no steps in memory, so that the next batch reads changed ones."""
    monkeypatch.setattr("sercli.training.packed._KEPT_BYTES", 0)


@pytest.mark.usefixtures("reread")
def test_a_run_that_diverges_in_the_middle_keeps_the_units_before(
    toy: Data, config: Callable[..., Config], watching: Any
) -> None:
    steps = dict(toy.steps)

    def poison_the_third_unit(task: str, count: float) -> None:
        if count == 2 * STEPS + 2:
            steps["s2b3"] = steps["s2b3"] * float("nan")

    progress = watching(poison_the_third_unit)
    record, _ = train(config(), replace(toy, steps=steps), progress=progress)

    assert record.status == "diverged"
    assert [(seed, fold) for seed, fold, _ in record.divergences] == [(0, "session3")]
    history = record.history().set_index(["fold", "step"])
    (lost,) = record.summary["diverged"]
    assert lost["step"] > lost["selected_step"] == lost["oracle_step"] == 2
    assert lost["ua"] == lost["ua_oracle"] == history["test_ua"]["session3", 2]
    assert lost["dev_ua"] == history["dev_ua"]["session3", 2]
    kept = record.predictions()[["seed", "fold"]].drop_duplicates().to_numpy().tolist()
    assert kept == [[0, "session1"], [0, "session2"], [0, "session3"]]
    assert progress.steps <= 3 * STEPS
    assert verify_record(record.path) == []


@pytest.mark.usefixtures("reread")
def test_a_seed_that_diverges_leaves_the_figures_of_the_others(
    toy: Data, config: Callable[..., Config], watching: Any
) -> None:
    alone, _ = train(config("seeds=[1]"), toy)
    steps = dict(toy.steps)
    healthy = steps["s2b3"]

    def poison_one_unit(task: str, count: float) -> None:
        poisoned = STEPS < count < 2 * STEPS
        steps["s2b3"] = healthy * float("nan") if poisoned else healthy

    record, _ = train(
        config("seeds=[0,1]"), replace(toy, steps=steps), progress=watching(poison_one_unit)
    )

    assert record.status == "diverged"
    assert {where["seed"] for where in record.summary["diverged"]} == {0}
    assert [row["seed"] for row in record.metrics["by_seed"]] == [1]
    assert record.metrics == alone.metrics
    kept = record.predictions()[["seed", "fold"]].drop_duplicates()
    assert kept["seed"].value_counts().to_dict() == {0: 1, 1: 4}


def test_a_refit_is_trained_on_train_and_dev_for_the_chosen_steps(
    toy: Data, config: Callable[..., Config], finished: Record
) -> None:
    record, _ = train(config("protocol.refit=true"), toy)

    assert [row["selected_step"] for row in record.metrics["by_fold"]] == [
        row["selected_step"] for row in finished.metrics["by_fold"]
    ]
    tables = [each.predictions() for each in (finished, record)]
    for part, selection, same in (
        ("dev", "dev", True),
        ("test", "oracle", True),
        ("test", "dev", False),
    ):
        one, other = (
            table[(table["part"] == part) & (table["selection"] == selection)] for table in tables
        )
        assert one.reset_index(drop=True).equals(other.reset_index(drop=True)) is same
    assert record.metrics["dev_ua"] == finished.metrics["dev_ua"]


def test_a_context_model_on_a_corpus_without_dialogues_trains_with_one_warning(
    toy: Data, config: Callable[..., Config], watching: Any
) -> None:
    progress = watching()
    alone = replace(toy, context=toy.context.mask(toy.context.notna()))

    record, _ = train(config(), alone, progress=progress)

    assert record.status == "complete"
    assert [note for note in progress.notes if "context" in note] == [
        "toy has no context turns for model iaan_small: a pad turn of zeros stands for each"
    ]


def test_what_is_doubtful_about_the_folds_is_noted_and_stays_on_the_card(
    toy: Data, config: Callable[..., Config], watching: Any
) -> None:
    progress = watching()

    record, _ = train(config("protocol=iaan_repo"), toy, progress=progress)

    (caveat,) = record.summary["card"]["caveats"]
    assert "TEST-SELECTED" in caveat
    assert caveat in progress.notes
    assert record.metrics["ua"] == record.metrics["ua_oracle"] == record.metrics["dev_ua"]


def test_a_stop_after_a_divergence_does_not_train_the_other_units(
    toy: Data, config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, watching: Any
) -> None:
    def stop(*arguments: object, **named: object) -> Record:
        raise Interrupted

    with monkeypatch.context() as patched:
        patched.setattr("sercli.training.run.write_record", stop)
        with pytest.raises(Interrupted):
            train(config(*DIVERGING), toy)

    progress = watching()
    record, new = train(config(*DIVERGING), toy, progress=progress)
    assert new
    assert progress.steps == 0
    assert record.status == "diverged"


def test_a_corpus_that_does_not_fit_the_protocol_leaves_nothing_behind(
    toy: Data, config: Callable[..., Config], tmp_path: Path
) -> None:
    table = toy.manifest.table.drop(columns="session").assign(session=np.nan)
    data = replace(toy, manifest=replace(toy.manifest, table=table))

    with pytest.raises(RequestError, match="without a session"):
        train(config(), data)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - a name is all that matters
