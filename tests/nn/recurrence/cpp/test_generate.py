from __future__ import annotations

from sercli.nn.activations import ACTIVATIONS
from sercli.nn.recurrence.cpp.generate import source


def test_generated_derivative_reuses_the_value() -> None:
    text = source(ACTIVATIONS["tanh"](), 0)
    assert "v0.store(value + j);" in text
    assert "(V(T(1.0)) - v0 * v0)" in text
