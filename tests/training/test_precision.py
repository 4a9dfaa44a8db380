"""Training with products in bfloat16."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from sercli.config.schema import Config
from sercli.results.folds import Fold
from sercli.training.data import Data
from sercli.training.folds import make_folds
from sercli.training.trainer import predict, train_fold
from sercli.training.validate import new_model


@pytest.fixture(name="fold")
def _fold(toy: Data, toy_config: Callable[..., Config]) -> Fold:
    return make_folds(toy.manifest, toy_config().protocol)[0]


@pytest.mark.parametrize(
    ("activation", "backend"),
    [
        ("arelu", "auto"),
        pytest.param("tanh", "auto", marks=pytest.mark.exhaustive),
        pytest.param("arelu", "eager", marks=pytest.mark.exhaustive),
        pytest.param("tanh", "eager", marks=pytest.mark.exhaustive),
    ],
)
def test_training_in_bf16_is_near_that_in_float32_and_keeps_weights_in_float32(
    toy: Data, toy_config: Callable[..., Config], fold: Fold, activation: str, backend: str
) -> None:
    settings = f"activation={activation}", f"recurrence.backend={backend}"
    plain = train_fold(toy_config(*settings), toy, fold, seed=0)
    rough = train_fold(toy_config(*settings, "precision=bf16"), toy, fold, seed=0)

    losses = [result.history["loss"].dropna().to_numpy() for result in (plain, rough)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.03)
    assert (losses[1] != losses[0]).all()
    assert rough.history["test_ua"].iloc[-1] > 0.8
    assert {value.dtype for value in rough.weights.values()} == {np.dtype(np.float32)}


def test_evaluation_in_bf16_is_near_that_in_float32(
    toy: Data, toy_config: Callable[..., Config], fold: Fold
) -> None:
    model = new_model(toy_config(), toy)
    plain, rough = (
        predict(model, fold.test, toy, torch.device("cpu"), precision).filter(like="p_").to_numpy()
        for precision in ("float32", "bf16")
    )

    assert (rough != plain).any()
    np.testing.assert_allclose(rough, plain, atol=0.02)
    np.testing.assert_allclose(rough.sum(axis=1), 1, rtol=1e-6)
