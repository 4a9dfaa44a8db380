"""Every model through the trainer: tasks, adversary, missing labels, no dialogues, bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.reference_models import STREAMS
from helpers.toy import with_streams

from sercli.config.compose import compose
from sercli.config.schema import Config, ContextConfig
from sercli.corpora.context import find_context
from sercli.errors import RequestError
from sercli.resources import packaged
from sercli.results.folds import Fold
from sercli.training.data import Data
from sercli.training.folds import make_folds
from sercli.training.trainer import train_fold
from sercli.training.validate import new_model

MULTI_TASK = {
    "mdnn": ("model.groups=[[0-1],[2-4]]",),
    "a_lstm": ("cell=a_lstm",),
    "maec": (),
}
OF_NAMELESS_FEATURES = {"hierarchical": ("model.split=fixed",)}


def small_models() -> list[str]:
    files: list[Path] = sorted((packaged("conf") / "model").glob("*_small.yaml"))
    return [path.stem for path in files if "svm" not in path.stem]


def config_of(choice: str, *overrides: str) -> Config:
    own = (MULTI_TASK | OF_NAMELESS_FEATURES).get(choice.removesuffix("_small"), ())
    few = ("trainer.steps=2", "trainer.eval_every=2", "trainer.batch_size=8")
    return compose([f"model={choice}", "activation=tanh", *own, *few, *overrides])


@pytest.fixture(name="gendered", scope="module")
def _gendered(toy: Data) -> Data:
    table = toy.manifest.table
    gender = table["speaker"].str[-1].map({"F": "female", "M": "male"}).astype("str")
    targets = toy.manifest.targets
    ratings = targets[["utterance", "emotion", "label"]].assign(rater="r1")
    manifest = replace(toy.manifest, table=table.assign(gender=gender), ratings=ratings)
    return replace(toy, manifest=manifest)


@pytest.fixture(name="fold", scope="module")
def _fold(toy: Data, toy_config: Callable[..., Config]) -> Fold:
    return make_folds(toy.manifest, toy_config().protocol)[0]


@pytest.mark.parametrize(
    ("precision", "choose", "adversary"),
    [
        ("bf16", "none", "speaker"),
        pytest.param("bf16", "last", "none", marks=pytest.mark.exhaustive),
        pytest.param("float32", "none", "none", marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.parametrize("choice", small_models())
def test_every_model_trains_in_bf16_on_a_corpus_without_dialogues_and_against_an_adversary(
    choice: str, precision: str, choose: str, adversary: str, gendered: Data, fold: Fold
) -> None:
    context = find_context(gendered.manifest, ContextConfig(choose=choose))
    config = config_of(choice, f"precision={precision}", f"adversary.column={adversary}")
    streams = {name: STREAMS.get(name, 5) for name in config.model.get("streams", ())}
    data = with_streams(replace(gendered, context=context), streams)
    trained = train_fold(config, data, fold, seed=0)
    assert trained.diverged_at is None
    assert trained.selected_step == 2
    assert {value.dtype for value in trained.weights.values()} == {np.dtype(np.float32)}
    assert adversary == "none" or trained.history["loss/adversary_speaker"].iloc[-1] > 0


@pytest.mark.parametrize(
    "name", ["maec", *(pytest.param(n, marks=pytest.mark.exhaustive) for n in ("a_lstm", "mdnn"))]
)
def test_a_model_with_several_tasks_learns_and_a_seed_repeats_it(
    name: str, gendered: Data, fold: Fold
) -> None:
    longer = ("trainer.steps=60", "trainer.eval_every=20", "optim.lr=0.01", "model.dropout=0")
    config = config_of(f"{name}_small", *longer)
    result = train_fold(config, gendered, fold, seed=0)
    assert result.history["loss"].dropna().is_monotonic_decreasing
    assert result.history["test_ua"].iloc[-1] > 0.7
    shorter = config_of(f"{name}_small", *longer, "trainer.steps=20")
    again = train_fold(shorter, gendered, fold, seed=0)
    pd.testing.assert_frame_equal(result.history[:2], again.history, check_exact=True)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a_lstm", ["classes", "speaker", "gender"]),
        ("maec", ["classes", "adversary", "gender"]),
        ("mdnn", ["classes", "local0", "local1"]),
    ],
)
def test_the_history_has_every_part_of_the_loss(
    name: str, parts: list[str], gendered: Data, fold: Fold
) -> None:
    history = train_fold(config_of(f"{name}_small"), gendered, fold, seed=0).history
    columns = [f"loss/{part}" for part in parts]
    assert [column for column in history if str(column).startswith("loss/")] == columns
    np.testing.assert_allclose(history[columns].iloc[1:].sum(axis=1), history["loss"][1:], 1e-6)


def test_every_task_of_a_model_moves_its_training(gendered: Data, fold: Fold) -> None:
    def first_loss(*overrides: str) -> float:
        config = config_of("a_lstm_small", *overrides, "trainer.label_smoothing=0")
        return float(train_fold(config, gendered, fold, seed=0).history["loss"].iloc[-1])

    losses = {
        first_loss(f"model.speaker_weight={speaker}", f"model.gender_weight={gender}")
        for speaker in (0, 1)
        for gender in (0, 1)
    }
    assert len(losses) == 4


@pytest.mark.parametrize("choice", ["a_lstm_small", "maec_small"])
def test_labels_that_the_corpus_lacks_are_refused_before_any_work(choice: str, toy: Data) -> None:
    with pytest.raises(RequestError) as error:
        new_model(config_of(choice), toy)
    assert str(error.value) == (
        f"model {choice} has 'gender' as an auxiliary task, and the corpus toy does not state it; "
        "set model.gender_weight=0"
    )
    new_model(config_of(choice, "model.gender_weight=0"), toy)


@pytest.mark.parametrize("setting", ["trainer.class_weights=balanced", "trainer.focal_gamma=2"])
def test_a_class_missing_from_a_training_set_stops_nothing(
    setting: str, gendered: Data, fold: Fold
) -> None:
    train = tuple(name for name in fold.train if gendered.labels[name] != "sadness")
    trained = train_fold(
        config_of("mdnn_small", setting), gendered, replace(fold, train=train), seed=0
    )
    assert trained.diverged_at is None
    assert np.isfinite(trained.history["loss"].iloc[-1])
