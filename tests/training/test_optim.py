"""Optimisers and learning rate schedules."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from sercli.config.compose import compose
from sercli.config.schema import Config, OptimConfig, ScheduleConfig
from sercli.errors import RequestError
from sercli.training.data import Data
from sercli.training.folds import make_folds
from sercli.training.optim import Schedule, VectorOptimiser, make_optimiser, parameter_groups
from sercli.training.trainer import train_fold


def rates(schedule: ScheduleConfig, steps: int, dev: dict[int, float] | None = None) -> list[float]:
    """The learning rate of each step, from 1.0, with UA on dev after some of them."""
    optimiser = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    made = Schedule(optimiser, schedule, steps)
    found = []
    for step in range(1, steps + 1):
        found.append(made.lr)
        optimiser.step()
        made.step()
        if dev and step in dev:
            made.evaluated(dev[step])
    return found


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop"])
def test_an_optimiser_is_that_of_torch_with_its_settings(name: str) -> None:
    momentum = {} if name.startswith("adam") else {"momentum": 0.5}
    classes = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop"}
    weights = [nn.Parameter(torch.linspace(-1, 1, 5)) for _ in range(2)]
    settings = OptimConfig(name, lr=0.1, weight_decay=0.3, **momentum)
    own = make_optimiser([weights[0]], settings)
    reference = getattr(torch.optim, classes[name])(
        [weights[1]], lr=0.1, weight_decay=0.3, **momentum
    )
    for _ in range(3):
        for weight, optimiser in zip(weights, (own, reference), strict=True):
            weight.grad = weight.detach() ** 2 + 1
            optimiser.step()
    torch.testing.assert_close(weights[0], weights[1])


def test_a_constant_rate_is_constant() -> None:
    assert rates(ScheduleConfig(), 5) == [1.0] * 5


def test_warm_up_is_linear_and_its_last_step_has_the_full_rate() -> None:
    assert rates(ScheduleConfig(warmup=4), 6) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])
    assert rates(ScheduleConfig(warmup=1), 2) == [1.0, 1.0]


@pytest.mark.parametrize("warmup", [0, 3])
def test_step_cosine_and_linear_follow_their_formulas_after_the_warm_up(warmup: int) -> None:
    warm = [(n + 1) / 3 for n in range(warmup - 1)]
    steps = 12
    after = range(steps - len(warm))
    step = ScheduleConfig("step", warmup, step_size=4, factor=0.5)
    assert rates(step, steps) == pytest.approx(warm + [0.5 ** (n // 4) for n in after])
    cosine = ScheduleConfig("cosine", warmup, min_lr=0.2)
    half = [0.2 + 0.4 * (1 + math.cos(math.pi * n / len(after))) for n in after]
    assert rates(cosine, steps) == pytest.approx(warm + half)
    line = [1 - 0.8 * n / len(after) for n in after]
    assert rates(ScheduleConfig("linear", warmup, min_lr=0.2), steps) == pytest.approx(warm + line)


def test_plateau_reduces_when_dev_has_not_risen_for_more_than_its_patience() -> None:
    schedule = ScheduleConfig("plateau", factor=0.5, patience=1, min_lr=0.3)
    dev = {1: 0.5, 2: 0.6, 3: 0.6, 4: 0.4, 5: 0.5, 6: 0.5, 7: 0.5, 8: 0.5}
    assert rates(schedule, 9, dev) == [1, 1, 1, 1, 0.5, 0.5, 0.3, 0.3, 0.3]


def test_plateau_waits_for_the_end_of_the_warm_up() -> None:
    schedule = ScheduleConfig("plateau", warmup=4, factor=0.5, patience=0)
    falling = {step: 1 / step for step in range(1, 7)}
    assert rates(schedule, 6, falling) == pytest.approx([0.25, 0.5, 0.75, 1, 0.5, 0.25])


@pytest.mark.parametrize(
    "overrides",
    [("optim=sgd", "schedule=cosine", "schedule.warmup=5"), ("optim=rmsprop", "schedule=plateau",
     "schedule.patience=0"), ("optim=adamw", "schedule=step", "schedule.step_size=5")],
)  # fmt: skip
def test_a_fold_is_trained_alike_twice_and_its_history_has_the_rate(
    toy: Data, toy_config: Callable[..., Config], overrides: tuple[str, ...]
) -> None:
    config = toy_config(*overrides, "trainer.steps=10", "trainer.eval_every=5")
    fold = make_folds(toy.manifest, config.protocol)[0]
    one, two = (train_fold(config, toy, fold, seed=1) for _ in range(2))
    assert one.history.equals(two.history)
    trained = one.history[one.history["step"] > 0]
    assert (trained["lr"] <= config.optim.lr).all()
    assert np.isfinite(trained["loss"]).all()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("optim=sgd optim.lr=-1", "optim.lr=-1.0: must be above 0"),
        ("optim=sgd optim.momentum=1", r"optim.momentum=1.0: must be in \[0, 1\)"),
        ("optim.momentum=0.9", "optim.momentum=0.9: adam has no momentum; use optim=sgd"),
        ("schedule=cosine schedule.warmup=9 trainer.steps=8", "must not be above trainer.steps=8"),
        ("schedule=cosine schedule.min_lr=1", "schedule.min_lr=1: must not be above"),
        ("schedule=step schedule.factor=1", "schedule.factor=1.0: must be between 0 and 1"),
        ("schedule.warmup=-1", "schedule.warmup=-1: must be 0 or more"),
        ("optim.encoder_lr=0", "optim.encoder_lr=0.0: must be above 0, or null for optim.lr"),
        ("trainer.accumulate=0", "trainer.accumulate=0: must be 1 or more"),
        ("schedule=plateau protocol.refit=true", "schedule=plateau follows dev UA"),
        ("schedule=cosin", "unknown schedule 'cosin'. Did you mean 'cosine'?"),
        ("optim=adamax", "unknown optim 'adamax'. Did you mean 'adam'?"),
    ],
)  # fmt: skip
def test_settings_that_are_invalid_or_contradict_are_refused(overrides: str, message: str) -> None:
    with pytest.raises(RequestError, match=message.replace("?", r"\?")):
        compose(overrides.split())


def network() -> nn.Module:
    """Parameters of odd sizes, one that is not learned, and a layer that no loss depends on."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"used": nn.Linear(5, 3), "unused": nn.Linear(3, 7)})
    model["frozen"] = nn.Linear(3, 3).requires_grad_(requires_grad=False)
    return model


