from __future__ import annotations

from functools import partial

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    both_directions,
    count_parameters,
    gru,
    linear,
    multi_head,
    tiny,
)
from torch import Tensor

from sercli.errors import RequestError

TINY = (
    *("model=cross_attention", "cell=gru", "activation=tanh"),
    *("model.hidden=2", "model.heads=2", "model.dense=3"),
)
THREE = "model.streams=[text,vector]"


def slow(pairs: list[tuple[int, int]], statistics: bool, w: Weights, *streams: Tensor) -> Tensor:
    states = [both_directions(gru, w, f"recurrent.{i}", each) for i, each in enumerate(streams)]
    vectors = torch.stack(
        [
            torch.stack(
                multi_head(w, f"attend.{i}", states[a], states[b], states[b], heads=2)
            ).mean(0)
            for i, (a, b) in enumerate(pairs)
        ]
    )
    joined = vectors.flatten()
    if statistics and len(vectors) > 1:
        away = vectors - vectors.mean(0)
        deviation = (away.square().sum(0) / (len(vectors) - 1)).sqrt()
        joined = torch.cat([vectors.mean(0), deviation])
    return linear(w, "head.1", linear(w, "head.0", joined))


@pytest.mark.parametrize(
    ("settings", "names", "pairs"),
    [
        (["model.attention=cross"], ["text"], [(0, 1), (1, 0)]),
        (["model.attention=self", THREE], ["text", "vector"], [(0, 0), (1, 1), (2, 2)]),
        (
            ["model.attention=cross", THREE, "model.statistics=false"],
            ["text", "vector"],
            [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)],
        ),
        (["model.attention=self", "model.streams=[]"], [], [(0, 0)]),
    ],
)
def test_logits_are_those_of_the_equations_computed_step_by_step(
    settings: list[str], names: list[str], pairs: list[tuple[int, int]]
) -> None:
    statistics = "model.statistics=false" not in settings
    model = tiny(*TINY, *settings)
    assert_logits(model, partial(slow, pairs, statistics), streams=names, filler=1e3)


def test_equal_vectors_have_a_finite_gradient() -> None:
    model = tiny(*TINY, "model.attention=self")
    for value in model.parameters():
        torch.nn.init.zeros_(value)
    assert_logits(model, lambda w, *streams: torch.zeros(4).double(), streams=["text"])


def test_the_models_of_the_paper_have_their_sizes_without_the_convolutions() -> None:
    """Published: 1.65 M and 1.82 M, of which 500 500 + 825 in convolutions."""
    published = ("model=cross_attention", "cell=gru", "activation=tanh")
    sizes = {"inputs": 120, "classes": 7, "text": 300, "video": 2048}
    own, cross = (
        count_parameters(
            *published, f"model.attention={kind}", "model.streams=[text,video]", **sizes
        )
        for kind in ("self", "cross")
    )
    assert (own, cross - own) == (1_144_567, 3 * 58_080)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.heads=3", r"model.heads=3: must divide the 4 features of a state \(2 × model.hid"),
        ("model.streams=[]", "model.attention=cross needs a further stream: set model.streams="),
        ("model.streams=[text,text]", r"model.streams=\[text,text\]: must be a list of names of f"),
        ("model.streams=text", r"model.streams=text: must be a list; write model.streams=\[text\]"),
        (
            "model.streams=[video]",
            "reads the stream 'video': set streams.vi",
        ),
        ("model.attention=both", "model.attention=both: must be one of self, cross"),
    ],
)
def test_settings_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny(*TINY, override)
