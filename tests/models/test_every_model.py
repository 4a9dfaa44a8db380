"""Properties of every model of ``conf/model``."""

from __future__ import annotations

from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.nodes import node_of
from helpers.reference_models import random_batch, run_with_criterion, select, tiny
from torch import Tensor, nn

from sercli.config.compose import compose
from sercli.models.interface import Turns, as_output
from sercli.nn.cells import CELLS
from sercli.nn.layer import RecurrentLayer
from sercli.resources import packaged

EXHAUSTIVE = pytest.mark.exhaustive
OF_SIX_FEATURES = {
    "ca_mser": ["model.streams=[text,vector]", "model.segments=[4,3,1]"],
    "mdnn": ["model.groups=[[0-1],[2-5]]"],
    "daae": ["model.steps=2"],  # turns of several segments
    "hierarchical": ["model.loudness=fa", "model.silence=0.5", "model.pause=1"],
}


def choices() -> list[str]:
    """The small variant of each model that trains by gradients."""
    files = sorted((packaged("conf") / "model").glob("*_small.yaml"))
    return [path.stem for path in files if "svm" not in path.stem]


def small(
    choice: str, cell: dict[str, Any] | None = None, activation: dict[str, Any] | None = None
) -> nn.Module:
    own = OF_SIX_FEATURES.get(choice.removesuffix("_small"), [])
    return tiny(f"model={choice}", *own, cell=cell, activation=activation)


def everything(model: nn.Module, padding: int = 0, filler: float = 0.0) -> list[Tensor]:
    output, criterion = run_with_criterion(model, random_batch(padding, filler))
    return [output.logits, *(logits for _, logits in criterion.calls)]


MASKED = [name for name in choices() if "repo" not in name]
"""All but those of the official code of IAAN, which reads the padding of context turns."""


@pytest.mark.parametrize("choice", MASKED)
@pytest.mark.parametrize("filler", [pytest.param(0.0, marks=EXHAUSTIVE), 1e150])
def test_padding_changes_neither_logits_nor_gradients(choice: str, filler: float) -> None:
    model = small(choice)
    results = []
    for padding, content in ((0, 0.0), (5, filler)):
        logits = everything(model, padding, content)
        total = torch.stack([each.square().sum() for each in logits]).sum()
        weights = [value for value in model.parameters() if value.requires_grad]
        results.append((logits, torch.autograd.grad(total, weights, materialize_grads=True)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(list(found), list(expected), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("choice", MASKED)
def test_an_example_does_not_see_the_others_of_its_batch(choice: str) -> None:
    model, whole = small(choice), random_batch()
    for row in range(3):
        alone = as_output(model(select(whole, [row]))).logits[0]
        together = as_output(model(whole)).logits[row]
        torch.testing.assert_close(together, alone, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("choice", choices())
def test_a_model_reads_the_turns_before_and_the_streams_that_it_says(choice: str) -> None:
    model, whole = small(choice), random_batch()
    others = replace(whole, own=whole.current, interlocutor=whole.own)
    found, again = (as_output(model(batch)).logits for batch in (whole, others))
    assert torch.equal(found, again) != getattr(model, "uses_context", False)
    for name, turns in whole.streams.items():
        streams = {**whole.streams, name: Turns(turns.frames.flip(0), turns.lengths)}
        again = as_output(model(replace(whole, streams=streams))).logits
        assert torch.equal(found, again) != (name in getattr(model, "streams", ()))


@pytest.mark.parametrize("choice", choices())
def test_every_parameter_learns(choice: str) -> None:
    model = small(choice, activation=node_of("activation", "arelu") | {"alpha": 0.3})
    model.train()
    torch.manual_seed(0)
    output, _ = run_with_criterion(model, random_batch())
    loss = torch.stack([output.logits.square().sum(), *output.losses.values()]).sum()
    names, weights = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
    assert not [n for n, each in zip(names, gradients, strict=True) if (each == 0).all()]


@pytest.mark.parametrize(
    ("choice", "cell"),
    [
        pytest.param(
            *(choice, cell),
            marks=[] if (i - j) % len(CELLS.names()) == 0 else EXHAUSTIVE,
        )
        for i, choice in enumerate(choices())
        for j, cell in enumerate(CELLS.names())
    ],
)
def test_every_recurrent_model_takes_every_cell(choice: str, cell: str) -> None:
    model = small(
        choice, cell=compose([f"cell={cell}"]).cell, activation=node_of("activation", "relu")
    )
    layers = [module for module in model.modules() if isinstance(module, RecurrentLayer)]
    assert {type(layer) for layer in layers} <= {CELLS[cell]}
    assert bool(layers) == ("new_cell" in signature(type(model)).parameters)
    assert all(logits.isfinite().all() for logits in everything(model))


@pytest.mark.parametrize("choice", choices())
def test_the_activation_reaches_every_recurrent_layer(choice: str) -> None:
    model = small(choice, activation=node_of("activation", "softsign"))
    for module in model.modules():
        if isinstance(module, RecurrentLayer):
            kinds = {type(each).__name__.casefold() for each in module.activations.values()}
            assert kinds == {"softsign"}


@pytest.mark.parametrize("choice", choices())
def test_every_model_has_a_size_of_its_own_and_a_small_one(choice: str) -> None:
    folder: Path = packaged("conf") / "model"
    assert (folder / f"{choice.removesuffix('_small')}.yaml").is_file()
