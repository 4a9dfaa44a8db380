"""Initial weights of another run: selection, fit and independence."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.toy import RecordingProgress, toy_config, toy_data
from safetensors.numpy import load_file

from sercli.config.compose import compose
from sercli.config.run_key import run_key
from sercli.config.schema import Config
from sercli.corpora.context import find_context
from sercli.corpora.manifest import build_manifest
from sercli.errors import RequestError, SercliError
from sercli.results.run_record import Record
from sercli.results.seen import overlap, read_seen
from sercli.results.verify.record import verify_record
from sercli.training.data import Data
from sercli.training.fold_pool import FoldPool
from sercli.training.initial_weights import FoldWeights, train_mode
from sercli.training.rerun import rerun_on
from sercli.training.run import train_run
from sercli.training.source import open_source
from sercli.training.trainer import train_fold
from sercli.training.validate import validate_run

SHORT = ("trainer.steps=2", "trainer.eval_every=2", "protocol.dev=speaker")
OTHER_CLASSES = {"ang": "anger", "hap": "joy", "neu": "neutral"}


def train(config: Config, data: Data, progress: RecordingProgress | None = None) -> Record:
    with FoldPool(data) as pool:
        return train_run(
            validate_run(config, data), pool, progress=progress or RecordingProgress()
        )[0]


def other_corpus(data: Data, classes: dict[str, str] = OTHER_CLASSES) -> Data:
    """The same frames under other names, speakers and classes."""
    rows = [
        {
            **{k: f"o{row[k]}" for k in ("utterance", "audio", "speaker", "session", "dialogue")},
            "emotion": row["emotion"],
            "turn": row["turn"],
        }
        for row in data.manifest.table.to_dict("records")
    ]
    manifest = build_manifest("other", rows, classes)
    steps = {f"o{name}": value for name, value in data.steps.items()}
    context = find_context(manifest, compose([]).dataset.context)
    return Data(manifest, steps, context, fingerprint="other")


@pytest.fixture(name="small", scope="module")
def _small() -> Data:
    return toy_data(sessions=2)


@pytest.fixture(name="runs", scope="module")
def _runs(small: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of a finished run of two seeds."""
    runs = tmp_path_factory.mktemp("runs")
    train(toy_config(*SHORT, "seeds=[0,1]", "experiment=first", f"paths.runs={runs}"), small)
    return runs


@pytest.fixture(name="config")
def _config(runs: Path, request: pytest.FixtureRequest) -> Callable[..., Config]:
    """Compose a run that starts from the first one, in an experiment of its own."""
    name = request.node.name.replace("[", "-").replace("]", "")[:60]

    def make(*overrides: str) -> Config:
        given = (*SHORT, f"experiment={name}", f"paths.runs={runs}", "init.run=first")
        return toy_config(*given, *overrides)

    return make


@pytest.fixture(name="moved", scope="module")
def _moved(small: Data, runs: Path) -> tuple[Record, list[str]]:
    """The record of a run that starts from the first one, and the notes of its training."""
    progress = RecordingProgress()
    given = ("seeds=[1]", "experiment=moved", f"paths.runs={runs}", "init.run=first")
    return train(toy_config(*SHORT, *given), small, progress), progress.notes


def of_other(*overrides: str) -> Sequence[str]:
    return ("dataset.name=other", "~dataset.classes.sad", "~dataset.classes.exc", *overrides)


