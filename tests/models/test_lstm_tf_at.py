from __future__ import annotations

from functools import partial

import pytest
import torch
from helpers.reference_models import (
    Cell,
    Weights,
    assert_logits,
    linear,
    lstm,
    lstm_at,
    softmax_sum,
    tiny,
)
from torch import Tensor

from sercli.errors import RequestError

TINY = ("model=lstm_tf_at", "activation=tanh", "model.hidden=3", "model.dense=4")


def over_time(w: Weights, states: list[Tensor]) -> Tensor:
    scores = [states[-1] @ (w["over_time.project.weight"] @ o) for o in states]
    return softmax_sum(scores, states)


def over_features(w: Weights, states: list[Tensor]) -> Tensor:
    total = torch.zeros_like(states[0])
    for o in states:
        shares = (
            w["over_features.score.weight"] @ torch.tanh(w["over_features.project.weight"] @ o)
        ).exp()
        total = total + shares / shares.sum() * o
    return total


def slow(run: Cell, attention: str, w: Weights, frames: Tensor) -> Tensor:
    kinds = {"time": [over_time], "features": [over_features]}
    states = run(w, "recurrent", "_l0", frames)
    pools = kinds.get(attention, [over_time, over_features])
    pooled = torch.cat([pool(w, states) for pool in pools])
    return linear(w, "head.1", linear(w, "head.0", pooled))


@pytest.mark.parametrize(("cell", "run"), [("lstm_at", lstm_at), ("lstm", lstm)])
@pytest.mark.parametrize("attention", ["time", "features", "both"])
def test_logits_are_those_of_the_equations_computed_step_by_step(
    cell: str, run: Cell, attention: str
) -> None:
    model = tiny(*TINY, f"cell={cell}", f"model.attention={attention}")
    assert_logits(model, partial(slow, run, attention))


def test_an_attention_that_is_none_is_refused() -> None:
    with pytest.raises(RequestError, match="attention=space: must be one of time, features"):
        tiny(*TINY, "model.attention=space")
