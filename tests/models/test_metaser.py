from __future__ import annotations

from functools import partial

import pytest
import torch
from helpers.reference_models import Weights, assert_logits, count_parameters, linear, lstm, tiny
from torch import Tensor

from sercli.errors import RequestError

PUBLISHED = ("model=metaser", "cell=lstm", "cell.layers=2", "activation=tanh")
TINY = (*PUBLISHED, "model.hidden=3", "model.dense=4")


def slow(window: int, w: Weights, frames: Tensor) -> Tensor:
    if window:
        padding = torch.zeros(max(window - len(frames), 0), frames.shape[1]).double()
        frames = torch.cat([frames[:window], padding])
    first = torch.stack(lstm(w, "recurrent", "_l0", frames))
    last = lstm(w, "recurrent", "_l1", first)[-1]
    return linear(w, "head", linear(w, "dense", last))


@pytest.mark.parametrize("window", [0, 5])
def test_logits_are_those_of_the_equations_computed_step_by_step(window: int) -> None:
    assert_logits(tiny(*TINY, f"model.window={window}"), partial(slow, window), filler=1e3)


def test_it_has_the_published_number_of_parameters() -> None:
    assert count_parameters(*PUBLISHED, inputs=20, classes=4) == 225_924


def test_a_window_below_zero_is_refused() -> None:
    with pytest.raises(RequestError, match=r"model\.window=-1: must be 0 or more"):
        tiny(*TINY, "model.window=-1")