def test_every_fold_starts_from_the_weights_of_its_own_fold_and_seed(
    moved: tuple[Record, list[str]], runs: Path
) -> None:
    record, notes = moved
    facts = record.summary["card"]["initial_weights"]
    assert [(each["from_seed"], each["from_fold"]) for each in facts["networks"]] == [
        (1, "session1"),
        (1, "session2"),
    ]
    assert facts["anew"] == []
    assert set(record.summary["configuration"]["init"]) == {"train", "digest"}
    assert "starts from the weights of run" in record.summary["card"]["paragraph"]
    assert any("relative distance from the initial weights" in note for note in notes)
    assert verify_record(record.path) == []
    (first,) = (runs / "first").glob("*/weights")
    for number, each in enumerate(record.summary["distances"]):
        start = load_file(first / f"seed1-fold{number}.safetensors")
        end = load_file(record.path / "weights" / f"seed1-fold{number}.safetensors")
        for layer, distance in each["layers"].items():
            names = [name for name in start if name.rpartition(".")[0] == layer]
            difference = np.concatenate([(end[x] - start[x]).ravel() for x in names])
            before = np.concatenate([start[x].ravel() for x in names])
            assert distance > 0
            assert distance == pytest.approx(
                np.linalg.norm(difference) / np.linalg.norm(before), rel=1e-4
            )


def test_the_untrained_model_is_the_trained_one_of_the_run(
    small: Data, config: Callable[..., Config], runs: Path
) -> None:
    run = validate_run(config(), small)
    assert run.initial is not None
    fold = run.folds[1]
    result = train_fold(run.config, small, fold, 0, initial=run.initial.of(0, fold.name))

    (first,) = (runs / "first").glob("*/history.parquet")
    history = pd.read_parquet(first)
    trained = history[(history["seed"] == 0) & (history["fold"] == fold.name)].iloc[-1]
    assert result.history.iloc[0]["test_ua"] == pytest.approx(trained["test_ua"])
    assert result.history.iloc[0]["dev_ua"] == pytest.approx(trained["dev_ua"])


def test_of_another_corpus_the_best_fold_on_dev_is_taken_and_the_head_starts_anew(
    small: Data, config: Callable[..., Config], runs: Path
) -> None:
    chosen = of_other("init.train=head", "seeds=[7]")
    record = train(config(*chosen), other_corpus(small))

    facts = record.summary["card"]["initial_weights"]
    source = open_source("first", runs)
    by_fold = pd.DataFrame(source.summary["metrics"]["by_fold"]).groupby("fold")["dev_ua"].mean()
    assert {each["from_fold"] for each in facts["networks"]} == {by_fold.idxmax()}
    assert {each["from_seed"] for each in facts["networks"]} == {0}
    assert facts["anew"] == ["head.4.bias", "head.4.weight"]
    assert "head.4.weight start anew" in record.summary["card"]["paragraph"]
    assert all(set(each["layers"].values()) == {0.0} for each in record.summary["distances"])
    assert validate_run(config(*chosen), other_corpus(small)).parameters < 100


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (("init.fold=session1",), "seen 16 of the 16 test utterances of fold session2"),
        (("protocol=loso_speaker", "init.fold=session1"), "test utterances of fold s2"),
        (("init.fold=session9",), "has no fold 'session9'"),
        (("init.seed=5",), "has no seed 5"),
        (("init.run=nothing",), "init.run=nothing: no experiment or run"),
        (("model.hidden=5",), ", the model needs F32"),
        (("cell=lstm",), "set model, cell and activation as in that run"),
        (("features=log_mel",), "set features=iaan45"),
        (("init.digest=0123",), "its weights have changed"),
    ],
)
def test_weights_that_do_not_fit_or_are_not_independent_are_refused(
    small: Data, config: Callable[..., Config], overrides: Sequence[str], named: str
) -> None:
    with pytest.raises(RequestError, match=r"^init\.run=") as error:
        validate_run(config("protocol.dev=speaker", *overrides), small)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_a_fold_that_has_seen_no_test_utterance_is_taken_before_a_better_one(
    small: Data, config: Callable[..., Config]
) -> None:
    table = small.manifest.table
    part = replace(small.manifest, table=table[table["session"] == "session1"])
    half = replace(small, manifest=part)
    run = validate_run(config("protocol=loso_speaker", "protocol.dev=dialogues"), half)
    assert run.initial is not None
    assert {each["from_fold"] for each in run.initial.origin["networks"]} == {"session1"}


