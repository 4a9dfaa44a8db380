"""Activations with learned parameters."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn

from sercli.nn.activations.apl import APL
from sercli.nn.activations.comb import Comb
from sercli.nn.activations.pau import PAU
from sercli.nn.activations.snake import Snake

Trained = TypeVar("Trained", bound=nn.Module)
WITHIN_THE_FIT = torch.linspace(-3, 3, 6001, dtype=torch.float64)


def trained(activation: Trained) -> Trained:
    """Fit arbitrary targets with large steps."""
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(activation.parameters(), lr=0.1)
    x = torch.linspace(-3, 3, 50).unsqueeze(-1)
    for _ in range(30):
        optimiser.zero_grad()
        (activation(x) - torch.sin(2 * x) + 2 * x).square().mean().backward()
        optimiser.step()
    return activation


@pytest.mark.parametrize("units", [None, 3])
@pytest.mark.parametrize("basis", ["identity+relu+tanh", "identity+relu", "relu+tanh", "tanh"])
@pytest.mark.parametrize("hull", ["affine", "convex"])
def test_comb_weights_sum_to_one_after_training(hull: str, basis: str, units: int | None) -> None:
    activation = Comb(basis, hull, units=units)
    before = torch.stack(activation.coefficients(torch.Size()))
    weights = torch.stack(trained(activation).coefficients(torch.Size()))
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(weights.shape[1:]))
    assert (weights >= 0).all() or hull == "affine"
    assert torch.allclose(before, weights) == (basis == "tanh")


def test_comb_affine_weights_can_leave_the_convex_hull() -> None:
    assert min(trained(Comb(hull="affine")).coefficients(torch.Size())) < 0


@pytest.mark.parametrize(
    ("init", "denominator", "tolerance"),
    [
        ("leaky_relu", "paper", 0.034),
        ("leaky_relu", "code", 0.034),
        ("tanh", "paper", 0.002),
        ("tanh", "code", 5e-5),
    ],
)
def test_pau_starts_close_to_its_initial_function(
    init: str, denominator: str, tolerance: float
) -> None:
    x = WITHIN_THE_FIT
    goal = torch.tanh(x) if init == "tanh" else nn.functional.leaky_relu(x, 0.01)
    error = (PAU(init, denominator).double()(x) - goal).abs().max().item()
    assert 0.4 * tolerance < error < tolerance


@pytest.mark.parametrize("denominator", ["paper", "code"])
def test_pau_denominator_stays_at_one_or_above(denominator: str) -> None:
    activation = trained(PAU(denominator=denominator)).double()
    with torch.no_grad():
        activation.a.copy_(torch.tensor([1.0, 0, 0, 0, 0, 0]))
        activation.b.copy_(torch.tensor([-3.0, 2.0, -1.0, -0.5]))
    values = activation(torch.linspace(-50, 50, 9999, dtype=torch.float64))
    assert values.max() <= 1
    assert values.min() > 0


@pytest.mark.parametrize("init", ["leaky_relu", "tanh"])
@pytest.mark.parametrize("denominator", ["paper", "code"])
def test_pau_coefficients_all_start_with_a_gradient(init: str, denominator: str) -> None:
    activation = PAU(init, denominator).double()
    activation(torch.linspace(-3, 3, 100, dtype=torch.float64)).exp().sum().backward()
    for parameter in activation.parameters():
        assert parameter.grad is not None
        assert (parameter.grad != 0).all()


def test_apl_is_relu_with_hinges() -> None:
    activation = APL(hinges=2)
    with torch.no_grad():
        activation.a.copy_(torch.tensor([0.5, -1.0]))
        activation.b.copy_(torch.tensor([1.0, -2.0]))
    found = activation(torch.tensor([-3.0, -1.0, 0.0, 0.5, 2.0]))
    # relu(x) + 0.5·max(0, 1 − x) − max(0, −2 − x)
    assert found.tolist() == [1.0, 1.0, 0.5, 0.75, 2.0]


@pytest.mark.parametrize("units", [None, 4000])
def test_apl_hinges_are_drawn_as_published(units: int | None) -> None:
    torch.manual_seed(0)
    activation = APL(hinges=3, units=units)
    assert activation.a.shape == activation.b.shape == (3,) if units is None else (3, units)
    if units is not None:
        assert activation.a.abs().max().item() == pytest.approx(0.2, abs=1e-3)
        assert activation.a.std().item() == pytest.approx(0.2 / 3**0.5, rel=0.05)
        assert activation.b.mean().item() == pytest.approx(0, abs=0.05)
        assert activation.b.std().item() == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("a", [0.0, 1e-12, -1e-12])
def test_snake_frequency_can_cross_zero(a: float) -> None:
    activation = Snake(a)
    x = torch.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    out = activation(x)
    out.sum().backward()
    torch.testing.assert_close(out, x)
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.ones(3))
    # ∂/∂a (x + sin²(ax)/a) tends to x².
    assert activation.a.grad is not None
    assert activation.a.grad.item() == pytest.approx(13)


@pytest.mark.parametrize("of", [Comb, PAU, APL, Snake])
def test_activation_that_does_not_learn_stays_as_it_is(of: Any) -> None:
    activation = of(learn=False)
    before: dict[str, Tensor] = {k: v.clone() for k, v in activation.state_dict().items()}
    trained(nn.Sequential(nn.Linear(1, 1), activation))
    assert all(torch.equal(before[k], v) for k, v in activation.state_dict().items())
