from __future__ import annotations

import pytest
import torch
from torch import nn

from sercli.nn import AReLU
from sercli.nn.activations import ACTIVATIONS
from sercli.nn.recurrence.onnx_operators import OnnxActivation, onnx_activations

PIECEWISE_LINEAR = {"relu": 0.0, "leaky_relu": 0.01, "prelu": 0.25, "identity": 1.0}
"""Name → slope below zero, of a gain of 1."""


def test_tanh_and_piecewise_linear_activations_are_known_and_no_others() -> None:
    for name in ACTIVATIONS.names():
        found = list(onnx_activations(ACTIVATIONS[name]().eval()).values())
        if name == "tanh":
            assert found == [OnnxActivation("Tanh")]
        elif name in PIECEWISE_LINEAR:
            (known,) = found
            assert (known.name, known.gain) == ("LeakyRelu", 1.0)
            assert known.alpha == pytest.approx((PIECEWISE_LINEAR[name],))
        elif name not in ("arelu", "rrelu"):
            assert found == [], name
    assert onnx_activations(nn.Sequential(AReLU(units=3))) == {}


def test_the_gain_of_arelu_is_moved_before_the_operator() -> None:
    activation, x = AReLU(alpha=0.5, beta=0.3), torch.linspace(-3, 3, 7)
    (known,) = onnx_activations(activation).values()
    again = nn.functional.leaky_relu(known.gain * x, known.alpha[0])
    torch.testing.assert_close(again, activation(x))
