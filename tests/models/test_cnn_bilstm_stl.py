from __future__ import annotations

from functools import partial

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    attended,
    both_directions,
    convolved,
    in_windows,
    linear,
    lstm,
    normalised,
    random_averages,
    tiny,
)
from torch import Tensor

from sercli.errors import RequestError
from sercli.nn.convolution import Maps

TINY = (
    *("model=cnn_bilstm_stl", "cell=lstm", "activation=tanh"),
    *("model.channels=[2,3]", "model.hidden=2", "model.heads=2", "model.depth=2"),
)
HEADS = 2


def block(w: Weights, name: str, maps: Tensor) -> Tensor:
    """Convolution, batch normalisation, ELU, and the mean of windows of 2 × 2."""
    out = normalised(w, f"{name}.norm", convolved(w, f"{name}.convolution", maps))
    out = torch.where(out > 0, out, out.exp() - 1)
    return in_windows(out, 2, 2, lambda window: window.mean(dim=1))


def norm(w: Weights, name: str, x: Tensor) -> Tensor:
    centred = x - x.mean()
    scaled = centred / (centred.square().mean() + 1e-5).sqrt()
    return w[f"{name}.weight"] * scaled + w[f"{name}.bias"]


def transformer(w: Weights, name: str, states: list[Tensor]) -> list[Tensor]:
    """A pre-norm layer: x + MHA(LN(x)), then x + FFN(LN(x))."""
    found = attended(w, f"{name}.self_attn", [norm(w, f"{name}.norm1", x) for x in states], HEADS)
    rows = []
    for before, each in zip(states, found, strict=True):
        x = before + each
        inner = linear(w, f"{name}.linear1", norm(w, f"{name}.norm2", x)).clamp(min=0)
        rows.append(x + linear(w, f"{name}.linear2", inner))
    return rows


def slow(tokens: str, depth: int, w: Weights, frames: Tensor) -> Tensor:
    maps = block(w, "blocks.1", block(w, "blocks.0", frames.unsqueeze(0)))
    states = both_directions(lstm, w, "recurrent", maps.transpose(0, 1).flatten(1))
    if tokens == "utterance":
        shares = zip(w["merge.weight"][0], states, strict=False)
        states = [sum(share * state for share, state in shares) + w["merge.bias"]]
    for number in range(depth):
        states = transformer(w, f"transformer.layers.{number}", states)
    if depth:
        states = [norm(w, "transformer.norm", x) for x in states]
    return linear(w, "head", torch.stack(states).mean(0))


@pytest.mark.parametrize(
    ("tokens", "depth", "positions"), [("frames", 2, 9), ("utterance", 1, 1), ("utterance", 0, 4)]
)
def test_logits_are_those_of_the_equations_computed_one_by_one(
    tokens: str, depth: int, positions: int
) -> None:
    settings = (f"model.tokens={tokens}", f"model.depth={depth}", f"model.positions={positions}")
    model = random_averages(tiny(*TINY, *settings))
    assert_logits(model, partial(slow, tokens, depth))


@pytest.mark.parametrize("steps", [1, 63, 64, 65, 1000])
def test_six_blocks_leave_a_64th_of_the_steps_and_never_none(steps: int) -> None:
    model = tiny("model=cnn_bilstm_stl", "model.channels=[1,1,1,1,1,1]", inputs=40)
    frames = torch.zeros(1, steps, 40, dtype=torch.float64)
    blocks = model.get_submodule("blocks")
    maps = blocks(Maps.over_time_and_frequency(frames, torch.tensor([steps])))
    assert maps.lengths.tolist() == [-(-steps // 64)]
    assert maps.values.shape == (1, 1, -(-steps // 64), 2)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.channels=[]", r"model.channels=\[\]: must be whole numbers from 1 up"),
        ("model.channels=[2,x]", "must be whole numbers from 1 up"),
        ("model.heads=3", r"model.heads=3: must divide the 4 features of a state"),
        ("model.tokens=words", "model.tokens=words: must be one of frames, utterance"),
        ("model.depth=-1", "model.depth=-1: must be 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny(*TINY, override)
