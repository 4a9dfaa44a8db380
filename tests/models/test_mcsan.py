from __future__ import annotations

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    both_directions,
    convolved,
    count_parameters,
    in_windows,
    linear,
    lstm,
    sinusoids,
    tiny,
    transformer_layer,
)
from torch import Tensor

from sercli.errors import RequestError

TINY = (
    *("model=mcsan", "cell=lstm", "activation=tanh", "model.channels=3", "model.hidden=4"),
    *("model.heads=2", "model.feedforward=5", "model.dense_units=3", "model.pool=2"),
)


def states(w: Weights, name: str, steps: Tensor) -> list[Tensor]:
    means = [(h[:4] + h[4:]) / 2 for h in both_directions(lstm, w, name, steps)]
    return [h + place for h, place in zip(means, sinusoids(means), strict=True)]


def slow(w: Weights, frames: Tensor, words: Tensor) -> Tensor:
    w = {name: x.unsqueeze(-1) if "convolve.weight" in name else x for name, x in w.items()}
    maps = frames.T.unsqueeze(-1)
    for i in range(2):
        maps = convolved(w, f"convolutions.{i}", maps).clamp(min=0)
        maps = in_windows(maps, 2, 1, lambda window: window.amax(dim=1))
    a = states(w, "read_audio", maps.squeeze(-1).T)
    t = states(w, "read_words", words)
    pairs = [("audio_to_words", a, t), ("words_to_audio", t, a), ("audio", a, a), ("words", t, t)]
    pooled = [
        torch.stack(transformer_layer(w, f"layers.{name}", x, x, y, y, heads=2)).amax(0)
        for name, x, y in pairs
    ]
    return linear(w, "head.1", linear(w, "head.0.0", torch.cat(pooled)).clamp(min=0))


def test_logits_are_those_of_the_equations_for_turns_that_pooling_leaves_one_step_too() -> None:
    assert_logits(tiny(*TINY), slow, streams=["text"], filler=1e3)


def test_it_has_the_size_of_our_reading() -> None:
    published = ("model=mcsan", "cell=lstm", "activation=tanh")
    count = count_parameters(*published, inputs=40, classes=7, text=300)
    recurrent = 2 * 4 * 128 * (128 + 128 + 2) + 2 * 4 * 128 * (300 + 128 + 2)
    layer = 4 * (128 * 128 + 128) + 2 * 128 * 512 + 512 + 128 + 4 * 128
    convolutions = 128 * (40 * 3 + 1) + 128 * (128 * 3 + 1)
    assert count == convolutions + recurrent + 4 * layer + 513 * 128 + 129 * 7


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.heads=3", "model.heads=3: must divide model.hidden=4"),
        ("model.streams=[text,vector]", "must be a list of 1 name of further streams, each once"),
    ],
)
def test_settings_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny(*TINY, override)
