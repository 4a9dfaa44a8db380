"""Every activation with fixed numbers, against its definition in plain arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from sercli.nn.activations import ACTIVATIONS

Definition = Callable[[float], float]
AT = (-8.0, -2.5, -1.0, -0.3, 0.0, 0.2, 0.9, 1.0, 3.0, 12.0)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


def kinked(positive: float, negative: float) -> Definition:
    return lambda x: positive * x if x > 0 else negative * x


def bent(positive: float, bend: Definition) -> Definition:
    return lambda x: positive * x if x > 0 else bend(x)


SELU_SCALE, SELU_SIZE = 1.0507009873554805, 1.6732632423543772
A = (0.0335583603, 0.505000375, 1.65343934, 2.01001052, 0.931901999, 0.152424124)
B = (3.30847488e-6, 3.98021568, 5.12471206e-7, 0.301830109)


def pade(x: float, *, absolute: bool) -> float:
    above = sum(a * x**k for k, a in enumerate(A))
    if absolute:
        return above / (1 + sum(abs(b) * abs(x) ** k for k, b in enumerate(B, 1)))
    return above / (1 + abs(sum(b * x**k for k, b in enumerate(B, 1))))


CASES: list[tuple[str, dict[str, Any], Definition]] = [
    ("identity", {}, lambda x: x),
    ("tanh", {}, math.tanh),
    ("hardtanh", {}, lambda x: min(1.0, max(-1.0, x))),
    ("softsign", {}, lambda x: x / (1 + abs(x))),
    ("relu", {}, lambda x: max(0.0, x)),
    ("leaky_relu", {}, kinked(1, 0.01)),
    ("leaky_relu", {"slope": 0.2}, kinked(1, 0.2)),
    ("prelu", {}, kinked(1, 0.25)),
    ("prelu", {"slope": -0.5}, kinked(1, -0.5)),
    ("rrelu", {}, kinked(1, 11 / 48)),
    ("rrelu", {"lower": 0.1, "upper": 0.5}, kinked(1, 0.3)),
    ("elu", {}, bent(1, math.expm1)),
    ("elu", {"alpha": 0.5}, bent(1, lambda x: 0.5 * math.expm1(x))),
    ("celu", {}, bent(1, math.expm1)),
    ("celu", {"alpha": 2.0}, bent(1, lambda x: 2 * math.expm1(x / 2))),
    ("selu", {}, bent(SELU_SCALE, lambda x: SELU_SCALE * SELU_SIZE * math.expm1(x))),
    ("gelu", {}, lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
    ("silu", {}, lambda x: x * sigmoid(x)),
    ("softplus", {}, softplus),
    ("mish", {}, lambda x: x * math.tanh(softplus(x))),
    ("eelu", {}, bent(1, lambda x: 0.25 * math.expm1(x))),
    ("eelu", {"a": 0.5, "b": 2.0}, bent(1, lambda x: 0.5 * math.expm1(2 * x))),
    ("arelu", {}, kinked(1 + sigmoid(2.0), 0.9)),
    ("arelu", {"alpha": 0.01, "beta": 1.0}, kinked(1 + sigmoid(1.0), 0.01)),
    ("comb", {}, lambda x: (x + max(0.0, x) + math.tanh(x)) / 3),
    ("comb", {"hull": "convex"}, lambda x: (x + max(0.0, x) + math.tanh(x)) / 3),
    ("comb", {"basis": "relu+identity"}, lambda x: (x + max(0.0, x)) / 2),
    ("comb", {"basis": "tanh", "hull": "convex"}, math.tanh),
    ("pau", {}, lambda x: pade(x, absolute=False)),
    ("pau", {"denominator": "code"}, lambda x: pade(x, absolute=True)),
    ("snake", {}, lambda x: x + math.sin(x) ** 2),
    ("snake", {"a": -0.5}, lambda x: x - math.sin(0.5 * x) ** 2 / 0.5),
    ("snake", {"a": 0.0}, lambda x: x),
]


@pytest.mark.parametrize(
    ("name", "settings", "definition"),
    CASES,
    ids=[" ".join([name, *map(str, settings.values())]) for name, settings, _ in CASES],
)
def test_value_equals_the_definition(
    name: str, settings: dict[str, Any], definition: Definition
) -> None:
    # Numbers are kept in single precision, so the values agree to that.
    activation = ACTIVATIONS[name](**settings).double().eval()
    found = activation(torch.tensor(AT, dtype=torch.float64)).tolist()
    assert found == pytest.approx([definition(x) for x in AT], rel=1e-6, abs=1e-6)


def test_every_activation_has_a_definition_here_or_in_its_own_test() -> None:
    assert {name for name, _, _ in CASES} | {"apl"} == set(ACTIVATIONS.names())
