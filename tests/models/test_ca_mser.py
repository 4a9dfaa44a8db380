from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.reference_models import (
    CLASSES,
    Weights,
    assert_logits,
    both_directions,
    count_parameters,
    linear,
    lstm,
    softmax_sum,
    tiny,
    weights_of,
)
from torch import Tensor
from torch.nn import functional as F

from sercli.errors import RequestError
from sercli.models.interface import Batch, Turns

TINY = (
    *("model=ca_mser", "cell=lstm", "activation=tanh", "model.streams=[vector,text]"),
    *("model.image=[64,63]", "model.filters=[1,2,1,2,1]", "model.hidden=2", "model.dense=3"),
)
ONE = "model.segments=[7,1,5]"
"""A segment holds the longest turn."""


def dense(w: Weights, name: str, x: Tensor) -> Tensor:
    return linear(w, f"{name}.1", x).clamp(0)


def padded(steps: Tensor, length: int) -> Tensor:
    return torch.cat([steps, torch.zeros(length - len(steps), steps.shape[1]).double()])


def slow(
    w: Weights, *streams: Tensor, sizes: tuple[int, ...] = (7, 1, 5), softmax: bool = False
) -> Tensor:
    """The logits of one segment."""
    spectrum, cepstra, encoded = streams
    x = F.interpolate(padded(spectrum, sizes[0])[None, None], [64, 63], mode="bilinear")
    for i, place in enumerate((0, 3, 6, 8, 10)):
        settings = {"stride": 4, "padding": 2} if i == 0 else {"padding": 2 if i == 1 else 1}
        kernel, bias = w[f"convolve.{place}.weight"], w[f"convolve.{place}.bias"]
        x = F.conv2d(x, kernel, bias, **settings).clamp(0)
        x = F.max_pool2d(x, 3, 2) if i in (0, 1, 4) else x
    states = padded(torch.stack(both_directions(lstm, w, "recurrent", cepstra)), sizes[1])
    maps = F.adaptive_avg_pool2d(x, 6).flatten()
    heard = torch.cat([dense(w, "of_spectrum", maps), dense(w, "of_cepstra", states.flatten())])
    scores = linear(w, "weigh.1", heard)
    if softmax:
        summed = softmax_sum(list(scores[: len(encoded)]), list(encoded))
    else:
        summed = torch.stack([s.clamp(0) * e for s, e in zip(scores, encoded, strict=False)]).sum(0)
    joined = torch.cat([heard, dense(w, "of_encoder", summed)])
    return linear(w, "head.2", dense(w, "head.1", dense(w, "head.0", joined)))


@pytest.mark.parametrize("softmax", [False, True])
def test_log_probabilities_of_a_segment_are_those_of_the_equations(softmax: bool) -> None:
    model = tiny(*TINY, ONE, f"model.frame_weights={'softmax' if softmax else 'relu'}")
    assert_logits(
        model,
        lambda w, *streams: slow(w, *streams, softmax=softmax).log_softmax(0),
        streams=["vector", "text"],
        filler=1e3,
    )


def test_the_log_probabilities_of_segments_are_averaged() -> None:
    model, sizes = tiny(*TINY, "model.segments=[4,2,3]"), (4, 2, 3)
    random = torch.Generator().manual_seed(0)
    lengths = [[9, 4], [6, 2], [7, 1]]  # of the main features and both streams
    streams = [
        Turns(torch.randn(2, max(own) + 1, size, generator=random).double(), torch.tensor(own))
        for own, size in zip(lengths, (6, 4, 5), strict=True)
    ]
    main, vector, text = streams
    found = model(Batch(main, main, main, streams={"vector": vector, "text": text}))
    for row, count in enumerate((3, 1)):
        turns = [each.frames[row, : each.lengths[row]] for each in streams]
        segments = [
            [each[n * size : (n + 1) * size] for each, size in zip(turns, sizes, strict=True)]
            for n in range(count)
        ]
        each = [slow(weights_of(model), *s, sizes=sizes).log_softmax(0) for s in segments]
        torch.testing.assert_close(found[row], torch.stack(each).mean(0))
    assert found.shape == (2, CLASSES)


def test_the_published_network_has_23_million_parameters_without_its_convolutions() -> None:
    """Their segments have 149 frames of the encoder, their images three channels."""
    sizes: dict[str, Any] = {"inputs": 200, "classes": 4, "mfcc": 40, "w2v2": 768}
    published = ("cell=lstm", "cell.layers=2", "cell.dropout=0.5", "activation=tanh")
    found = count_parameters("model=ca_mser", *published, "model.segments=[300,300,149]", **sizes)
    convolutions = 2_469_696 - 2 * 64 * 11 * 11
    assert round((found - convolutions) / 1e5) == 232


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.segments=[300]", r"model.segments=\[300\]: must be 3 whole numbers from 1 up"),
        ("model.streams=[text]", r"model.streams=\[text\]: must be a list of 2 names? of further"),
        ("model.image=[0,1]", r"model.image=\[0, 1\]: must be 2 whole numbers"),
        ("model.frame_weights=all", "model.frame_weights=all: must be one of relu, softmax"),
    ],
)
def test_settings_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny(*TINY, override)