def loss_of(model: nn.Module, step: int) -> torch.Tensor:
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(step))
    outputs: torch.Tensor = model["frozen"](model["used"](x))  # type: ignore[index]
    return outputs.square().sum() * (step + 1)


@pytest.mark.parametrize("clip_norm", [None, 5.0, 1e6])
def test_steps_are_those_of_torch(clip_norm: float | None) -> None:
    model = network()
    plain = copy.deepcopy(model)
    optimiser = VectorOptimiser(model, OptimConfig(lr=0.01, weight_decay=0.1, clip_norm=clip_norm))
    used = list(plain["used"].parameters())  # type: ignore[index]
    adam = torch.optim.Adam(used, lr=0.01, weight_decay=0.1)

    for step in range(5):
        norm = optimiser.step(loss_of(model, step))
        adam.zero_grad()
        loss_of(plain, step).backward()  # type: ignore[no-untyped-call]
        expected = nn.utils.clip_grad_norm_(used, clip_norm or torch.inf)
        adam.step()
        torch.testing.assert_close(norm.float(), expected)

    for name, value in plain["used"].state_dict().items():  # type: ignore[index]
        torch.testing.assert_close(model.state_dict()[f"used.{name}"], value)


def test_an_encoder_has_a_learning_rate_of_its_own_and_losses_of_a_step_are_averaged() -> None:
    model = nn.ModuleDict({"encoder": network(), "head": nn.Linear(3, 2)})
    plain = copy.deepcopy(model)
    optim = OptimConfig("sgd", lr=0.1, encoder_lr=0.01, clip_norm=None)
    optimiser = VectorOptimiser(model, optim)
    reference = torch.optim.SGD(
        [
            {"params": plain["encoder"]["used"].parameters(), "lr": 0.01},  # type: ignore[index]
            {"params": plain["head"].parameters(), "lr": 0.1},
        ]
    )

    def loss(modules: nn.ModuleDict, batch: int) -> torch.Tensor:
        x = torch.randn(4, 5, generator=torch.Generator().manual_seed(batch))
        hidden = modules["encoder"]["used"](x)  # type: ignore[index]
        found: torch.Tensor = modules["head"](hidden).square().mean()
        return found

    for step in range(2):
        optimiser.accumulate(loss(model, 2 * step))
        optimiser.step(loss(model, 2 * step + 1))
        reference.zero_grad()
        both = loss(plain, 2 * step) + loss(plain, 2 * step + 1)
        (both / 2).backward()  # type: ignore[no-untyped-call]
        reference.step()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value)
    with pytest.raises(RequestError, match=r"encoder_lr=0\.01: the model trains no encoder"):
        parameter_groups(model["head"], optim)


def test_a_step_on_the_mean_of_equal_batches_is_the_step_on_one(
    toy: Data, toy_config: Callable[..., Config]
) -> None:
    given = ("trainer.steps=1", "optim=sgd", "optim.clip_norm=null", "trainer.batch_size=99")
    one, three = (toy_config(*given, f"trainer.accumulate={n}") for n in (1, 3))  # epochs
    fold = make_folds(toy.manifest, one.protocol)[0]
    found, expected = (train_fold(each, toy, fold, seed=0) for each in (three, one))
    for name, value in expected.weights.items():
        np.testing.assert_allclose(found.weights[name], value, atol=1e-6)
    assert found.history["loss"][1] == pytest.approx(expected.history["loss"][1], abs=1e-6)
    small = toy_config(*given[:3], "trainer.batch_size=8", "trainer.accumulate=2")
    assert train_fold(small, toy, fold, seed=0).history["step"].tolist() == [0, 1]


def test_what_no_loss_depends_on_stays_and_is_saved_as_it_is() -> None:
    model = network()
    before = copy.deepcopy(model.state_dict())
    optimiser = VectorOptimiser(model, OptimConfig(lr=0.01))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])

    optimiser.step(loss_of(model, 0))

    moved = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert moved == {"used.weight", "used.bias"}


def test_the_norm_of_enormous_gradients_does_not_overflow() -> None:
    model = nn.Linear(2, 1)
    optimiser = VectorOptimiser(model, OptimConfig(lr=0.01, clip_norm=5.0))

    norm = optimiser.step(model(torch.full((1, 2), 3e30)).sum())

    assert norm.item() == pytest.approx(3e30 * 2**0.5)
    assert optimiser.frozen_weights() == 0
    assert all(parameter.isfinite().all() for parameter in model.parameters())
