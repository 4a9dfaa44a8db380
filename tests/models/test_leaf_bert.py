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
    random_batch,
    run_with_criterion,
    softmax_sum,
    tiny,
    transformer_layer,
)
from torch import Tensor

from sercli.errors import RequestError

TINY = (
    *("model=leaf_bert", "cell=gru", "activation=tanh", "model.hidden=[2,3]", "model.size=4"),
    *("model.heads=2", "model.feedforward=5", "model.layers=2"),
)


def context(w: Weights, name: str, turns: Tensor) -> list[Tensor]:
    """Stage 2: a vector of each turn."""
    states = torch.stack(both_directions(gru, w, f"{name}.recurrent", turns))
    directions = []
    for i, part in enumerate(states.chunk(2, dim=1)):
        keys = [linear(w, f"{name}.keys.{i}", each) for each in part]
        directions.append([softmax_sum([own @ each for each in keys], keys) for own in keys])
    return [torch.cat(pair) for pair in zip(*directions, strict=True)]


def slow(order: list[int], w: Weights, *streams: Tensor) -> Tensor:
    sequence = []
    ends = []
    for i in order:
        turns = context(w, f"stages.{i}", streams[i])
        sequence += [linear(w, f"project.{i}", each) for each in turns]
        ends.append(len(sequence) - 1)
    for n in range(2):
        x = sequence
        sequence = transformer_layer(w, f"layers.{n}", x, x, x, x, heads=2)
    return linear(w, "head", torch.cat([sequence[end] for end in ends]))


@pytest.mark.parametrize(
    ("settings", "names", "order"),
    [((), ["text"], [1, 0]), (("model.streams=[]", "model.hidden=[2]"), [], [0])],
)
def test_logits_are_those_of_the_equations_computed_turn_by_turn(
    settings: tuple[str, ...], names: list[str], order: list[int]
) -> None:
    assert_logits(tiny(*TINY, *settings), partial(slow, order), streams=names, filler=1e3)


def test_the_classifiers_of_stage_2_are_auxiliary() -> None:
    output, criterion = run_with_criterion(tiny(*TINY, "model.stage_weight=0.5"), random_batch())
    assert list(output.losses) == ["stage_audio", "stage_text"]
    assert [column for column, _ in criterion.calls] == ["label", "label"]
    for loss, (_, logits) in zip(output.losses.values(), criterion.calls, strict=True):
        torch.testing.assert_close(loss, 0.5 * logits.square().sum())
    assert run_with_criterion(tiny(*TINY, "model.stage_weight=0"), random_batch())[0].losses == {}


def test_the_published_transformer_has_the_size_of_its_layers() -> None:
    """Three layers of BERT, 120 wide, with 3 072 hidden units."""
    layer = 4 * 120 * 121 + 2 * 120 * 3072 + 3072 + 120 + 4 * 120
    sizes = {"inputs": 100, "classes": 4, "text": 200}
    whole, less = (
        count_parameters("model=leaf_bert", "activation=tanh", f"model.layers={n}", **sizes)
        for n in (3, 2)
    )
    assert whole - less == layer


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.heads=3", "model.heads=3: must divide model.size=4"),
        ("model.hidden=[2]", r"model.hidden=\[2\]: must be 2 whole numbers"),
        ("model.stage_weight=-1", "model.stage_weight=-1: must be 0 or more"),
        ("model.streams=[text,vector]", r"model.streams=\[text,vector\]: must be a list of"),
    ],
)
def test_settings_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny(*TINY, override)
