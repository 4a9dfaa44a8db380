"""What the history says about stability: states, gradients, the numbers of activations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.toy import batch_of
from torch import nn
from torch.nn import functional as F

from sercli.config.schema import Config
from sercli.nn import GRU, run_parallel
from sercli.results.fold_result import FoldResult
from sercli.results.folds import Fold
from sercli.training.batches import collate, targets, training_batches
from sercli.training.caveats import frozen_caveat
from sercli.training.data import Data
from sercli.training.folds import make_folds
from sercli.training.monitoring import activation_numbers, watched_states
from sercli.training.trainer import train_fold
from sercli.training.validate import new_model

CPU = torch.device("cpu")
ALPHA = "activation/current.activations.l0.alpha"
BETA = "activation/own.cell.activations.l0.beta"
AR_GRU = ("activation=arelu", "arelu.alpha=0.2", "arelu.beta=1.5")


@pytest.fixture(name="fold", scope="module")
def _fold(toy: Data, toy_config: Callable[..., Config]) -> Fold:
    return make_folds(toy.manifest, toy_config().protocol)[0]


@pytest.fixture(name="result", scope="module")
def _result(toy: Data, toy_config: Callable[..., Config], fold: Fold) -> FoldResult:
    return train_fold(toy_config(*AR_GRU), toy, fold, seed=0)


def trained(config: Config, data: Data, result: FoldResult) -> nn.Module:
    """The model at the selected step."""
    model = new_model(config, data)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in result.weights.items()})
    return model.eval()


def activation_columns(result: FoldResult) -> list[str]:
    return [name for name in map(str, result.history) if name.startswith("activation/")]


def test_the_largest_state_is_that_of_every_layer_on_dev_and_test(
    toy: Data, toy_config: Callable[..., Config], fold: Fold
) -> None:
    config = toy_config(*AR_GRU, "trainer.steps=6", "trainer.eval_every=6")
    result = train_fold(config, toy, fold, seed=0)

    model = trained(config, toy, result)
    largest = []
    for name in fold.dev + fold.test:
        batch = batch_of([name], toy)
        for layer, turns in (
            ("current", batch.current),
            ("own.cell", batch.own),
            ("interlocutor.cell", batch.interlocutor),
        ):
            states, _ = model.get_submodule(layer)(turns.frames)
            largest.append(states.abs().max().item())

    assert result.history["max_state"].iloc[-1] == pytest.approx(max(largest), rel=1e-5)


@pytest.mark.parametrize("clip_norm", ["null", "0.001", "1e6"])
def test_the_norm_of_the_gradient_is_that_before_clipping(
    toy: Data, toy_config: Callable[..., Config], fold: Fold, clip_norm: str
) -> None:
    config = toy_config("trainer.steps=1", f"optim.clip_norm={clip_norm}")
    result = train_fold(config, toy, fold, seed=0)

    random = np.random.default_rng([0, *fold.name.encode()])
    torch.manual_seed(int(random.integers(2**62)))
    model = new_model(config, toy)
    train, size = toy.packed.rows(fold.train), config.trainer.batch_size
    rows = train[next(training_batches(toy.packed.lengths[train], size, random))]
    logits = model(collate(rows, toy.packed, CPU))
    loss = F.cross_entropy(logits, targets(rows, toy.packed, CPU), label_smoothing=0.1)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    squares = sum(gradient.square().sum().item() for gradient in gradients)

    assert result.history["grad_norm"].iloc[-1] == pytest.approx(math.sqrt(squares), rel=1e-5)


def test_the_largest_norm_is_that_since_the_evaluation_before(
    toy: Data, toy_config: Callable[..., Config], fold: Fold
) -> None:
    norms = {}
    for every in (1, 3):
        config = toy_config("trainer.steps=6", f"trainer.eval_every={every}", *AR_GRU)
        norms[every] = train_fold(config, toy, fold, seed=0).history.iloc[1:]

    each = norms[1]["grad_norm"].to_numpy().reshape(2, 3)
    assert norms[3]["max_grad_norm"].tolist() == each.max(axis=1).tolist()
    assert norms[3]["grad_norm"].tolist() == each[:, -1].tolist()
    assert (each.argmax(axis=1) != 2).any()  # else the two are one


def test_weights_whose_second_moment_is_infinite_are_counted(
    toy: Data, toy_config: Callable[..., Config], fold: Fold
) -> None:
    steps = ("trainer.steps=2", "trainer.eval_every=2", "optim.clip_norm=null")
    plain, huge = toy_config(*steps), toy_config(*steps, "model.head_l2=1e30")

    sound, frozen = (train_fold(config, toy, fold, seed=0) for config in (plain, huge))

    assert (sound.history["frozen_weights"].iloc[1:] == 0).all()
    assert frozen_caveat([sound]) is None
    head = {name: value.size for name, value in frozen.weights.items() if "head" in name}
    linear = sum(size for name, size in head.items() if not name.startswith("head.2"))
    share = frozen.history["frozen_weights"].iloc[-1]
    assert share == linear / sum(value.size for value in frozen.weights.values())
    caveat = frozen_caveat([sound, frozen])
    assert caveat is not None
    assert f"in fold {fold.name} (seed 0)" in caveat
    assert f"{100 * share:.2g} %" in caveat


def test_alpha_and_beta_start_as_configured_and_end_as_in_the_weights(result: FoldResult) -> None:
    history = result.history.set_index("step")

    assert len(activation_columns(result)) == 6  # α and β of three encoders
    start = history.loc[0]
    for name in activation_columns(result):
        assert start[name] == pytest.approx(0.2 if name.endswith("alpha") else 1.5)
    selected = history.loc[result.selected_step]
    for name in activation_columns(result):
        assert selected[name] == result.weights[name.removeprefix("activation/")]
    assert (selected[[ALPHA, BETA]] != start[[ALPHA, BETA]]).all()


def test_only_the_start_and_a_divergence_lack_measures(result: FoldResult) -> None:
    missing = result.history.isna()

    assert missing.any(axis=1).tolist() == [True] + [False] * 4
    of_steps = {"loss", "grad_norm", "max_grad_norm", "frozen_weights"}
    assert set(missing.columns[missing.iloc[0]]) == of_steps
    assert pd.api.types.is_integer_dtype(result.history["step"])


@pytest.mark.parametrize(
    ("settings", "columns"),
    [
        (("activation=tanh",), set()),
        (("activation=arelu", "arelu.learn=false"), set()),
        (("activation=arelu", "arelu.share=model"), {"l0.alpha", "l0.beta"}),
        (
            ("activation=arelu", "arelu.share=direction"),
            {"l0.alpha", "l0.beta", "l0_reverse.alpha", "l0_reverse.beta"},
        ),
        (
            ("activation=arelu", "arelu.per_unit=true"),
            {f"l0.{name}.{of}" for name in ("alpha", "beta") for of in ("mean", "min", "max")},
        ),
        (
            ("activation=pau",),
            {f"l0.a.{i}" for i in range(6)} | {f"l0.b.{i}" for i in range(4)},
        ),
        (
            ("activation=pau", "activation.per_unit=true"),
            {f"l0.a.{i}.{of}" for i in range(6) for of in ("mean", "min", "max")}
            | {f"l0.b.{i}.{of}" for i in range(4) for of in ("mean", "min", "max")},
        ),
    ],
)
def test_every_number_that_an_activation_learns_has_a_name(
    toy: Data, toy_config: Callable[..., Config], settings: tuple[str, ...], columns: set[str]
) -> None:
    config = toy_config(*settings)

    per_unit = config.activation.get("per_unit", False)
    numbers = activation_numbers(new_model(config, toy), per_unit=per_unit)

    prefix = "activation/current.activations."
    found = {name.removeprefix(prefix) for name in numbers if name.startswith(prefix)}
    assert found == columns


def test_a_number_that_all_layers_share_is_recorded_once(
    toy: Data, toy_config: Callable[..., Config]
) -> None:
    config = toy_config("activation=arelu", "arelu.share=model")

    assert set(activation_numbers(new_model(config, toy))) == {
        ALPHA,
        ALPHA.replace("alpha", "beta"),
    }


def test_of_numbers_per_unit_mean_smallest_and_largest_are_recorded(
    toy: Data, toy_config: Callable[..., Config]
) -> None:
    model = new_model(toy_config("activation=arelu", "arelu.per_unit=true"), toy)
    alpha = model.get_parameter("current.activations.l0.alpha")
    with torch.no_grad():
        alpha.copy_(torch.tensor([0.1, 0.2, 0.3, 0.8]))

    numbers = activation_numbers(model, per_unit=True)

    found = [numbers[f"{ALPHA}.{which}"] for which in ("mean", "min", "max")]
    assert found == pytest.approx([0.35, 0.1, 0.8])


def test_inner_levels_and_layers_that_run_together_are_watched_too() -> None:
    deep, other = GRU(3, 4, num_layers=2, activation="relu"), GRU(3, 2, activation="relu")
    with torch.no_grad():
        deep.get_parameter("weight_ih_l0").mul_(50)
        for name, parameter in deep.named_parameters():
            if name.endswith("l1"):
                parameter.zero_()
    steps = torch.randn(5, 2, 3, generator=torch.manual_seed(0))
    inner = GRU(3, 4, activation="relu")
    inner.load_state_dict({name: deep.state_dict()[name] for name in inner.state_dict()})
    expected = inner(steps)[0].abs().max().item()
    assert expected > other(steps)[0].abs().max()

    with watched_states(nn.ModuleList([deep, other])) as seen:
        (shown, _), _ = run_parallel([deep.stack_pass(steps), other.stack_pass(steps)])

    assert seen.value == pytest.approx(expected)
    assert shown.abs().max() < expected


def test_a_layer_is_watched_within_the_block_only() -> None:
    layer = GRU(3, 2)

    with watched_states(layer) as seen:
        assert layer.on_states
        layer(torch.ones(4, 3))
    within = seen.value
    layer(100 * torch.ones(4, 3))

    assert seen.value == within > 0
    assert not layer.on_states


def test_padding_is_not_watched_and_a_state_that_is_not_finite_is_seen_as_it_is() -> None:
    layer = GRU(3, 2, activation="relu")
    steps = torch.ones(4, 1, 3)
    steps[2:] = torch.nan

    with watched_states(layer) as seen:
        assert math.isnan(seen.value)  # nothing was seen
        layer(steps, lengths=[2])
        assert math.isfinite(seen.value)
        layer(steps, lengths=[3])
        layer(torch.ones(4, 1, 3))
        assert math.isnan(seen.value)


def test_the_watching_changes_no_prediction(
    toy: Data, toy_config: Callable[..., Config], fold: Fold
) -> None:
    model = new_model(toy_config(*AR_GRU), toy).eval()
    batch = batch_of(fold.test, toy)

    bare = model(batch)
    with watched_states(model):
        assert torch.equal(model(batch), bare)
