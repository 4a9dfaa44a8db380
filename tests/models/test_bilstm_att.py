from __future__ import annotations

from functools import partial

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    both_directions,
    linear,
    lstm,
    random_batch,
    softmax_sum,
    tiny,
    weights_of,
)
from torch import Tensor

from sercli.errors import RequestError

TINY = ("model=bilstm_att", "cell=lstm", "activation=tanh", "model.dense_units=5", "model.hidden=3")
H = 3


def pooled(pooling: str, w: Weights, states: list[Tensor]) -> Tensor:
    if pooling == "attention":
        return softmax_sum([w["pool.score.weight"][0] @ y for y in states], states)
    if pooling == "mean":
        return torch.stack(states).sum(0) / len(states)
    if pooling == "max":
        return torch.stack([max(y[i] for y in states) for i in range(2 * H)])
    return torch.cat([states[-1][:H], states[0][H:]])


def slow(pooling: str, w: Weights, frames: Tensor) -> Tensor:
    frames = torch.stack([linear(w, "dense.0", x).clamp(min=0) for x in frames])
    frames = torch.stack([linear(w, "dense.3", x).clamp(min=0) for x in frames])
    return linear(w, "head", pooled(pooling, w, both_directions(lstm, w, "recurrent", frames)))


@pytest.mark.parametrize("pooling", ["attention", "mean", "max", "last"])
def test_logits_are_those_of_the_equations_computed_step_by_step(pooling: str) -> None:
    assert_logits(tiny(*TINY, f"model.pooling={pooling}"), partial(slow, pooling))


def test_the_model_of_the_paper_has_its_sizes() -> None:
    shapes = {
        name: tuple(value.shape)
        for name, value in weights_of(tiny("model=bilstm_att", "cell=lstm", inputs=32)).items()
    }
    assert shapes["dense.0.weight"] == (512, 32)
    assert shapes["dense.3.weight"] == (512, 512)
    assert shapes["recurrent.weight_hh_l0_reverse"] == (4 * 128, 128)
    assert shapes["pool.score.weight"] == (1, 256)
    assert shapes["head.weight"] == (4, 256)


def test_dropout_acts_on_the_dense_layers_in_training_only() -> None:
    model, batch = tiny(*TINY), random_batch()
    assert torch.equal(model(batch), model(batch))
    model.train()
    assert not torch.equal(model(batch), model(batch))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.dense_units=0", "model.dense_units=0: must be 1 or more"),
        ("model.hidden=0", "model.hidden=0: must be 1 or more"),
        ("model.dropout=1", r"model.dropout=1: must be in \[0, 1\)"),
        ("model.pooling=sum", "model.pooling=sum: must be one of attention, mean, max, last"),
    ],
)
def test_settings_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny("model=bilstm_att", override)
