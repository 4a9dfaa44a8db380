"""Snake, a periodic activation that grows."""

from __future__ import annotations

import torch
from torch import Tensor

from sercli.nn.activations import ACTIVATIONS, Activation
from sercli.nn.activations.learned import learned, straight_through
from sercli.nn.checks import check_finite

_SMALLEST = 1e-8


@ACTIVATIONS.register("snake")
class Snake(Activation):
    """Snake: x + sin²(a·x)/a with a learned frequency a.

    Ziyin, Hartwig, Ueda: "Neural Networks Fail to Learn Periodic Functions and How to Fix It"
    (2020), arXiv 2006.08195. It tends to x as a tends to 0; an a closer to 0 than 1e-8 counts as
    1e-8 and keeps its gradient, so that a can change its sign.

    Args:
        a: Initial frequency; 1.0 is that of Ziyin et al.
        learn: Train the frequency.
        units: H, if every unit has a frequency of its own; None: one for all.

    Raises:
        RequestError: a is not finite.

    >>> import torch
    >>> from sercli.nn.activations import ACTIVATIONS
    >>> ACTIVATIONS["snake"]()(torch.tensor([0.0, torch.pi])).detach()
    tensor([0.0000, 3.1416])
    """

    def __init__(self, a: float = 1.0, learn: bool = True, units: int | None = None) -> None:
        super().__init__()
        check_finite("activation.a", a)
        self.a = learned(a, units, learn)

    def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
        nonzero = torch.where(self.a.abs() < _SMALLEST, _SMALLEST, self.a)
        a = straight_through(self.a, nonzero)
        return a, 1 / a

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        a, inverse = coefficients
        return x + inverse * torch.sin(a * x) ** 2
