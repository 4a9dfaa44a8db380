"""Properties of every activation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.fx import Graph, GraphModule, Proxy
from torch.fx.proxy import GraphAppendingTracer

from sercli.nn.activations import ACTIVATIONS, Activation

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ACTIVATIONS.names()),
    ("comb", {"basis": "relu+tanh", "hull": "convex"}),
    ("comb", {"basis": "tanh"}),
    ("pau", {"denominator": "code"}),
    ("pau", {"init": "tanh"}),
    ("pau", {"init": "tanh", "denominator": "code"}),
    ("snake", {"a": 0.0}),
]
EVERY_VARIANT = pytest.mark.parametrize(
    ("name", "settings"), VARIANTS, ids=[" ".join([n, *map(str, s.values())]) for n, s in VARIANTS]
)
LEARNED = [
    n for n in ACTIVATIONS.names() if "units" in inspect.signature(ACTIVATIONS[n]).parameters
]
EVERY_LEARNED = pytest.mark.parametrize("name", LEARNED)
HIDDEN = 5


def made(name: str, **settings: Any) -> Activation:
    torch.manual_seed(0)
    return ACTIVATIONS[name](**settings)


@EVERY_VARIANT
def test_activation_works_element_by_element(name: str, settings: dict[str, Any]) -> None:
    activation = made(name, **settings).eval()
    x = torch.randn(2, 3, 4)
    alone = torch.stack([activation(each) for each in x.flatten()]).reshape(x.shape)
    torch.testing.assert_close(activation(x), alone, atol=1e-6, rtol=1e-6)
    assert activation(x[:0]).shape == (0, 3, 4)


@EVERY_VARIANT
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])
def test_value_and_gradients_are_finite_far_out_and_at_zero(
    name: str, settings: dict[str, Any], dtype: torch.dtype
) -> None:
    activation = made(name, **settings).to(dtype).eval()
    x = torch.tensor([-1e4, -100.0, -30.0, 0.0, 30.0, 100.0, 1e4], dtype=dtype, requires_grad=True)
    out = activation(x)
    out.sum().backward()
    assert out.dtype == dtype
    assert out.isfinite().all()
    for leaf in (x, *activation.parameters()):
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()


@EVERY_VARIANT
def test_gradients_equal_finite_differences(name: str, settings: dict[str, Any]) -> None:
    _check_gradients(made(name, **settings))


@EVERY_LEARNED
def test_gradients_per_unit_equal_finite_differences(name: str) -> None:
    _check_gradients(made(name, units=HIDDEN))


def _check_gradients(activation: Activation) -> None:
    activation = activation.double().eval()
    names = [key for key, _ in activation.named_parameters()]
    for parameter in activation.parameters():
        parameter.data += 0.05  # away from |b| = 0 in PAU and a = 0 in Snake

    def apply(x: Tensor, *parameters: Tensor) -> Tensor:
        return _called(activation, dict(zip(names, parameters, strict=True)), x)

    # None of these lies on a kink, nor do the hinges that seed 0 draws for APL.
    x = torch.tensor([-2.3, -0.7, -0.31, 0.23, 1.6], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(apply, (x, *activation.parameters()))


@EVERY_VARIANT
def test_formula_can_be_traced(name: str, settings: dict[str, Any]) -> None:
    activation = made(name, **settings)
    x = torch.randn(4, HIDDEN)
    coefficients = activation.coefficients(x.shape)
    graph = Graph()
    tracer = GraphAppendingTracer(graph)
    formula: Callable[..., Any] = activation.formula
    inputs = [Proxy(graph.placeholder(f"input_{i}"), tracer) for i in range(1 + len(coefficients))]
    graph.output(formula(*inputs).node)
    assert {node.op for node in graph.nodes} <= {
        "placeholder",
        "call_function",
        "call_method",
        "output",
    }
    torch.testing.assert_close(
        GraphModule(nn.Module(), graph)(x, *coefficients), activation.formula(x, *coefficients)
    )


@EVERY_VARIANT
def test_activations_under_vmap_equal_each_alone(name: str, settings: dict[str, Any]) -> None:
    several = [made(name, **settings).eval() for _ in range(3)]
    for each in several:
        for parameter in each.parameters():
            parameter.data += 0.1 * torch.rand_like(parameter)
    states = stack_module_state(several)
    x = torch.randn(3, 4, HIDDEN)

    def total(state: tuple[dict[str, Tensor], dict[str, Tensor]], x: Tensor) -> Tensor:
        return _called(several[0], {**state[0], **state[1]}, x).sum()

    def summed(activation: Activation, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(activation(x).sum(), x)
        return slope

    at_once = vmap(grad(total, argnums=1), in_dims=(0, 0))(states, x)
    alone = torch.stack([summed(each, part) for each, part in zip(several, x, strict=True)])
    torch.testing.assert_close(at_once, alone)


@EVERY_VARIANT
def test_coefficients_stay_float32_under_bfloat16_autocast(
    name: str, settings: dict[str, Any]
) -> None:
    activation = made(name, **settings)
    x = torch.randn(4, HIDDEN, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        coefficients = activation.coefficients(x.shape)
        out = activation.formula(x, *coefficients)
    torch.autograd.backward(out.float().sum())
    assert all(each.dtype == torch.float32 for each in coefficients)
    assert x.grad is not None
    assert x.grad.isfinite().all()
    torch.testing.assert_close(
        out.float(), activation.formula(x.float(), *coefficients), atol=0.05, rtol=0.02
    )


@EVERY_VARIANT
def test_coefficients_fit_one_step_of_a_cell(name: str, settings: dict[str, Any]) -> None:
    activation = made(name, **settings)
    for each in activation.coefficients(torch.Size((4, HIDDEN))):
        assert each.shape in {(), (4, HIDDEN)}


@EVERY_LEARNED
def test_every_unit_can_have_its_own_coefficients(name: str) -> None:
    activation = made(name, units=HIDDEN).eval()
    shared = made(name)
    for key, parameter in activation.named_parameters():
        assert parameter.shape == (*shared.get_parameter(key).shape, HIDDEN)
        parameter.data += 0.3 * torch.rand_like(parameter)
    learned_shapes = {each.shape for each in activation.coefficients(torch.Size((4, HIDDEN)))}
    assert learned_shapes <= {torch.Size(()), torch.Size((HIDDEN,))}
    x = torch.randn(4, HIDDEN)
    for unit in range(HIDDEN):
        one = {key: value[..., unit] for key, value in activation.named_parameters()}
        torch.testing.assert_close(activation(x)[:, unit], _called(activation, one, x[:, unit]))


@EVERY_LEARNED
def test_units_start_like_a_shared_activation(name: str) -> None:
    if name == "apl":  # its hinges are drawn
        return
    x = torch.randn(4, HIDDEN)
    torch.testing.assert_close(made(name, units=HIDDEN).eval()(x), made(name).eval()(x))


@EVERY_LEARNED
@pytest.mark.parametrize("learn", [True, False])
def test_parameters_learn_on_request_and_are_always_in_the_state_dict(
    name: str, learn: bool
) -> None:
    activation = made(name, learn=learn).eval()
    x = torch.randn(20, requires_grad=True)
    activation(x).square().sum().backward()
    assert activation.state_dict().keys() == dict(activation.named_parameters()).keys() != set()
    for parameter in activation.parameters():
        assert (parameter.grad is not None and bool(parameter.grad.any())) == learn


@EVERY_LEARNED
def test_gradients_in_double_precision_equal_those_in_single(name: str) -> None:
    x = torch.linspace(-3, 3, 20)
    gradients = []
    for activation in (made(name).eval(), made(name).double().eval()):
        activation(x.to(next(activation.parameters()).dtype)).square().sum().backward()
        gradients.append([p.grad for p in activation.parameters()])
    for single, double in zip(*gradients, strict=True):
        torch.testing.assert_close(single.double(), double, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS.names() if n not in LEARNED])
def test_fixed_activation_has_an_empty_state_dict(name: str) -> None:
    assert not made(name).state_dict()


def _called(activation: Activation, state: dict[str, Tensor], x: Tensor) -> Tensor:
    out: Tensor = functional_call(activation, state, (x,))
    return out
