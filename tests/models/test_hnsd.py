from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    linear,
    lstm,
    random_batch,
    sequences,
    sigmoid,
    softmax_sum,
    tiny,
    weights_of,
)
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.features.spectral import regression_slopes
from sercli.models.hnsd import deltas
from sercli.nn.layer import recurrent_layers

TINY = (
    *("model=hnsd", "cell=lstm", "activation=tanh"),
    *("model.hidden=3", "model.fused=4", "model.attention=2", "model.dense_units=5"),
)


def slopes(frames: Tensor) -> Tensor:
    def at(t: int) -> Tensor:
        return frames[min(max(t, 0), len(frames) - 1)]

    found = [at(t + 1) - at(t - 1) + 2 * (at(t + 2) - at(t - 2)) for t in range(len(frames))]
    return torch.stack(found) / 10


def slow(fusion: str, w: Weights, frames: Tensor) -> Tensor:
    first = slopes(frames)
    inputs = {"static": frames, "dynamic": torch.cat([first, slopes(first)], dim=1)}
    used = [fusion] if fusion in inputs else list(inputs)
    states = {name: lstm(w, f"encoders.{name}", "_l0", inputs[name]) for name in used}
    h = []
    for t in range(len(frames)):
        parts = [torch.tanh(w[f"project.{name}.weight"] @ states[name][t]) for name in used]
        if fusion == "gate":
            z = sigmoid(w["gate.weight"] @ torch.cat([states[name][t] for name in used]))
            parts = [z * parts[0] + (1 - z) * parts[1]]
        h.append(torch.cat(parts))
    v = w["pool.score.weight"][0]
    u = softmax_sum([v @ torch.tanh(linear(w, "pool.project", each)) for each in h], h)
    return linear(w, "head.1", linear(w, "head.0.0", u).clamp(min=0))


@pytest.mark.parametrize("fusion", ["gate", "concat", "static", "dynamic"])
def test_logits_are_those_of_the_equations_computed_step_by_step(fusion: str) -> None:
    assert_logits(tiny(*TINY, f"model.fusion={fusion}"), partial(slow, fusion), filler=9.0)


def test_deltas_are_those_of_a_feature_set_and_do_not_see_the_padding() -> None:
    turns = random_batch(padding=3, filler=9.0).current
    for found, frames in zip(deltas(turns.frames, turns.lengths), sequences(turns), strict=True):
        expected = regression_slopes(frames.numpy())
        np.testing.assert_allclose(found[: len(frames)], expected, atol=1e-6)
        assert not found[len(frames) :].any()


class Open(nn.Module):
    def forward(self, states: Tensor) -> Tensor:
        return torch.full_like(states[..., :1], 100.0)


def test_an_open_gate_gives_the_model_of_static_features_alone() -> None:
    gated, static = tiny(*TINY), tiny(*TINY, "model.fusion=static")
    static.load_state_dict({name: weights_of(gated)[name] for name in static.state_dict()})
    gated.gate = Open()
    torch.testing.assert_close(gated(random_batch()), static(random_batch()))


def test_the_model_of_the_paper_has_its_sizes() -> None:
    model = tiny("model=hnsd", "cell=lstm", "activation=tanh", inputs=26)
    layers = list(recurrent_layers(model))
    assert sum(each.numel() for layer in layers for each in layer.parameters()) == 2_265_088
    shapes = {name: tuple(value.shape) for name, value in weights_of(model).items()}
    assert shapes["gate.weight"] == (1, 1024)
    assert shapes["pool.project.weight"] == (16, 512)
    assert shapes["head.0.0.weight"] == (128, 512)


def test_a_fusion_that_is_none_is_refused() -> None:
    with pytest.raises(RequestError, match="fusion=sum: must be one of gate, concat, static"):
        tiny(*TINY, "model.fusion=sum")
