from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    block,
    in_windows,
    linear,
    random_averages,
    random_batch,
    run_with_criterion,
    sequences,
    tiny,
    weights_of,
)
from torch import Tensor

from sercli.errors import RequestError
from sercli.models import light_sernet
from sercli.models.interface import Batch, Turns
from sercli.models.light_sernet import LightSERNet
from sercli.models.parts import in_parts
from sercli.nn.convolution import Maps

TINY = ("model=light_sernet", "model.filters=[2,3,2,3,2,4]", "model.dropout=0")


def mean(window: Tensor) -> Tensor:
    return window.mean(dim=1)


def slow(w: Weights, frames: Tensor) -> Tensor:
    image = frames.unsqueeze(0)
    paths = [in_windows(block(w, f"paths.{i}", image, 1e-3), 2, 2, mean) for i in range(3)]
    maps = torch.cat(paths)
    for i, window in enumerate([(2, 2), (2, 2), (2, 1), (2, 1)]):
        maps = in_windows(block(w, f"series.{i}", maps, 1e-3), *window, mean)
    return linear(w, "head", block(w, "series.4", maps, 1e-3).mean((1, 2)))


def test_logits_are_those_of_the_equations_computed_position_by_position() -> None:
    assert_logits(random_averages(tiny(*TINY)), slow)


@pytest.mark.parametrize(("classes", "parameters"), [(4, 460_740), (7, 461_703)])
def test_it_has_the_published_size(classes: int, parameters: int) -> None:
    model = LightSERNet(classes=classes)
    assert sum(each.numel() for each in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("steps", "times"), [(184, [92, 46, 23, 12, 6]), (434, [217, 109, 55, 28, 14])]
)
def test_it_halves_its_maps_as_published(steps: int, times: list[int]) -> None:
    model = LightSERNet(classes=4, filters=[1] * 6).eval()
    maps = Maps.over_time_and_frequency(torch.zeros(1, steps, 40), torch.tensor([steps]))
    shapes = [model.paths[0](maps).values.shape[2:]]
    maps = Maps(torch.zeros(1, 3, *shapes[0]), torch.tensor([times[0]]))
    for part in model.series:
        maps = part(maps)
        shapes.append(maps.values.shape[2:])
    frequencies = [20, 10, 5, 5, 5, 5]
    assert shapes == list(zip([*times, times[-1]], frequencies, strict=True))
    assert maps.lengths.tolist() == [times[-1]]


def test_the_penalty_is_on_the_five_kernels_in_series() -> None:
    model: Any = tiny(*TINY)
    model.l2 = 0.5
    w = weights_of(model)
    squares = sum(
        value.square().sum()
        for name, value in w.items()
        if name.startswith("series") and name.endswith("convolve.weight")
    )
    output, _ = run_with_criterion(model, random_batch())
    torch.testing.assert_close(output.losses, {"l2": 0.5 * squares})
    assert model(random_batch()).losses == {}


def test_a_crop_reads_the_middle_of_longer_turns() -> None:
    model: Any = tiny(*TINY)
    whole = random_batch(padding=1)
    cut = [
        frames[(len(frames) - 3) // 2 :][:3] if len(frames) > 3 else frames
        for frames in sequences(whole.current)
    ]
    padded = torch.nn.utils.rnn.pad_sequence(cut, batch_first=True)
    turns = Turns(padded, torch.tensor([len(each) for each in cut]))
    expected = model(Batch(turns, turns, turns)).logits
    model.crop = 3
    torch.testing.assert_close(model(whole).logits, expected)


def test_a_large_batch_is_evaluated_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = tiny(*TINY), random_batch()
    whole = model(batch).logits
    sizes = []
    classify = LightSERNet._classify

    def recorded(self: LightSERNet, turns: Turns) -> Tensor:
        sizes.append(len(turns.frames))
        return classify(self, turns)

    monkeypatch.setattr(LightSERNet, "_classify", recorded)
    monkeypatch.setattr(light_sernet, "in_parts", partial(in_parts, most=2 * 7 * 6))
    torch.testing.assert_close(model(batch).logits, whole)
    assert sizes == [2, 1]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"filters": [8, 16]}, r"model.filters=\[8, 16\]: must be 6 whole numbers from 1 up"),
        ({"filters": [8, 16, 24, 32, 0, 80]}, "must be 6 whole numbers"),
        ({"crop": -1}, "model.crop=-1: must be 0 or more"),
        ({"dropout": 1.0}, "model.dropout=1"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        LightSERNet(classes=4, **setting)
