from __future__ import annotations

from functools import partial

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    count_parameters,
    gru,
    linear,
    softmax_sum,
    tiny,
)
from torch import Tensor

from sercli.errors import RequestError

TINY = ("model=amh", "cell=gru", "activation=tanh", "model.hidden=[2,3]")
THREE = ("model.streams=[text,vector]", "model.hidden=[2,3,2]", "model.input_dropout=[0,0,0]")


def slow(hops: list[int], w: Weights, *streams: Tensor) -> Tensor:
    states = [gru(w, f"recurrent.{i}", "_l0", each) for i, each in enumerate(streams)]
    summaries = [each[-1] for each in states]
    for n, hop in enumerate(hops):
        others = torch.cat(summaries[:hop] + summaries[hop + 1 :])
        query = linear(w, f"query.{n}", others)
        summaries[hop] = softmax_sum([query @ h for h in states[hop]], states[hop])
    return linear(w, "head", torch.cat(summaries))


@pytest.mark.parametrize(
    ("settings", "names", "hops"),
    [
        ((), ["text"], [1, 0]),
        (("model.hops=[audio,audio,text]",), ["text"], [0, 0, 1]),
        (("model.hops=[]",), ["text"], []),
        ((*THREE, "model.hops=[text,audio,vector,text]"), ["text", "vector"], [1, 0, 2, 1]),
    ],
)
def test_logits_are_those_of_the_equations_computed_step_by_step(
    settings: tuple[str, ...], names: list[str], hops: list[int]
) -> None:
    assert_logits(tiny(*TINY, *settings), partial(slow, hops), streams=names, filler=1e3)


def test_the_published_network_has_the_size_of_its_layers() -> None:
    hops = "model.hops=[video,audio,text,video,audio,text,video]"
    lists = ("model.hidden=[200,200,128]", "model.input_dropout=[0.3,0.7,0.3]")
    published = ("cell=gru_tf", "activation=tanh", "model.streams=[text,video]", hops, *lists)
    sizes = {"inputs": 120, "classes": 7, "text": 300, "video": 2048}
    found = count_parameters("model=amh", *published, **sizes)
    layers = [3 * size * (inputs + size + 1) for inputs, size in ((120, 200), (300, 200))]
    layers.append(3 * 128 * (2048 + 128 + 1))
    queries = 3 * 128 * (400 + 1) + 4 * 200 * (328 + 1)
    assert found == sum(layers) + queries + 7 * (528 + 1)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.hops=[text,video]", "model.hops=video: must be one of audio, text"),
        ("model.hidden=[2]", r"model.hidden=\[2\]: must be 2 whole numbers from 1 up"),
        ("model.input_dropout=[0.3]", r"input_dropout=\[0.3\]: must be 2 numbers, one for each"),
        ("model.input_dropout=[0.3,1]", r"model.input_dropout=1: must be in \[0, 1\)"),
        ("model.streams=[audio]", "'audio' is the name of the main features; choose another name"),
        ("model.streams=[]", r"model.streams=\[\]: must be a list of names of further streams"),
    ],
)
def test_settings_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny(*TINY, override)
