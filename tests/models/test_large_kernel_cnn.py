from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    block,
    convolved,
    linear,
    normalised,
    random_averages,
    tiny,
)
from torch import Tensor
from torch.nn import functional as F

from sercli.errors import RequestError
from sercli.models.large_kernel_cnn import LargeKernelCNN, Shortcut
from sercli.nn.convolution import Maps

TINY = (
    *("model=large_kernel_cnn", "model.channels=[2,3]", "model.blocks=[1,1]"),
    *("model.kernels=[9,3]", "model.dropout=0", "model.branch_dropout=0.5"),
)


def depth_wise(w: Weights, name: str, x: Tensor) -> Tensor:
    """Two kernels on each channel alone, normalised and added."""
    parts = []
    for size in ("large", "small"):
        kernel = w[f"{name}.{size}.convolve.weight"]
        channels = [
            convolved({"one.convolve.weight": each[None]}, "one", x[c : c + 1])
            for c, each in enumerate(kernel)
        ]
        parts.append(normalised(w, f"{name}.{size}_norm", torch.cat(channels)))
    return parts[0] + parts[1]


def slow(w: Weights, frames: Tensor) -> Tensor:
    w = {name: x.unsqueeze(-1) if x.dim() == 3 else x for name, x in w.items()}
    x = frames.T.unsqueeze(-1)
    for i in range(2):
        stem = f"stages.{i}.0"
        x = convolved(w, f"{stem}.convolution", x)[:, ::2]
        x = normalised(w, f"{stem}.norm", x).clamp(min=0)
        name = f"stages.{i}.1.branch"
        inner = normalised(w, f"{name}.norm", x)
        inner = block(w, f"{name}.before", inner)
        inner = depth_wise(w, f"{name}.large", inner).clamp(min=0)
        x = x + normalised(w, f"{name}.after_norm", convolved(w, f"{name}.after", inner))
        name = f"stages.{i}.2.branch"
        inner = convolved(w, f"{name}.widen", normalised(w, f"{name}.norm", x))
        inner = F.gelu(normalised(w, f"{name}.wide_norm", inner))
        x = x + normalised(w, f"{name}.narrow_norm", convolved(w, f"{name}.narrow", inner))
    return linear(w, "head", normalised(w, "norm", x).mean((1, 2)))


def test_logits_are_those_of_the_equations_with_both_kernels_apart() -> None:
    assert_logits(random_averages(tiny(*TINY)), slow)


def test_a_branch_is_left_out_for_whole_turns_in_training_only() -> None:
    maps = Maps(torch.ones(64, 2, 3), torch.full((64,), 3))
    doubling = Shortcut(torch.nn.Identity(), 0.75)
    torch.manual_seed(0)
    kinds = doubling.train()(maps).values.flatten(1).unique(dim=0)
    assert kinds.tolist() == [[1.0] * 6, [5.0] * 6]
    assert (doubling.eval()(maps).values == 2).all()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"kernels": [9, 4]}, r"model.kernels=\[9, 4\]: must be odd, and 4 is not"),
        ({"kernels": [9]}, r"model.kernels=\[9\]: must be 2 whole numbers from 1 up"),
        ({"channels": []}, r"model.channels=\[\]: must be whole numbers from 1 up"),
        ({"branch_dropout": 1.0}, r"model.branch_dropout=1: must be in \[0, 1\)"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        LargeKernelCNN(inputs=6, classes=4, **setting)
