from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    linear,
    parallel_then_series,
    random_averages,
    softmax_sum,
    tiny,
)
from torch import Tensor

from sercli.errors import RequestError
from sercli.models.area_attention import AreaAttention, AreaPooling
from sercli.nn.convolution import Maps

TINY = ("model=area_attention", "model.filters=[2,3,2,3,2]", "model.dropout=0")


def attended(maps: Tensor, query: Tensor, rows: range, height: int, width: int) -> Tensor:
    """Attention of a query to the areas of maps (C, T, F) that begin and end in ``rows``."""
    areas = [
        maps[:, t : t + w, f : f + h].flatten(1)
        for w in range(1, width + 1)
        for t in range(maps.shape[1] - w + 1)
        for h in range(1, height + 1)
        for f in range(rows.start, rows.stop - h + 1)
    ]
    return softmax_sum([query @ a.mean(1) for a in areas], [a.sum(dim=1) for a in areas])


def slow(attend: str, area: tuple[int, int], scale: bool, w: Weights, frames: Tensor) -> Tensor:
    maps = parallel_then_series(w, "convolve", frames.unsqueeze(0), axis=2)
    received = []
    for t in range(maps.shape[1]):
        for f in range(maps.shape[2]):
            query = maps[:, t, f] / (len(maps) ** 0.5 if scale else 1)
            rows = range(f, f + 1) if attend == "rows" else range(maps.shape[2])
            received.append(attended(maps, query, rows, *area))
    return linear(w, "head", torch.stack(received).mean(0))


@pytest.mark.parametrize(
    ("attend", "area", "scale"), [("rows", (1, 3), False), ("map", (2, 3), True)]
)
def test_logits_are_those_of_the_equations_computed_area_by_area(
    attend: str, area: tuple[int, int], scale: bool
) -> None:
    settings = (f"attend={attend}", f"max_area={list(area)}", f"scale={scale}")
    model = random_averages(tiny(*TINY, *(f"model.{each}".replace(" ", "") for each in settings)))
    assert_logits(model, partial(slow, attend, area, scale))


def test_areas_of_one_position_are_ordinary_attention() -> None:
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    found = AreaPooling(1, 1)(Maps(x, torch.tensor([4, 4]))).values
    items = x.flatten(2).transpose(1, 2)
    expected = (items @ items.transpose(1, 2)).softmax(dim=-1) @ items
    torch.testing.assert_close(found, expected.transpose(1, 2).view_as(x))


def test_on_constant_maps_it_returns_the_mean_sum_of_the_areas() -> None:
    found = AreaPooling(1, 2, rows=True)(Maps(torch.ones(1, 2, 4, 3), torch.tensor([4]))).values
    torch.testing.assert_close(found, torch.full_like(found, (4 * 1 + 3 * 2) / 7))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attend": "row"}, "model.attend=row: must be one of rows, map"),
        ({"max_area": [3, 3]}, r"set model.max_area=\[1,3\] or model.attend=map"),
        ({"max_area": [3]}, r"model.max_area=\[3\]: must be 2 whole numbers from 1 up"),
    ],
)
def test_areas_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        AreaAttention(classes=4, **settings)
