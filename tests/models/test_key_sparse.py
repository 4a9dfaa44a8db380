from __future__ import annotations

from functools import partial

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    count_parameters,
    layer_norm,
    linear,
    sinusoids,
    tiny,
    transformer_layer,
)
from torch import Tensor

from sercli.errors import RequestError

TINY = (
    *("model=key_sparse", "model.widths=[6,4]", "model.feedforward=[3,2]", "model.heads=2"),
    "model.layers=[2,2,1]",
)


def placed(steps: list[Tensor]) -> list[Tensor]:
    return [x + place for x, place in zip(steps, sinusoids(steps), strict=True)]


def group(
    w: Weights, name: str, x: list[Tensor], keep: float, y: list[Tensor] | None = None
) -> list[Tensor]:
    x = [layer_norm(w, f"{name}.norm", each) for each in x]
    y = y and [layer_norm(w, f"{name}.norm_other", each) for each in y]
    layer = 0
    while f"{name}.layers.{layer}.fed.bias" in w:
        keys, values = (placed(y), y) if y else (placed(x), placed(x))
        parts = (placed(x), keys, values)
        x = transformer_layer(w, f"{name}.layers.{layer}", x, *parts, heads=2, keep=keep)
        layer += 1
    return x


def branch(w: Weights, name: str, keep: float, x: list[Tensor], y: list[Tensor]) -> Tensor:
    h = x
    for i in range(2):
        h = group(w, f"{name}.across.{i}", h, keep, y)
        h = group(w, f"{name}.within.{i}", h, keep)
    h = [2 * old + new for old, new in zip(x, h, strict=True)]
    return torch.stack(group(w, f"{name}.last", h, keep)).mean(0)


def slow(keep: float, w: Weights, frames: Tensor, words: Tensor) -> Tensor:
    a = group(w, "audio.plain", list(frames), 1.0)  # six features, six wide
    t = group(w, "words.plain", [linear(w, "words.enter", x) for x in words], 1.0)
    x = torch.cat([branch(w, "audio", keep, a, t), branch(w, "words", keep, t, a)])
    for i in (0, 3):
        x = linear(w, f"head.0.{i}", x).clamp(min=0)
    return linear(w, "head.1", x)


@pytest.mark.parametrize("keep", [0.5, 1.0])
def test_logits_are_those_of_the_equations_whatever_share_of_the_keys_is_kept(keep: float) -> None:
    model = tiny(*TINY, f"model.keep={keep}")
    assert_logits(model, partial(slow, keep), streams=["text"], filler=1e3)


def test_it_has_the_published_size() -> None:
    count = count_parameters("model=key_sparse", inputs=512, classes=4, text=1024)
    assert round(count / 1e6, 1) == 85.3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.heads=3", "model.heads=3: must divide model.widths=4"),
        ("model.keep=0", "model.keep=0: must be above 0, and 1 or less"),
        ("model.layers=[5,3]", r"model.layers=\[5, 3\]: must be 3 whole numbers from 1 up"),
    ],
)
def test_settings_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny(*TINY, override)
