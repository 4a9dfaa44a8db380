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
def test_each_sequence_and_unit_has_a_draw_that_does_not_change_along_time(name: str) -> None:
    activation = ACTIVATIONS[name]()
    drawn = activation.coefficients(STEP)
    assert drawn[0].shape == STEP
    assert len(set(drawn[0].flatten().tolist())) > 1000
    x = torch.randn(STEP)
    assert torch.equal(activation.formula(x, *drawn), activation.formula(x, *drawn))


@NOISY
def test_the_seed_decides_what_is_drawn(name: str) -> None:
    def draw(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return ACTIVATIONS[name]().coefficients(STEP)[0]

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


@NOISY
def test_evaluation_draws_nothing(name: str) -> None:
    activation = ACTIVATIONS[name]().eval()
    state = torch.get_rng_state()
    x = torch.randn(3, 4)
    torch.set_rng_state(state)
    assert torch.equal(activation(x), activation(x))
    assert torch.equal(torch.get_rng_state(), state)


@NOISY
def test_what_is_drawn_is_in_the_precision_of_the_module(name: str) -> None:
    assert ACTIVATIONS[name]().double().coefficients(STEP)[0].dtype == torch.float64


def test_eelu_alternates_noisy_and_plain_calls_in_training() -> None:
    torch.manual_seed(0)
    activation = EELU()
    assert [gain(activation).shape == STEP for _ in range(6)] == [True, False] * 3
    assert gain(activation).shape == STEP
    assert gain(activation).item() == 1


def test_evaluation_in_between_does_not_disturb_the_alternation() -> None:
    activation = EELU()
    shapes = []
    for _ in range(4):
        shapes.append(gain(activation.train()).shape)
        gain(activation.eval())
    assert shapes == [STEP, (), STEP, ()]


def test_the_gain_of_eelu_lies_around_one_between_zero_and_two_with_a_spread_drawn_per_call() -> (
    None
):
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


def test_without_a_spread_every_call_of_eelu_is_plain() -> None:
    activation = EELU(epsilon=0.0)
    assert torch.equal(gain(activation), torch.ones(STEP))


def test_a_noisy_call_trains_neither_number_of_eelu_and_a_plain_one_both() -> None:
    activation = EELU()
    x = torch.tensor([-1.0, 1.0], requires_grad=True)
    trained = []
    for _ in range(2):
        activation.zero_grad()
        activation(x).sum().backward()
        trained.append((activation.a.grad is not None, activation.b.grad is not None))
    assert trained == [(False, False), (True, True)]


def test_a_number_of_eelu_below_zero_counts_as_zero_and_can_come_back() -> None:
    activation = EELU().eval()
    with torch.no_grad():
        activation.a.fill_(-0.5)
    out = activation(torch.tensor(-1.0))
    out.backward()
    assert out == 0
    assert activation.a.grad is not None
    assert activation.a.grad.item() == pytest.approx(-0.6321206)


def test_the_slopes_of_rrelu_fill_their_range() -> None:
    torch.manual_seed(0)
    (slope,) = RReLU(lower=0.1, upper=0.5).coefficients(STEP)
    assert slope.min().item() == pytest.approx(0.1, abs=0.01)
    assert slope.max().item() == pytest.approx(0.5, abs=0.01)
    assert slope.mean().item() == pytest.approx(0.3, abs=0.01)
