"""A short run of every activation and every cell, as `sercli train` makes it, in both backends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from helpers.nodes import node_of

from sercli.config.compose import list_choices
from sercli.config.schema import Config
from sercli.nn.recurrence.backend import use_backend
from sercli.training.data import Data
from sercli.training.folds import make_folds
from sercli.training.trainer import train_fold

ACTIVATIONS = [choice.name for choice in list_choices("activation")]
CELLS = [choice.name for choice in list_choices("cell")]
DAILY = {
    (CELLS[i % len(CELLS)], activation, ("auto", "eager")[i // len(CELLS) % 2])
    for i, activation in enumerate(ACTIVATIONS)
}
"""Every activation once, every cell in both backends."""
PAIRS = {("gru", name) for name in ACTIVATIONS} | {(name, "pau") for name in CELLS}
EXHAUSTIVE = {(*pair, backend) for pair in PAIRS for backend in ("auto", "eager")} - DAILY
CASES = [
    *sorted(DAILY),
    *(pytest.param(*case, marks=pytest.mark.exhaustive) for case in sorted(EXHAUSTIVE)),
]


@pytest.fixture(autouse=True)
def _automatic() -> Iterator[None]:
    yield
    use_backend("auto")


@pytest.mark.parametrize(("cell", "activation", "backend"), CASES)
def test_a_short_run_trains_and_is_finite(
    toy: Data, toy_config: Callable[..., Config], cell: str, activation: str, backend: str
) -> None:
    config = toy_config(
        f"cell={cell}",
        f"recurrence.backend={backend}",
        "trainer.steps=2",
        "trainer.eval_every=1",
        "optim.lr=0.003",
    )
    config = replace(config, activation=node_of("activation", activation))
    result = train_fold(config, toy, make_folds(toy.manifest, config.protocol)[0], seed=0)
    assert result.diverged_at is None
    assert list(result.history["step"]) == [0, 1, 2]
    assert result.history["loss"].dropna().between(0, 10).all()
    learned = [name for name in map(str, result.history) if name.startswith("activation/")]
    assert bool(learned) == ("learn" in config.activation)


@pytest.mark.parametrize("share", ["direction", "layer", "model"])
@pytest.mark.parametrize("per_unit", ["false", "true"])
def test_what_is_learned_can_be_shared_in_every_way(
    toy: Data, toy_config: Callable[..., Config], share: str, per_unit: str
) -> None:
    config = toy_config(
        "activation=arelu",
        f"arelu.share={share}",
        f"arelu.per_unit={per_unit}",
        "cell.layers=2",
        "trainer.steps=2",
        "trainer.eval_every=2",
    )
    result = train_fold(config, toy, make_folds(toy.manifest, config.protocol)[0], seed=0)
    alphas = [
        name
        for name in map(str, result.history)
        if name.startswith("activation/") and "alpha" in name
    ]
    levels, encoders, directions = 2, 3, 4  # the current encoder has two directions
    expected = {"direction": levels * directions, "layer": levels * encoders, "model": 1}[share]
    assert len(alphas) == expected * (3 if per_unit == "true" else 1)
