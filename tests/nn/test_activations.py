"""What every activation promises, and the values of those that torch has already."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sercli.nn.activations import ACTIVATIONS

EVERY_ACTIVATION = pytest.mark.parametrize("name", ACTIVATIONS.names())


@EVERY_ACTIVATION
def test_it_works_element_by_element_on_any_shape(name: str) -> None:
    torch.manual_seed(0)
    activation = ACTIVATIONS[name]().eval()
    x = torch.randn(2, 3, 4)
    alone = torch.stack([activation(each) for each in x.flatten()]).reshape(x.shape)
    torch.testing.assert_close(activation(x), alone, atol=1e-6, rtol=1e-6)


@EVERY_ACTIVATION
@pytest.mark.parametrize("x", [-1e4, -30.0, 0.0, 30.0, 1e4])
def test_value_and_gradient_are_finite_far_out_and_at_zero(name: str, x: float) -> None:
    activation = ACTIVATIONS[name]().eval()
    at = torch.tensor([x], requires_grad=True)
    out = activation(at)
    out.sum().backward()
    assert out.isfinite().all()
    assert at.grad is not None
    assert at.grad.isfinite().all()


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("tanh", {}, [-0.9640276, 0.0, 0.4621172]),
        ("relu", {}, [0.0, 0.0, 0.5]),
        ("leaky_relu", {}, [-0.02, 0.0, 0.5]),
        ("leaky_relu", {"slope": 0.2}, [-0.4, 0.0, 0.5]),
    ],
)
def test_known_values(name: str, settings: dict[str, float], expected: list[float]) -> None:
    found: Tensor = ACTIVATIONS[name](**settings)(torch.tensor([-2.0, 0.0, 0.5]))
    torch.testing.assert_close(found, torch.tensor(expected))
