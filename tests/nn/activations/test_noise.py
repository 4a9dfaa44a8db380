"""Activations that draw numbers: one draw for a whole sequence, none in evaluation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sercli.nn.activations import ACTIVATIONS
from sercli.nn.activations.eelu import EELU
from sercli.nn.activations.rrelu import RReLU

NOISY = pytest.mark.parametrize("name", ["eelu", "rrelu"])
STEP = torch.Size((40, 50))


def gain(activation: EELU, shape: torch.Size = STEP) -> Tensor:
    return activation.coefficients(shape)[0]


@NOISY
def test_noise_differs_by_sequence_and_unit_but_not_by_step(name: str) -> None:
    activation = ACTIVATIONS[name]()
    drawn = activation.coefficients(STEP)
    assert drawn[0].shape == STEP
    assert len(set(drawn[0].flatten().tolist())) > 1000
    x = torch.randn(STEP)
    assert torch.equal(activation.formula(x, *drawn), activation.formula(x, *drawn))


@NOISY
def test_noise_is_determined_by_the_seed(name: str) -> None:
    def draw(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return ACTIVATIONS[name]().coefficients(STEP)[0]

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


@NOISY
def test_evaluation_draws_no_noise(name: str) -> None:
    activation = ACTIVATIONS[name]().eval()
    state = torch.get_rng_state()
    x = torch.randn(3, 4)
    torch.set_rng_state(state)
    assert torch.equal(activation(x), activation(x))
    assert torch.equal(torch.get_rng_state(), state)


@NOISY
def test_noise_has_the_dtype_of_the_module(name: str) -> None:
    assert ACTIVATIONS[name]().double().coefficients(STEP)[0].dtype == torch.float64


def test_eelu_alternates_noisy_and_plain_calls_in_training() -> None:
    torch.manual_seed(0)
    activation = EELU()
    assert [gain(activation).shape == STEP for _ in range(6)] == [True, False] * 3
    assert gain(activation).shape == STEP
    assert gain(activation).item() == 1


def test_eelu_alternates_regardless_of_evaluation_in_between() -> None:
    activation = EELU()
    shapes = []
    for _ in range(4):
        shapes.append(gain(activation.train()).shape)
        gain(activation.eval())
    assert shapes == [STEP, (), STEP, ()]


def test_eelu_gain_is_around_one_within_zero_and_two_with_a_spread_per_call() -> None:
    torch.manual_seed(0)
    activation = EELU()
    spreads = []
    for _ in range(200):
        k = gain(activation)
        gain(activation)
        assert k.min() >= 0
        assert k.max() <= 2
        assert k.mean().item() == pytest.approx(1, abs=0.1)
        spreads.append(k.std().item())
    assert min(spreads) < 0.1
    # N(1, 1) cut off at 0 and 2 has a spread of 0.72.
    assert 0.6 < max(spreads) < 0.75


def test_eelu_without_spread_has_no_noise() -> None:
    activation = EELU(epsilon=0.0)
    assert torch.equal(gain(activation), torch.ones(STEP))


def test_eelu_trains_a_and_b_in_plain_calls_only() -> None:
    activation = EELU()
    x = torch.tensor([-1.0, 1.0], requires_grad=True)
    trained = []
    for _ in range(2):
        activation.zero_grad()
        activation(x).sum().backward()
        trained.append((activation.a.grad is not None, activation.b.grad is not None))
    assert trained == [(False, False), (True, True)]


def test_eelu_parameter_below_zero_counts_as_zero_and_can_return() -> None:
    activation = EELU().eval()
    with torch.no_grad():
        activation.a.fill_(-0.5)
    out = activation(torch.tensor(-1.0))
    out.backward()
    assert out == 0
    assert activation.a.grad is not None
    assert activation.a.grad.item() == pytest.approx(-0.6321206)


def test_rrelu_slopes_fill_their_range() -> None:
    torch.manual_seed(0)
    (slope,) = RReLU(lower=0.1, upper=0.5).coefficients(STEP)
    assert slope.min().item() == pytest.approx(0.1, abs=0.01)
    assert slope.max().item() == pytest.approx(0.5, abs=0.01)
    assert slope.mean().item() == pytest.approx(0.3, abs=0.01)
