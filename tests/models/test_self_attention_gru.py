from __future__ import annotations

from functools import partial

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    attended,
    both_directions,
    gru,
    linear,
    tiny,
)
from torch import Tensor

from sercli.errors import RequestError

TINY = ("model=self_attention_gru", "activation=tanh", "model.hidden=4", "model.dense=3")
HEADS = 2


def strided(w: Weights, frames: Tensor) -> Tensor:
    zero = torch.zeros_like(frames[:1])
    padded = torch.cat([zero, frames, zero])
    kernel, bias = w["shorten.convolve.weight"], w["shorten.convolve.bias"]
    return torch.stack(
        [
            bias + sum(kernel[:, :, tap] @ padded[start + tap] for tap in range(3))
            for start in range(0, len(frames), 2)
        ]
    )


def mixed(w: Weights, frames: Tensor, steps: int) -> Tensor:
    fixed = torch.zeros(steps, frames.shape[1], dtype=frames.dtype)
    fixed[: len(frames)] = frames[:steps]
    return torch.stack([linear(w, "shorten.mix", feature) for feature in fixed.T]).T


def slow(mix_steps: int, w: Weights, frames: Tensor) -> Tensor:
    steps = mixed(w, frames, mix_steps) if mix_steps else strided(w, frames)
    rows = attended(w, "attend", both_directions(gru, w, "recurrent", steps), HEADS)
    return linear(w, "head.1", linear(w, "head.0", torch.stack(rows).mean(0)))


@pytest.mark.parametrize("mix_steps", [0, 4])
def test_logits_are_those_of_the_equations_computed_step_by_step(mix_steps: int) -> None:
    model = tiny(*TINY, f"model.heads={HEADS}", f"model.mix_steps={mix_steps}", "cell=gru")
    assert_logits(model, partial(slow, mix_steps))


def test_the_model_of_the_paper_has_its_sizes() -> None:
    published = ("model=self_attention_gru", "cell=gru", "activation=tanh", "model.mix_steps=1000")
    model = tiny(*published, inputs=120)
    counts = {
        name: sum(value.numel() for value in part.parameters())
        for name, part in model.named_children()
    }
    assert counts == {
        "shorten": 500_500,
        "recurrent": 65_520,
        "attend": 58_080,
        "head": 60 * 121 + 4 * 61,
    }


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.heads=3", r"model.heads=3: must divide the 8 features of a state \(2 × model.hid"),
        ("model.mix_steps=1", "model.mix_steps=1: must be 2 or more, or 0 for no mixing"),
        ("model.mix_steps=-2", "model.mix_steps=-2: must be 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny(*TINY, f"model.heads={HEADS}", override)
