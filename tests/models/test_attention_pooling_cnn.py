from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    convolved,
    parallel_then_series,
    random_averages,
    random_batch,
    tiny,
    weights_of,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sercli.models.attention_pooling_cnn import AttentionPoolingCNN, mu_law
from sercli.nn.convolution import Maps

TINY = ("model=attention_pooling_cnn", "model.filters=[2,3,2,3,2]")


def slow(bottom_up: str, w: Weights, frames: Tensor) -> Tensor:
    scaled = frames / frames.abs().max()
    squeezed = scaled.sign() * (1 + 255 * scaled.abs()).log() / torch.tensor(256.0).double().log()
    maps = parallel_then_series(w, "convolve", squeezed.unsqueeze(0), axis=0)
    classes = convolved(w, "top_down", maps).flatten(1)
    weights = convolved(w, "bottom_up", maps).flatten()
    if bottom_up == "softmax":
        return (classes * (weights.exp() / weights.exp().sum())).sum(dim=1)
    return (classes * weights).mean(dim=1)


@pytest.mark.parametrize("bottom_up", ["softmax", "none"])
def test_logits_are_those_of_the_equations_computed_position_by_position(bottom_up: str) -> None:
    assert_logits(
        random_averages(tiny(*TINY, f"model.bottom_up={bottom_up}")), partial(slow, bottom_up)
    )


def test_it_has_the_size_of_the_re_implementation() -> None:
    model = AttentionPoolingCNN(classes=4)
    assert sum(each.numel() for each in model.parameters()) == 93_573


def test_a_constant_bottom_up_map_makes_it_mean_pooling() -> None:
    model: Any = random_averages(tiny(*TINY))
    with torch.no_grad():
        model.bottom_up.weight.zero_()
    batch, w = random_batch(), weights_of(model)
    maps = model.convolve(
        mu_law(Maps.over_time_and_frequency(batch.current.frames, batch.current.lengths), 255)
    )
    for row, length in enumerate(maps.lengths.tolist()):
        classes = convolved(w, "top_down", maps.values[row, :, :length])
        torch.testing.assert_close(model(batch)[row], classes.mean((1, 2)))


@given(values=st.lists(st.floats(-1, 1), min_size=1, max_size=5), scale=st.floats(1e-3, 1e3))
def test_the_mu_law_is_odd_and_keeps_its_ends(values: list[float], scale: float) -> None:
    x = torch.tensor([[[-1.0, 0.0, 1.0, *values]]], dtype=torch.float64)
    found = mu_law(Maps(scale * x, torch.tensor([x.shape[-1]])), 255).values
    assert found[0, 0, :3].tolist() == [-1, 0, 1]
    assert found.abs().max() <= 1
    torch.testing.assert_close(
        mu_law(Maps(-x, torch.tensor([x.shape[-1]])), 255).values, -found, atol=1e-9, rtol=0
    )


def test_a_turn_of_zeros_stays_zero() -> None:
    assert (mu_law(Maps(torch.zeros(1, 1, 3, 2), torch.tensor([3])), 255).values == 0).all()
