"""A run is repeated from its record, and the two are held to each other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sercli.config.schema import Config
from sercli.errors import RequestError, SercliError
from sercli.results.agreement import TOLERANCE, Rerun, compare_runs
from sercli.results.run_record import Record, find_records, read_record
from sercli.training.data import Data
from sercli.training.fold_pool import FoldPool
from sercli.training.rerun import configuration_of, rerun, rerun_on
from sercli.training.run import train_run
from sercli.training.validate import validate_run


def train(config: Config, data: Data) -> Record:
    with FoldPool(data) as pool:
        return train_run(validate_run(config, data), pool)[0]


def repeat(record: Record, data: Data, *overrides: str) -> Rerun:
    with FoldPool(data) as pool:
        return rerun_on(record, configuration_of(record, overrides), data, pool)


@pytest.fixture(name="trained", scope="module")
def _trained(
    toy: Data, toy_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    config = toy_config(
        "trainer.steps=4", "trainer.eval_every=2", "experiment=first", f"paths.runs={runs}"
    )
    return train(config, toy).path


@pytest.fixture(name="again", scope="module")
def _again(toy: Data, trained: Path) -> Record:
    """What a rerun gave."""
    return repeat(read_record(trained), toy).again


@pytest.fixture(name="record")
def _record(trained: Path, tmp_path: Path) -> Record:
    """A record that a test may change, in another place than it was made."""
    return read_record(shutil.copytree(trained, tmp_path / "first" / trained.name))


def edit(record: Record, change: Callable[[Any], object], name: str = "run.json") -> Record:
    summary = json.loads((record.path / name).read_text())
    change(summary)
    (record.path / name).write_text(json.dumps(summary))
    return read_record(record.path)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def on_another_machine(record: Record) -> Record:
    return edit(record, lambda summary: summary.update(processor="another"), "environment.json")


def test_on_the_same_machine_every_digit_is_the_same_and_the_record_is_left_alone(
    toy: Data, record: Record
) -> None:
    before = contents(record.path)

    made = repeat(record, toy)

    assert contents(record.path) == before
    assert made.again.path == record.path.parent / ".rerun" / record.key
    assert list(find_records(record.path.parent)) == [record.path]  # the rerun is no run
    assert made.exact
    assert made.agrees
    assert made.changed == ()
    assert list(made.fold_runs["fold"]) == [f"session{number}" for number in range(1, 5)]
    assert (made.fold_runs["max_difference"] == 0).all()
    assert (made.fold_runs["same"] == 1).all()
    assert made.fold_runs["ua"].mean() == pytest.approx(
        sum(result["ua"] for result in record.metrics["by_fold"]) / 4
    )


def test_another_rerun_takes_nothing_over(toy: Data, again: Record, record: Record) -> None:
    first = record.path.parent / ".rerun" / record.key
    shutil.copytree(again.path, first)
    (first / "mark").touch()
    left = first.with_name(f".{record.key}.partial") / "seed0-fold0"
    left.mkdir(parents=True)
    (left / "fold.json").write_text("of another machine")

    assert repeat(record, toy).agrees

    assert not (first / "mark").exists()


def test_a_record_with_another_prediction_does_not_agree(again: Record, record: Record) -> None:
    file = record.path / "predictions.parquet"
    table = pd.read_parquet(file)
    row = table[(table["part"] == "test") & (table["selection"] == "dev")].index[0]
    table.loc[row, "p_anger"] += 0.25
    table.to_parquet(file)

    made = compare_runs(record, again)

    assert not made.agrees
    assert made.reasons == [
        f"seed 0, fold {table.loc[row, 'fold']}: probabilities differ by up to 0.25"
    ]


def test_a_record_with_another_step_does_not_agree(again: Record, record: Record) -> None:
    record = edit(record, lambda summary: summary["metrics"]["by_fold"][2].update(selected_step=3))

    (reason,) = compare_runs(record, again).reasons

    assert reason.startswith("seed 0, fold session3: step 3 was selected, now ")


def test_a_record_without_a_unit_does_not_agree(again: Record, record: Record) -> None:
    file = record.path / "predictions.parquet"
    table = pd.read_parquet(file)
    table[table["fold"] != "session2"].to_parquet(file)

    assert compare_runs(record, again).reasons == [
        "seed 0, fold session2 is in only one of the two"
    ]


@pytest.mark.parametrize(("off", "agrees"), [(0.9 * TOLERANCE, True), (1.1 * TOLERANCE, False)])
def test_on_another_machine_the_figures_agree_within_the_tolerance(
    again: Record, record: Record, off: float, agrees: bool
) -> None:
    record = on_another_machine(record)
    record = edit(
        record, lambda summary: summary["metrics"].update(wa=summary["metrics"]["wa"] + off)
    )

    made = compare_runs(record, again)

    assert not made.exact
    assert [each.key for each in made.changed] == ["processor"]
    assert made.agrees == agrees
    assert made.off["wa"] == pytest.approx(off)
    assert made.off["dev_ua"] == 0
    if not agrees:
        assert made.reasons == [
            f"wa differs by {100 * off:.2f} points, more than {100 * TOLERANCE:g}"
        ]


def test_on_a_gpu_no_digit_is_promised(again: Record, record: Record, tmp_path: Path) -> None:
    def on_gpu(summary: Any) -> None:
        summary.update(device="cuda (any)")

    copy = read_record(shutil.copytree(again.path, tmp_path / "again"))
    here, there = (edit(run, on_gpu, "environment.json") for run in (copy, record))

    made = compare_runs(there, here)

    assert made.changed == ()
    assert not made.exact
    assert made.agrees


def test_settings_that_are_not_those_of_the_record_never_agree(
    again: Record, record: Record
) -> None:
    record = edit(record, lambda summary: summary["configuration"]["optim"].update(lr=0.5))
    assert compare_runs(record, again).reasons == ["configuration.optim.lr differs from the record"]


def test_a_setting_that_the_record_does_not_know_only_loosens_the_rule(
    again: Record, record: Record
) -> None:
    record = edit(record, lambda summary: summary["configuration"]["optim"].pop("weight_decay"))

    made = compare_runs(record, again)

    assert made.agrees
    assert not made.exact


def test_a_run_that_diverged_diverges_again(
    toy: Data, toy_config: Callable[..., Config], tmp_path: Path
) -> None:
    record = train(toy_config("activation=relu", "optim.lr=1e20", f"paths.runs={tmp_path}"), toy)
    assert record.status == "diverged"
    made = repeat(record, toy)
    assert made.agrees

    elsewhere = edit(record, lambda summary: summary["diverged"][0].update(step=33))

    assert compare_runs(elsewhere, made.again).reasons == [
        "the two do not diverge at the same seeds, folds and steps"
    ]


def test_another_corpus_is_refused_before_anything_is_trained(toy: Data, record: Record) -> None:
    with pytest.raises(RequestError, match="toy has changed") as error:
        repeat(record, replace(toy, fingerprint="other"))
    assert "dataset.root=" in str(error.value)
    assert not (record.path.parent / ".rerun").exists()


@pytest.mark.parametrize(
    "override", ["optim.lr=1", "seeds=[1]", "model=iaan", "device=cpu,cuda", "paths.runs=x"]
)
def test_what_would_make_another_run_is_refused(record: Record, override: str) -> None:
    with pytest.raises(RequestError, match=r"cannot be overridden, .* only these can: device,"):
        configuration_of(record, [override])


def test_how_to_run_can_be_said_anew(record: Record) -> None:
    config = configuration_of(
        record,
        ["device=cpu", "dataset.root=/corpus", "paths.store=there", "recurrence.backend=eager"],
    )

    assert config.device == "cpu"
    assert config.dataset.root == "/corpus"
    assert config.paths.store == "there"
    assert config.recurrence.backend == "eager"
    assert config.trainer.steps == 4


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "config.yaml cannot be read"),
        ("!!python/object/apply:os.getcwd []", "config.yaml cannot be read"),
        ("seven", "damaged"),
        ("experiment: ${oc.env:HOME}", "calls no resolver"),
        ("experimnt: first", "experimnt"),
        ("seeds: many", "seeds"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_one_line(
    record: Record, text: str, reason: str
) -> None:
    (record.path / "config.yaml").write_text(text)

    with pytest.raises(RequestError, match=reason) as error:
        configuration_of(record)

    assert str(error.value).startswith(str(record.path))
    assert "\n" not in str(error.value)


def test_a_record_without_predictions_is_one_line(again: Record, record: Record) -> None:
    (record.path / "predictions.parquet").unlink()

    with pytest.raises(SercliError, match="`sercli verify` says more"):
        compare_runs(record, again)


def test_the_data_are_read_as_the_record_says(
    toy: Data, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Config] = []

    def read_data(config: Config, **options: Any) -> Data:
        read.append(config)
        return toy

    monkeypatch.setattr("sercli.training.rerun.read_data", read_data)

    assert rerun(record, ["dataset.root=/elsewhere"], workers=1).agrees

    (config,) = read
    assert config.dataset.root == "/elsewhere"
    assert config.dataset.name == record.summary["configuration"]["dataset"]["name"]


def test_what_is_written_of_a_sealed_run_has_no_figure_of_test(
    again: Record, record: Record
) -> None:
    made = compare_runs(record, again)

    whole, sealed = made.to_json(), made.to_json(shows_test=False)

    assert json.loads(json.dumps(whole))["fold_runs"][0]["ua"] == pytest.approx(
        record.metrics["by_fold"][0]["ua"]
    )
    assert whole["agrees"]
    assert whole["tolerance"] == 0
    assert set(whole["fold_runs"][0]) - set(sealed["fold_runs"][0]) == {
        "ua",
        "wa",
        "ua_again",
        "wa_again",
    }
