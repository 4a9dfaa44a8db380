from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    convolved,
    linear,
    random_batch,
    tiny,
)
from torch import Tensor

from sercli.errors import RequestError
from sercli.models.mscnn_spu import MultiscaleStatistics

TINY = (
    *("model=mscnn_spu", "model.kernels=[1,2,9]", "model.filters=3", "model.dense_units=4"),
    "model.dropout=0",
)


def slow(w: Weights, frames: Tensor) -> Tensor:
    w = {name: x.unsqueeze(-1) if x.dim() == 3 else x for name, x in w.items()}
    pooled = []
    for i in range(3):
        x = convolved(w, f"convolutions.{i}", frames.T.unsqueeze(-1)).squeeze(-1).clamp(min=0)
        away = (x - x.mean(1, keepdim=True)).square().mean(1).clamp(min=1e-12).sqrt()
        pooled += [x.max(dim=1).values, x.mean(dim=1), away]
    return linear(w, "head.1", linear(w, "head.0.0", torch.cat(pooled)).clamp(min=0))


def test_logits_are_those_of_the_equations_for_turns_shorter_than_a_kernel_too() -> None:
    assert min(random_batch().current.lengths) < 9
    assert_logits(tiny(*TINY), slow)


def test_it_has_the_published_size() -> None:
    model: Any = MultiscaleStatistics(inputs=96, classes=4)
    assert sum(each.numel() for each in model.convolutions.parameters()) == 393_728
    assert model.head[0][0].in_features == 1536


def test_statistics_are_those_that_are_asked_for() -> None:
    model: Any = network(["std", "max"])
    assert model.head[0][0].in_features == 3 * 3 * 2
    for statistics in ([], ["max", "max"]):
        with pytest.raises(RequestError, match="some of max, mean, std, each once"):
            network(statistics)
    with pytest.raises(RequestError, match=r"statistics=min: must be one of max, mean, std"):
        network(["min"])


def network(statistics: list[str]) -> MultiscaleStatistics:
    sizes: dict[str, Any] = {"kernels": [1, 2, 9], "filters": 3, "dense_units": 4}
    return MultiscaleStatistics(inputs=6, classes=4, statistics=statistics, **sizes)
