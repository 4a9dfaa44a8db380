from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sercli.errors import RequestError
from sercli.nn import AReLU

numbers = st.floats(-20, 20)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def value(module: AReLU, x: float) -> float:
    return float(module(torch.tensor(x, dtype=torch.float64)).detach())


@given(x=numbers, alpha=st.floats(0.01, 0.99), beta=st.floats(-6, 6))
@settings(deadline=None)
def test_arelu_equals_its_definition(x: float, alpha: float, beta: float) -> None:
    expected = max(x, 0.0) * (1 + sigmoid(beta)) - max(-x, 0.0) * alpha
    assert value(AReLU(alpha, beta).double(), x) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(xs=st.lists(numbers, min_size=1, max_size=20), beta=st.floats(-6, 6))
@settings(deadline=None)
def test_gradients_of_alpha_and_beta_are_the_stated_sums(xs: list[float], beta: float) -> None:
    module = AReLU(0.5, beta).double()
    x = torch.tensor(xs, dtype=torch.float64)
    g = torch.linspace(-1, 2, len(xs), dtype=torch.float64)
    (g * module(x)).sum().backward()
    slope = sigmoid(module.beta.item()) * (1 - sigmoid(module.beta.item()))
    assert module.beta.grad is not None
    assert module.alpha.grad is not None
    assert module.beta.grad.item() == pytest.approx(float((g * x * slope)[x > 0].sum()), abs=1e-9)
    assert module.alpha.grad.item() == pytest.approx(float((g * x)[x < 0].sum()), abs=1e-9)


@pytest.mark.parametrize("alpha", [0.001, 1.5])
def test_alpha_outside_its_clamp_counts_as_the_bound_without_gradient(alpha: float) -> None:
    module = AReLU(0.5, 1.0)
    with torch.no_grad():
        module.alpha.fill_(alpha)
    out = module(torch.tensor(-2.0))
    out.backward()
    assert out.item() == pytest.approx(-2 * min(max(alpha, 0.01), 0.99))
    assert module.alpha.grad == 0


@pytest.mark.parametrize("alpha", [0.01, 0.99])
def test_alpha_on_a_bound_learns(alpha: float) -> None:
    module = AReLU(alpha, 1.0)
    module(torch.tensor(-2.0)).backward()
    assert module.alpha.grad == -2


@pytest.mark.parametrize("bound", [0.01, 0.3, 0.9, 0.99])
@pytest.mark.parametrize("default", [torch.float32, torch.float64], ids=["single", "double"])
def test_alpha_on_a_bound_learns_in_double_precision(bound: float, default: torch.dtype) -> None:
    # 0.01 in single precision, read in double, is a little less than 0.01; 0.3 is more.
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        lowest = AReLU(bound, alpha_min=bound).double()
        highest = AReLU(bound, alpha_max=bound).double()
    finally:
        torch.set_default_dtype(before)
    for module in (lowest, highest):
        module(torch.tensor(-2.0, dtype=torch.float64)).backward()
        assert module.alpha.grad == -2


def test_alpha_below_its_clamp_is_frozen() -> None:
    module = AReLU(0.01, 1.0)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    seen = []
    for _ in range(3):
        optimiser.zero_grad()
        (-module(torch.tensor(-1.0))).backward()
        optimiser.step()
        seen.append(module.alpha.item())
    assert seen == pytest.approx([-0.09] * 3)


def test_arelu_that_does_not_learn_keeps_its_parameters_in_the_state_dict() -> None:
    module = AReLU(0.3, 1.5, learn=False)
    x = torch.ones(2, requires_grad=True)
    module(x).sum().backward()
    assert module.alpha.grad is None
    assert module.beta.grad is None
    assert {name: round(float(v), 6) for name, v in module.state_dict().items()} == {
        "alpha": 0.3,
        "beta": 1.5,
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"alpha": float("nan")},
        {"alpha": 0.5, "alpha_min": 0.9, "alpha_max": 0.1},
    ],
)
def test_alpha_outside_its_clamp_is_refused_with_the_remedy(
    settings: dict[str, Any],
) -> None:
    with pytest.raises(RequestError, match=r"activation\.alpha=.* outside its clamp .*alpha_min"):
        AReLU(**settings)


def test_variant_two_of_the_ar_gru_starts_with_alpha_zero() -> None:
    assert value(AReLU(alpha=0.0, beta=2.0, alpha_min=0.0), -3.0) == 0


def test_defaults_of_arelu_are_those_of_chen_et_al() -> None:
    module = AReLU()
    assert value(module, -1.0) == pytest.approx(-0.9)
    assert value(module, 1.0) == pytest.approx(1 + sigmoid(2.0))
    assert AReLU(alpha=0.01).alpha.requires_grad
    for outside in (0.0099, 0.9901):
        with pytest.raises(RequestError):
            AReLU(alpha=outside)


def test_arelu_has_two_scalar_parameters() -> None:
    assert [tuple(p.shape) for p in AReLU().parameters()] == [(), ()]


def test_repr_of_arelu_shows_its_parameters_or_their_means() -> None:
    assert repr(AReLU(alpha=0.01, beta=1.0)) == "AReLU(alpha=0.01, beta=1)"
    assert repr(AReLU(alpha=0.01, beta=1.0, units=3)) == "AReLU(alpha=0.01, beta=1)"
