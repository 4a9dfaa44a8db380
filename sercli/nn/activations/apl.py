"""APL, the adaptive piecewise linear unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.nn.activations import ACTIVATIONS, Activation
from sercli.nn.checks import check_at_least


@ACTIVATIONS.register("apl")
class APL(Activation):
    """APL: relu(x) + Σ a_s·max(0, −x + b_s) with S learned hinges.

    Agostinelli, Hoffman, Sadowski, Baldi: "Learning Activation Functions to Improve Deep
    Neural Networks" (2014), arXiv 1412.6830. Initially a_s ~ U(−0.2, 0.2) and b_s ~ N(0, 0.5),
    as in the example of the authors' published code, which learns hinges for every unit.

    Args:
        hinges: S; 5 as in the same example.
        learn: Train the hinges; else they stay as drawn.
        units: H, if every unit has hinges of its own; None: one set for all.

    Raises:
        RequestError: There is no hinge.

    >>> import torch
    >>> from sercli.nn.activations import ACTIVATIONS
    >>> ACTIVATIONS["apl"](hinges=2)(torch.randn(3, 4)).shape
    torch.Size([3, 4])
    """

    def __init__(self, hinges: int = 5, learn: bool = True, units: int | None = None) -> None:
        super().__init__()
        check_at_least("activation.hinges", hinges, 1)
        shape = (hinges,) if units is None else (hinges, units)
        self.a = nn.Parameter(torch.empty(shape).uniform_(-0.2, 0.2), requires_grad=learn)
        self.b = nn.Parameter(torch.empty(shape).normal_(0.0, 0.5), requires_grad=learn)

    def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
        return *self.a.unbind(), *self.b.unbind()

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        half = len(coefficients) // 2
        total = torch.relu(x)
        for slope, offset in zip(coefficients[:half], coefficients[half:], strict=True):
            total = total + slope * torch.relu(offset - x)
        return total
