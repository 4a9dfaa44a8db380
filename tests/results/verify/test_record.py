"""A record is held to itself: whatever is missing, damaged or changed by hand is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from sercli.config.schema import Config
from sercli.results.run_record import Record
from sercli.results.verify.files import Fault
from sercli.results.verify.record import verify_record
from sercli.training.data import Data
from sercli.training.fold_pool import FoldPool
from sercli.training.run import train_run
from sercli.training.validate import validate_run

DIVERGING = ("activation=relu", "optim.lr=1e20")


def train(config: Config, data: Data) -> Record:
    with FoldPool(data) as pool:
        return train_run(validate_run(config, data), pool)[0]


@pytest.fixture(name="trained", scope="module")
def _trained(
    toy: Data, toy_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    config = toy_config(
        "seeds=[0,1]",
        "trainer.steps=4",
        "trainer.eval_every=2",
        "experiment=first",
        f"paths.runs={runs}",
    )
    return train(config, toy).path


@pytest.fixture(name="path")
def _path(trained: Path, tmp_path: Path) -> Path:
    """A copy of the record that a test may damage."""
    return shutil.copytree(trained, tmp_path / "first" / trained.name)


def edit_page(path: Path, change: Callable[[Any], object], name: str = "run.json") -> None:
    summary = json.loads((path / name).read_text())
    change(summary)
    (path / name).write_text(json.dumps(summary))


def edit_table(
    path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], name: str = "predictions"
) -> None:
    file = path / f"{name}.parquet"
    change(pd.read_parquet(file)).to_parquet(file)


def with_value(row: int, column: str, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[row, column] = value
        return table

    return change


def reasons(path: Path) -> str:
    return "\n".join(map(str, verify_record(path)))


def test_a_record_as_it_was_written_has_no_faults(path: Path) -> None:
    assert verify_record(path) == []


def test_runs_that_diverged_have_no_faults(
    toy: Data, toy_config: Callable[..., Config], tmp_path: Path
) -> None:
    record = train(toy_config(*DIVERGING, "seeds=[0,1]", f"paths.runs={tmp_path}"), toy)

    assert record.status == "diverged"
    assert verify_record(record.path) == []


@pytest.mark.parametrize(
    "protocol",
    [
        ("protocol=iaan_repo",),
        ("protocol=loso_speaker", "protocol.dev=speaker"),
        ("protocol.dev=utterances", "protocol.refit=true"),
    ],
)
def test_no_protocol_makes_faults(
    toy: Data, toy_config: Callable[..., Config], tmp_path: Path, protocol: tuple[str, ...]
) -> None:
    config = toy_config(
        *protocol, "trainer.steps=1", "trainer.eval_every=1", f"paths.runs={tmp_path}"
    )
    assert verify_record(train(config, toy).path) == []


def test_a_fault_names_record_file_and_reason(path: Path) -> None:
    (path / "history.parquet").unlink()

    (fault,) = verify_record(path)

    assert fault == Fault(
        f"first/{path.name}", "history.parquet", "is missing; restore it, or train the run again"
    )
    assert str(fault).startswith(f"first/{path.name}: history.parquet: is missing")


@pytest.mark.parametrize(
    "name",
    [
        "run.json",
        "config.yaml",
        "folds.json",
        "environment.json",
        "utterances.parquet",
        "predictions.parquet",
        "history.parquet",
        "weights/seed1-fold2.safetensors",
    ],
)
def test_every_file_that_is_cut_short_is_named(path: Path, name: str) -> None:
    content = (path / name).read_bytes()
    (path / name).write_bytes(content[: len(content) // 2] if name != "config.yaml" else b"a: [")

    (fault,) = verify_record(path)

    assert fault.file == name.partition("/")[0]
    assert "\n" not in fault.reason


def test_several_damaged_files_are_named_at_once(path: Path) -> None:
    shutil.rmtree(path / "weights")
    (path / "folds.json").write_text("[]")

    assert [fault.file for fault in verify_record(path)] == ["folds.json", "weights"]


@pytest.mark.parametrize("name", ["ua", "wa_oracle", "dev_ua", "map"])
def test_a_metric_changed_by_hand_is_found_without_saying_what_it_should_be(
    path: Path, name: str
) -> None:
    edit_page(
        path, lambda summary: summary["metrics"].update({name: summary["metrics"][name] + 1e-6})
    )

    assert [fault.reason for fault in verify_record(path)] == [
        f"metrics: {name} does not follow from the predictions"
    ]


def test_a_changed_interval_is_found(path: Path) -> None:
    edit_page(path, lambda summary: summary["metrics"]["ua_ci"].__setitem__(0, 0.1234))
    assert "metrics: ua_ci[0] does not" in reasons(path)


def test_a_figure_that_was_taken_out_is_found(path: Path) -> None:
    edit_page(path, lambda summary: summary["metrics"]["by_seed"][1].pop("wa"))
    assert "metrics: by_seed[1].wa does not" in reasons(path)


def test_metrics_that_are_gone_are_one_line(path: Path) -> None:
    edit_page(path, lambda summary: summary.update(metrics={}))

    (fault,) = verify_record(path)

    assert "lacks data for the check of metrics" in fault.reason


def test_a_setting_changed_by_hand_changes_the_key(path: Path) -> None:
    edit_page(path, lambda summary: summary["configuration"]["optim"].update(lr=0.5))

    found = reasons(path)

    assert "the key of its settings and data is" in found
    assert "config.yaml: optim.lr is 0.02, in run.json 0.5" in found


def test_a_record_in_a_folder_of_another_name_is_found(path: Path) -> None:
    other = path.rename(path.with_name("0123456789"))
    assert "the key of its settings" in reasons(other)


def test_a_card_that_tells_of_other_folds_is_found(path: Path) -> None:
    edit_page(path, lambda summary: summary["card"].update(folds=5))
    assert reasons(path).endswith("card: folds is 5, in the record 4")


def test_a_prediction_that_is_missing_is_found(path: Path) -> None:
    gone = pd.read_parquet(path / "predictions.parquet").iloc[0]
    edit_table(path, lambda table: table.drop(index=0))

    assert (
        f"seed 0, fold {gone['fold']}, {gone['part']} selected on {gone['selection']}: "
        f"1 utterance missing, e.g. {gone['utterance']}"
    ) in reasons(path)


def test_a_prediction_that_is_there_twice_is_found(path: Path) -> None:
    edit_table(path, lambda table: pd.concat([table, table.iloc[[5]]], ignore_index=True))
    assert "1 occur twice" in reasons(path)


def test_a_prediction_of_another_fold_is_found(path: Path) -> None:
    edit_table(path, with_value(0, "fold", "session4"))
    assert "fold session4, dev selected on dev: 1 do not belong to it" in reasons(path)


def test_a_unit_without_history_is_found(path: Path) -> None:
    edit_table(
        path, lambda table: table[(table["seed"] == 0) | (table["fold"] != "session2")], "history"
    )

    found = reasons(path)

    assert "history.parquet: has nothing of seed 1, fold session2" in found
    assert "weights/seed1-fold1.safetensors: belongs to no fold run" in found


def test_weights_that_are_missing_are_found(path: Path) -> None:
    (path / "weights" / "seed0-fold3.safetensors").unlink()
    assert reasons(path).endswith("weights/seed0-fold3.safetensors: is missing")


def test_weights_of_no_unit_are_found(path: Path) -> None:
    save_file({"w": np.zeros(1)}, path / "weights" / "seed7-fold0.safetensors")
    assert reasons(path).endswith("belongs to no fold run")


def test_a_label_that_is_not_the_truth_is_found(path: Path) -> None:
    first = pd.read_parquet(path / "utterances.parquet").iloc[0]
    other = "anger" if first["label"] != "anger" else "sadness"
    edit_table(path, with_value(0, "label", other), "utterances")
    reason = f"with another label than utterances.parquet, e.g. of {first['utterance']}"
    assert reason in reasons(path)


def test_an_utterance_that_is_listed_twice_is_found(path: Path) -> None:
    edit_table(path, lambda table: pd.concat([table, table.iloc[[0]]]), "utterances")
    assert "occurs twice" in reasons(path)


@pytest.mark.parametrize("value", [2.0, -0.1, float("nan")])
def test_probabilities_that_are_none_are_found(path: Path, value: float) -> None:
    edit_table(path, with_value(3, "p_anger", value))
    assert "1 rows have probabilities that do not sum to one" in reasons(path)


def test_a_prediction_that_is_not_the_most_probable_is_found(path: Path) -> None:
    chosen = pd.read_parquet(path / "predictions.parquet").loc[3, "predicted"]
    edit_table(path, with_value(3, "predicted", "anger" if chosen != "anger" else "sadness"))
    assert "1 rows do not predict their most probable class" in reasons(path)


def test_a_selected_step_that_is_not_the_best_on_dev_is_found(path: Path) -> None:
    def other(summary: Any) -> None:
        result = summary["metrics"]["by_fold"][0]
        result["selected_step"] = 2 if result["selected_step"] == 4 else 4

    edit_page(path, other)

    assert "seed 0, fold session1: selected_step" in reasons(path)


def test_a_history_with_another_dev_ua_is_found(path: Path) -> None:
    def better(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(dev_ua=table["dev_ua"] * 0.5)

    edit_table(path, better, "history")

    assert "is not dev_ua" in reasons(path)


def test_an_utterance_on_two_sides_is_found(path: Path) -> None:
    def mixed(folds: Any) -> None:
        folds["session1"]["train"].append(folds["session1"]["test"][0])

    edit_page(path, mixed, "folds.json")

    found = reasons(path)

    assert "folds.json: fold session1: s1a0 is in two parts" in found
    assert "speaker s1F is in two parts" in found


def test_speakers_may_be_on_two_sides_where_the_protocol_says_so(path: Path) -> None:
    def allowed(summary: Any) -> None:
        summary["configuration"]["protocol"]["same_speakers"] = True

    def mixed(folds: Any) -> None:
        folds["session1"]["train"].append(folds["session1"]["test"].pop())

    edit_page(path, mixed, "folds.json")
    assert "folds.json" in reasons(path)
    edit_page(path, allowed)

    assert "folds.json" not in reasons(path)


def test_an_utterance_that_two_folds_test_is_found(path: Path) -> None:
    def again(folds: Any) -> None:
        folds["session2"]["test"].append(folds["session1"]["test"][0])

    edit_page(path, again, "folds.json")

    assert "fold session2: s1a0 is tested in another fold as well" in reasons(path)


def test_an_utterance_that_nobody_knows_is_found(path: Path) -> None:
    edit_page(path, lambda folds: folds["session1"]["train"].append("ghost"), "folds.json")
    assert "1 utterance not in utterances.parquet, e.g. ghost" in reasons(path)


def test_one_damage_in_every_unit_is_a_few_lines(path: Path) -> None:
    edit_table(path, lambda table: table[table["part"] == "dev"])

    lines = [line for line in reasons(path).split("\n") if " missing, e.g. " in line]

    assert len(lines) == 3
    assert "and 13 more like the last" in reasons(path)


def test_a_status_that_hides_a_divergence_is_found(path: Path) -> None:
    edit_page(path, lambda summary: summary.update(status="diverged"))
    assert reasons(path).endswith("status 'diverged', 0 seeds diverged")
