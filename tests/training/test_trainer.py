"""One fold with one seed: learning, choosing the step, stopping, diverging."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from sercli.config.schema import Config
from sercli.errors import RequestError
from sercli.nn.device import choose_device
from sercli.results.fold_result import FoldResult, read_fold_result, write_fold_result
from sercli.results.folds import Fold
from sercli.results.metrics import ua, wa
from sercli.training.data import Data
from sercli.training.folds import make_folds
from sercli.training.trainer import predict, train_fold
from sercli.training.validate import new_model

SLOW = ("optim.lr=0.003", "trainer.steps=60", "trainer.eval_every=4")
"""Learns so slowly that the steps with the best dev and the best test UA differ."""

FEW_STEPS = ("trainer.steps=3", "trainer.eval_every=3", "optim.clip_norm=100")


@pytest.fixture(name="config", scope="module")
def _config(toy_config: Callable[..., Config]) -> Config:
    return toy_config(*SLOW)


@pytest.fixture(name="fold", scope="module")
def _fold(toy: Data, config: Config) -> Fold:
    return make_folds(toy.manifest, config.protocol)[0]


@pytest.fixture(name="result", scope="module")
def _result(toy: Data, config: Config, fold: Fold) -> FoldResult:
    return train_fold(config, toy, fold, seed=0)


@pytest.fixture(name="few_steps", scope="module")
def _few_steps(toy: Data, toy_config: Callable[..., Config], fold: Fold) -> FoldResult:
    return train_fold(toy_config(*FEW_STEPS), toy, fold, seed=0)


def with_frames(data: Data, utterance: str, value: float) -> Data:
    """Replace all frames of one utterance by ``value``."""
    frames = np.full_like(data.steps[utterance], value)
    return replace(data, steps={**data.steps, utterance: frames})


def evaluations(result: FoldResult) -> pd.DataFrame:
    """The rows of the history in which dev and test of a trained model were scored."""
    trained = result.history[result.history["step"] > 0]
    return trained.dropna(subset="dev_ua").reset_index(drop=True)


def selected(result: FoldResult, part: str, selection: str) -> pd.DataFrame:
    table = result.predictions
    return table[(table["part"] == part) & (table["selection"] == selection)]


def test_a_separable_corpus_is_learned(
    toy: Data, toy_config: Callable[..., Config], fold: Fold
) -> None:
    result = train_fold(toy_config(), toy, fold, seed=0)

    assert result.diverged_at is None
    assert evaluations(result)["loss"].is_monotonic_decreasing
    assert evaluations(result)["test_ua"].iloc[-1] > 0.85


def test_a_seed_gives_the_same_unit_to_the_bit_whatever_was_done_before(
    toy: Data, config: Config, fold: Fold, result: FoldResult
) -> None:
    torch.rand(3)
    again = train_fold(config, toy, fold, seed=0)

    pd.testing.assert_frame_equal(again.predictions, result.predictions, check_exact=True)
    pd.testing.assert_frame_equal(again.history, result.history, check_exact=True)
    assert all((again.weights[name] == result.weights[name]).all() for name in result.weights)


def test_another_seed_gives_other_weights_and_other_batches(
    toy: Data, toy_config: Callable[..., Config], fold: Fold, result: FoldResult
) -> None:
    other = evaluations(train_fold(toy_config(*SLOW, "trainer.steps=8"), toy, fold, seed=1))

    assert len(other) == 2
    assert (other["loss"] != evaluations(result)["loss"][:2]).all()


def test_dev_and_test_are_looked_at_every_few_steps_and_at_the_last(
    toy: Data, toy_config: Callable[..., Config], fold: Fold
) -> None:
    config = toy_config("trainer.steps=25", "trainer.eval_every=10")

    history = train_fold(config, toy, fold, seed=3).history

    assert history["step"].tolist() == [0, 10, 20, 25]
    assert history["dev_ua"].notna().all()
    assert set(history["seed"]) == {3}
    assert set(history["fold"]) == {fold.name}


def test_the_untrained_model_is_evaluated_but_never_selected(
    toy: Data, toy_config: Callable[..., Config], fold: Fold
) -> None:
    result = train_fold(toy_config("optim.lr=1e-9", "trainer.steps=20"), toy, fold, seed=0)

    untrained, *later = result.history.to_dict("records")
    assert [row["dev_ua"] for row in later] == [untrained["dev_ua"]] * 2  # it learns nothing
    assert untrained["test_ua"] == later[0]["test_ua"]
    assert untrained["max_state"] == pytest.approx(later[0]["max_state"])
    assert np.isnan([untrained["loss"], untrained["grad_norm"]]).all()
    assert (result.selected_step, result.oracle_step) == (10, 10)


def test_the_loss_of_a_look_is_the_mean_since_the_look_before(
    toy: Data, toy_config: Callable[..., Config], fold: Fold
) -> None:
    losses = {}
    for every in (1, 2):
        config = toy_config("trainer.steps=6", f"trainer.eval_every={every}")
        losses[every] = evaluations(train_fold(config, toy, fold, seed=0))["loss"].to_numpy()

    np.testing.assert_allclose(losses[2], losses[1].reshape(3, 2).mean(axis=1))


def test_nothing_is_dropped_when_a_model_predicts(
    toy: Data, toy_config: Callable[..., Config], fold: Fold
) -> None:
    model = new_model(toy_config("model.dropout=0.5"), toy)

    first, second = (predict(model, fold.test, toy, torch.device("cpu")) for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_settings_that_no_model_can_have_are_refused(
    toy: Data, toy_config: Callable[..., Config]
) -> None:
    new_model(toy_config("activation=arelu"), toy)
    with pytest.raises(RequestError, match="outside its clamp"):
        new_model(toy_config("activation=arelu", "arelu.alpha=2"), toy)


def test_a_device_that_is_not_there_is_refused() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda")
    with pytest.raises(RequestError, match="device=toaster is not available here"):
        choose_device("toaster")


def test_the_best_dev_ua_selects_the_step_and_the_first_of_equals_wins(result: FoldResult) -> None:
    history = result.history.set_index("step")

    assert result.selected_step == history["dev_ua"].idxmax()
    assert result.oracle_step == history["test_ua"].idxmax()
    assert result.selected_step != result.oracle_step
    assert history.index[-1] not in (result.selected_step, result.oracle_step)


@pytest.mark.parametrize("part", ["dev", "test"])
@pytest.mark.parametrize("selection", ["dev", "oracle"])
def test_predictions_are_those_of_the_selected_step(
    result: FoldResult, fold: Fold, part: str, selection: str
) -> None:
    step = result.selected_step if selection == "dev" else result.oracle_step
    row = result.history.set_index("step").loc[step]

    table = selected(result, part, selection)

    assert sorted(table["utterance"]) == sorted(fold.dev if part == "dev" else fold.test)
    truth, predicted = table["label"].tolist(), table["predicted"].tolist()
    assert ua(truth, predicted) == row[f"{part}_ua"]
    assert wa(truth, predicted) == row[f"{part}_wa"]


def test_the_predicted_class_is_the_most_probable_one(toy: Data, result: FoldResult) -> None:
    classes = list(toy.manifest.classes)
    probabilities = result.predictions[[f"p_{name}" for name in classes]]

    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    best = [classes[i] for i in probabilities.to_numpy().argmax(axis=1)]
    assert result.predictions["predicted"].tolist() == best
    assert result.predictions["label"].tolist() == [
        toy.labels[name] for name in result.predictions["utterance"]
    ]


def test_kept_weights_give_the_kept_predictions_in_a_new_model(
    toy: Data, config: Config, fold: Fold, result: FoldResult, tmp_path: Path
) -> None:
    write_fold_result(tmp_path / "fold", result)
    weights = read_fold_result(tmp_path / "fold").weights

    model = new_model(config, toy)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})

    again = predict(model, fold.test, toy, torch.device("cpu"))
    kept = selected(result, "test", "dev")[list(again.columns)].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, kept, check_exact=True)


def test_training_stops_when_dev_ua_has_not_risen_for_as_many_looks_as_patience(
    toy: Data, toy_config: Callable[..., Config], fold: Fold
) -> None:
    config = toy_config(*SLOW, "trainer.steps=1000", "trainer.patience=3")
    counted: list[int] = []

    result = train_fold(config, toy, fold, seed=0, stepped=counted.append)

    history = result.history
    assert result.selected_step is not None
    assert history["step"].max() < 1000
    assert (history["step"] > result.selected_step).sum() == 3
    rises = evaluations(result)["dev_ua"].cummax().diff().fillna(1) > 0
    longest_wait = (~rises).groupby(rises.cumsum()).sum().max()
    assert longest_wait == 3
    assert sum(counted) == 1000  # the steps that an early stop saves move the bar too


@pytest.mark.parametrize(
    "setting",
    [
        "optim.lr=0.01",
        "optim.weight_decay=0.1",
        "optim.clip_norm=0.01",
        "trainer.batch_size=8",
        "trainer.label_smoothing=0.3",
        "model.dropout=0.5",
        "activation=relu",
        "precision=bf16",
    ],
)
def test_every_setting_of_training_has_an_effect(
    toy: Data, toy_config: Callable[..., Config], fold: Fold, few_steps: FoldResult, setting: str
) -> None:
    changed = train_fold(toy_config(*FEW_STEPS, setting), toy, fold, seed=0)

    assert (evaluations(changed)["loss"] != evaluations(few_steps)["loss"]).all()


def test_a_loss_that_is_not_finite_ends_training_and_keeps_what_was_seen(
    toy: Data, toy_config: Callable[..., Config], fold: Fold
) -> None:
    config = toy_config("trainer.batch_size=4", "trainer.eval_every=1", "trainer.steps=10")
    first = train_fold(config, toy, fold, seed=0)
    poisoned = with_frames(toy, fold.train[0], np.nan)

    result = train_fold(config, poisoned, fold, seed=0)

    assert result.diverged_at is not None
    assert 1 < result.diverged_at <= len(fold.train) / 4  # the first epoch has them all
    assert result.history["step"].tolist() == list(range(result.diverged_at + 1))
    assert not np.isnan(result.history["frozen_weights"].iloc[1:]).any()
    before = first.history[: result.diverged_at]
    pd.testing.assert_frame_equal(result.history[:-1], before, check_exact=True)
    at_the_end = result.history.iloc[-1][["loss", "dev_ua", "test_ua", "max_state"]]
    assert at_the_end.isna().all()
    assert result.selected_step == before.set_index("step")["dev_ua"].drop(0).idxmax()
    assert not selected(result, "test", "dev").empty
    assert all(np.isfinite(value).all() for value in result.weights.values())


def test_a_loss_that_only_the_next_evaluation_reads_ends_training_at_the_same_step(
    toy: Data,
    toy_config: Callable[..., Config],
    fold: Fold,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = toy_config("trainer.batch_size=4", "trainer.eval_every=5", "trainer.steps=30")
    poisoned = with_frames(toy, fold.train[0], np.nan)
    at_once = train_fold(config, poisoned, fold, seed=0)
    assert at_once.diverged_at is not None
    assert at_once.diverged_at % 5

    unread = SimpleNamespace(isfinite=lambda loss: True)  # as on a GPU
    monkeypatch.setattr("sercli.training.trainer.math", unread)
    late = train_fold(config, poisoned, fold, seed=0)

    assert late.diverged_at == at_once.diverged_at
    measured = ["step", "dev_ua", "test_ua", "loss", "max_grad_norm"]
    pd.testing.assert_frame_equal(late.history[measured], at_once.history[measured])


@pytest.mark.parametrize("part", ["dev", "test"])
def test_an_output_that_is_not_finite_ends_training_as_diverged_too(
    toy: Data, toy_config: Callable[..., Config], fold: Fold, part: str
) -> None:
    poisoned = with_frames(toy, fold.dev[0] if part == "dev" else fold.test[0], np.inf)

    result = train_fold(toy_config(), poisoned, fold, seed=0)

    assert result.diverged_at == 10
    assert result.history["step"].tolist() == [0, 10]
    assert evaluations(result).empty
    at_the_end = result.history.iloc[-1]
    assert np.isfinite(at_the_end[["loss", "grad_norm"]].astype(float)).all()
    assert not np.isfinite(at_the_end["max_state"])
    assert result.predictions.empty


def test_a_huge_learning_rate_diverges_with_an_unbounded_activation(
    toy: Data, toy_config: Callable[..., Config], fold: Fold
) -> None:
    result = train_fold(toy_config("activation=relu", "optim.lr=1e20"), toy, fold, seed=0)

    assert result.diverged_at is not None
    assert result.selected_step is None
    assert result.weights == {}


def test_a_diverged_unit_without_any_look_survives_the_disk(
    toy: Data, toy_config: Callable[..., Config], fold: Fold, tmp_path: Path
) -> None:
    result = train_fold(toy_config("activation=relu", "optim.lr=1e20"), toy, fold, seed=0)

    write_fold_result(tmp_path / "fold", result)
    again = read_fold_result(tmp_path / "fold")

    assert again.diverged_at == result.diverged_at
    pd.testing.assert_frame_equal(again.history, result.history, check_exact=True)
    assert again.predictions.empty
    assert again.weights == {}