def test_samples_decide_which_utterances_are_the_same() -> None:
    def table(*rows: tuple[str, str, str, str | None]) -> pd.DataFrame:
        columns = ["corpus", "speaker", "utterance", "content"]
        found = pd.DataFrame(rows, columns=columns).astype("str")
        return found.set_index(found["utterance"])

    seen = table(("a", "s1", "x", "01"), ("a", "s2", "y", "02"))
    renamed = table(("b", "t1", "u", "01"), ("b", "s2", "v", "09"), ("b", "t3", "w", "08"))
    assert overlap(seen, renamed, ["u", "v", "w"]).utterances == ("u",)
    assert overlap(seen, renamed, ["v", "w"]).speakers == ("s2",)
    assert overlap(seen, renamed, ["w"]).speakers == ()
    same_name = table(("a", "s1", "x", "07"))
    assert overlap(seen, same_name, ["x"]).utterances == ()  # other samples under its id
    without = table(("a", "s1", "x", None))
    assert overlap(seen, without, ["x"]).utterances == ("x",)


def test_a_chain_of_runs_keeps_what_its_first_run_has_seen(
    small: Data, config: Callable[..., Config], runs: Path
) -> None:
    middle = train(config(*of_other()), other_corpus(small))

    seen = open_source(str(middle.path), runs).seen()["osession1"]
    assert set(seen["corpus"]) == {"synthetic-0", "other-0"}
    with pytest.raises(RequestError, match="test utterances"):
        validate_run(config(f"init.run={middle.path}"), small)


def test_a_model_folder_that_does_not_list_what_it_has_seen_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SercliError, match="export the model again"):
        read_seen(tmp_path)


def test_a_rerun_starts_from_the_same_weights_and_refuses_others(
    small: Data, config: Callable[..., Config], moved: tuple[Record, list[str]]
) -> None:
    run = validate_run(config("seeds=[1]"), small)
    with FoldPool(small) as pool:
        assert rerun_on(moved[0], run.config, small, pool).exact
    assert run.key == moved[0].key
    assert run.key != validate_run(config("seeds=[1]", "init.seed=0"), small).key
    other = replace(run.config, init=replace(run.config.init, seed=0))
    with pytest.raises(RequestError, match="its weights have changed"):
        validate_run(other, small)


def test_verify_finds_a_test_utterance_among_those_seen(
    moved: tuple[Record, list[str]], tmp_path: Path
) -> None:
    record = shutil.copytree(moved[0].path, tmp_path / "moved" / moved[0].key)
    table = pd.read_parquet(record / "seen.parquet")
    fold = table["fold"].iloc[0]
    stolen = table[table["fold"] != fold].drop_duplicates("utterance").assign(fold=fold)
    pd.concat([table, stolen]).to_parquet(record / "seen.parquet")
    assert any("had seen" in str(fault) for fault in verify_record(record))


def test_random_weights_leave_the_key_as_it_was() -> None:
    assert run_key(compose(["init.train=head", "init.fold=a"]), "data") == run_key(
        compose([]), "data"
    )


def test_frozen_batch_normalisation_keeps_its_statistics() -> None:
    from torch import nn

    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(), nn.BatchNorm1d(2))
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    train_mode(model)
    assert [part.training for part in model] == [False, True, True]


def test_a_fold_run_takes_the_initial_weights_of_a_file_without_its_head(
    small: Data, runs: Path
) -> None:
    from sercli.training.validate import new_model

    (path,) = (runs / "first").glob("*/weights/seed0-fold0.safetensors")
    model = new_model(toy_config(), small)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    FoldWeights(path, frozenset({"head.4.bias"}), frozenset({"head.4.bias"})).load(model)
    file, after = load_file(path), model.state_dict()
    for name, value in after.items():
        assert np.array_equal(value, before[name] if name == "head.4.bias" else file[name])
    assert [name for name, x in model.named_parameters() if x.requires_grad] == ["head.4.bias"]
