"""PAU, the Padé activation unit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sercli.nn.activations import ACTIVATIONS, Activation
from sercli.nn.activations.learned import learned
from sercli.nn.checks import check_choice

_INITIAL = {
    "leaky_relu": (
        (0.0335583603, 0.505000375, 1.65343934, 2.01001052, 0.931901999, 0.152424124),
        (3.30847488e-6, 3.98021568, 5.12471206e-7, 0.301830109),
    ),
    "tanh": (
        (-1.08046226e-8, 1.0003008, -2.58781994e-8, 0.0963212992, 3.47758416e-9, 4.25570923e-4),
        (-0.00130271812, 0.428349017, 1.45243041e-9, 0.0107966481),
    ),
}
"""Coefficients a_0 … a_5 and b_1 … b_4, as the authors publish them. Those close to 0 must not be
0, since |b_k| would then have no gradient."""


@ACTIVATIONS.register("pau")
class PAU(Activation):
    """PAU: P(x)/Q(x) with learned P = a_0 + … + a_5 x⁵ and Q ≥ 1 of degree 4.

    Molina, Schramowski, Kersting: "Padé Activation Units" (2020), arXiv 1907.06732. It starts
    as an approximation on [−3, 3], within 0.034 of leaky ReLU (slope 0.01), and of tanh within
    0.002 with the paper's denominator and within 5e-5 with the code's. Far out it grows as
    (a_5/b_4)·x on both sides.

    Args:
        init: ``leaky_relu`` or ``tanh``.
        denominator: Q = 1 + |Σ b_k x^k| as in the ``paper``, or 1 + Σ |b_k|·|x|^k as in the
            published ``code``.
        learn: Train the coefficients.
        units: H, if every unit has coefficients of its own; None: one set for all.

    Raises:
        RequestError: The initial function or the denominator is unknown.

    >>> import torch
    >>> from sercli.nn.activations import ACTIVATIONS
    >>> x = torch.linspace(-3, 3, 7)
    >>> torch.allclose(ACTIVATIONS["pau"]("tanh")(x), torch.tanh(x), atol=2e-3)
    True
    """

    def __init__(
        self,
        init: str = "leaky_relu",
        denominator: str = "paper",
        learn: bool = True,
        units: int | None = None,
    ) -> None:
        super().__init__()
        check_choice("activation.init", init, _INITIAL)
        check_choice("activation.denominator", denominator, ("paper", "code"))
        a, b = _INITIAL[init]
        self.denominator = denominator
        self.a = learned(a, units, learn)
        self.b = learned(b, units, learn)

    def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
        b = self.b if self.denominator == "paper" else self.b.abs()
        return *self.a.unbind(), *b.unbind()

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        a, b = coefficients[:6], coefficients[6:]
        if self.denominator == "paper":
            return _polynomial(x, a) / (1 + torch.abs(x * _polynomial(x, b)))
        size = torch.abs(x)
        return _polynomial(x, a) / (1 + size * _polynomial(size, b))


def _polynomial(x: Tensor, coefficients: Sequence[Tensor]) -> Tensor:
    """Return c_0 + c_1 x + c_2 x² + … by Horner's rule."""
    *others, value = coefficients
    for coefficient in reversed(others):
        value = coefficient + x * value
    return value
