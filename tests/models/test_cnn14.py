from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    count_parameters,
    linear,
    random_averages,
    tiny,
    weights_of,
)
from torch import Tensor
from torch.nn import functional as F

from sercli.errors import RequestError
from sercli.models.cnn14 import CNN14
from sercli.models.interface import Batch, Turns

FILTERS = [1, 2, 1, 2, 2, 3]
TINY = ("model=cnn14", f"model.filters={FILTERS}", "model.hidden=3")


def plain(w: Weights, frames: Tensor) -> Tensor:
    """One turn, by the layers of torch instead of those with masks."""
    bands = normed(w, "bn0", frames.T.unsqueeze(0)).transpose(1, 2)
    missing = [max(32 - size, 0) for size in frames.shape]
    x = F.pad(bands, (0, missing[1], 0, missing[0])).unsqueeze(1)
    for i in range(1, 7):
        for part in "12":
            kernel = w[f"conv_block{i}.conv{part}.convolve.weight"]
            x = normed(w, f"conv_block{i}.bn{part}", F.conv2d(x, kernel, padding=1)).relu()
        x = F.avg_pool2d(x, 2) if i < 6 else x
    steps = x[0].mean(dim=2)
    return linear(w, "head", linear(w, "fc1", steps.amax(dim=1) + steps.mean(dim=1)).relu())


def normed(w: Weights, name: str, x: Tensor) -> Tensor:
    mean, variance = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    return F.batch_norm(x, mean, variance, w[f"{name}.weight"], w[f"{name}.bias"])


def test_short_turns_of_few_features_are_extended_after_the_first_normalisation() -> None:
    assert_logits(random_averages(tiny(*TINY)), plain)


def test_turns_that_fill_no_window_lose_their_last_frames_as_in_the_original() -> None:
    model = random_averages(tiny(*TINY, inputs=33))
    lengths = [33, 95, 70, 64]
    frames = torch.randn(4, 99, 33, generator=torch.Generator().manual_seed(0)).double()
    turns = Turns(frames, torch.tensor(lengths))
    found = model(Batch(turns, turns, turns))
    for row, length in enumerate(lengths):
        expected = plain(weights_of(model), frames[row, :length])
        torch.testing.assert_close(found[row], expected)


@pytest.mark.parametrize(("classes", "parameters"), [(4, 79_681_988), (527, 80_753_615)])
def test_it_has_the_published_size(classes: int, parameters: int) -> None:
    assert count_parameters("model=cnn14", inputs=64, classes=classes) == parameters


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"filters": [8, 16]}, r"model.filters=\[8, 16\]: must be 6 whole numbers"),
        ({"hidden": 0}, "model.hidden=0"),
        ({"block_dropout": 1.0}, "model.block_dropout=1"),
        ({"dropout": -0.1}, "model.dropout=-0.1"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        CNN14(inputs=4, classes=4, **setting)
