"""EELU, the elastic exponential linear unit."""

from __future__ import annotations

import torch
from torch import Tensor

from sercli.nn.activations import ACTIVATIONS, Activation
from sercli.nn.activations.learned import learned, straight_through
from sercli.nn.checks import check_at_least


@ACTIVATIONS.register("eelu")
class EELU(Activation):
    """EELU: k·x where x ≥ 0, else a·(exp(b·x) − 1), with learned a, b ≥ 0 and a noisy k.

    Kim, Kim, Kim: "Elastic exponential linear units for convolutional neural networks"
    (2020). In training every other call is noisy: k ~ N(1, s) clamped to [0, 2], with
    s ~ U(0, ε) drawn once per call. Else k = 1. As in the published code the first call is
    noisy, a noisy call trains neither a nor b, and an a or b below 0 counts as 0 but keeps its
    gradient.

    Args:
        a: Initial a; the negative part tends to −a. Kim et al.: 0.25.
        b: Initial b. Kim et al.: 1.0.
        epsilon: ε, the largest spread of k. Kim et al.: 1.0; 0: no noise.
        learn: Train a and b.
        units: H, if every unit has an a and a b of its own; None: one for all.

    Raises:
        RequestError: a, b or epsilon is below 0.

    >>> import torch
    >>> from sercli.nn.activations import ACTIVATIONS
    >>> ACTIVATIONS["eelu"]().eval()(torch.tensor([-100.0, 2.0])).detach()
    tensor([-0.2500,  2.0000])
    """

    def __init__(
        self,
        a: float = 0.25,
        b: float = 1.0,
        epsilon: float = 1.0,
        learn: bool = True,
        units: int | None = None,
    ) -> None:
        super().__init__()
        check_at_least("activation.a", a, 0)
        check_at_least("activation.b", b, 0)
        check_at_least("activation.epsilon", epsilon, 0)
        self.a = learned(a, units, learn)
        self.b = learned(b, units, learn)
        self.epsilon = epsilon
        self._noisy = False

    def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
        a, b = (straight_through(number, number.clamp(min=0)) for number in (self.a, self.b))
        if self.training:
            self._noisy = not self._noisy
            if self._noisy:
                return self._draw(shape), a.detach(), b.detach()
        return a.new_ones(()), a, b

    def _draw(self, shape: torch.Size) -> Tensor:
        device, dtype = self.a.device, self.a.dtype
        spread = self.epsilon * torch.rand((), device=device, dtype=dtype)
        return (1 + spread * torch.randn(shape, device=device, dtype=dtype)).clamp(0, 2)

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        k, a, b = coefficients
        return torch.where(x >= 0, k * x, a * torch.expm1(b * x.clamp(max=0)))
