"""Comb, a learned combination of activations."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sercli.errors import RequestError
from sercli.nn.activations import ACTIVATIONS, Activation
from sercli.nn.activations.learned import learned
from sercli.nn.checks import check_choice

_BASES: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "relu": torch.relu,
    "tanh": torch.tanh,
}


@ACTIVATIONS.register("comb")
class Comb(Activation):
    """Comb: Σ c_i·f_i(x) with learned c_i that sum to 1.

    Manessi, Rozza: "Learning Combinations of Activation Functions" (2018), arXiv 1801.09403.
    The weights span the affine hull of the basis, or its convex hull, in which none is below 0.
    Our choice, as no source states it: all weights start at 1/n; the affine ones are the
    orthogonal projection of free numbers, the convex ones their softmax.

    Args:
        basis: Names joined by ``+``, of ``identity``, ``relu`` and ``tanh``. Manessi and Rozza
            try all three and every pair.
        hull: ``affine`` or ``convex``.
        learn: Train the weights.
        units: H, if every unit has weights of its own; None: one set for all.

    Raises:
        RequestError: The hull or a function is unknown, or a function is named twice.

    >>> import torch
    >>> from sercli.nn.activations import ACTIVATIONS
    >>> ACTIVATIONS["comb"]("identity+relu")(torch.tensor([-2.0, 2.0])).detach()
    tensor([-1.,  2.])
    """

    def __init__(
        self,
        basis: str = "identity+relu+tanh",
        hull: str = "affine",
        learn: bool = True,
        units: int | None = None,
    ) -> None:
        super().__init__()
        check_choice("activation.hull", hull, ("affine", "convex"))
        self.basis = _names(basis)
        self.hull = hull
        start = 1 / len(self.basis) if hull == "affine" else 0.0
        self.free = learned([start] * len(self.basis), units, learn)

    def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
        if self.hull == "convex":
            return torch.softmax(self.free, dim=0).unbind()
        return (self.free + (1 - self.free.sum(dim=0)) / len(self.basis)).unbind()

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        first, *others = (
            weight * _BASES[name](x) for name, weight in zip(self.basis, coefficients, strict=True)
        )
        for other in others:
            first = first + other
        return first

    def extra_repr(self) -> str:
        return f"{self.hull}, {'+'.join(self.basis)}"


def _names(basis: str) -> tuple[str, ...]:
    names = tuple(basis.split("+"))
    for name in names:
        check_choice("activation.basis", name, _BASES)
    if len(set(names)) < len(names):
        raise RequestError(f"activation.basis={basis}: name each function only once")
    return names
