"""Fixed activations that torch has."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from sercli.nn.activations import ACTIVATIONS, Activation
from sercli.nn.checks import check_finite, check_positive


def _fixed(name: str, function: Callable[[Tensor], Tensor], doc: str) -> type[Activation]:
    """Make and register the class of an activation without settings."""

    def formula(self: Activation, x: Tensor, *coefficients: Tensor) -> Tensor:
        return function(x)

    members = {"formula": formula, "__doc__": doc, "__module__": __name__}
    return ACTIVATIONS.register(name.lower())(type(name, (Activation,), members))


Identity = _fixed("Identity", lambda x: x, "x: the candidate becomes linear.")
Tanh = _fixed("Tanh", torch.tanh, "tanh(x), as in the original GRU (Cho et al. 2014).")
Hardtanh = _fixed(
    "Hardtanh", F.hardtanh, "min(1, max(−1, x)), tanh in three straight pieces (Collobert 2004)."
)
Softsign = _fixed(
    "Softsign",
    F.softsign,
    "x / (1 + |x|), which saturates more slowly than tanh (Bergstra et al. 2009).",
)
ReLU = _fixed("ReLU", torch.relu, "max(0, x): the R-GRU of Rajamani et al. (2021), Table 1.")
SELU = _fixed(
    "SELU",
    F.selu,
    """SELU: λ·x where x > 0, else λ·a·(eˣ − 1) (Klambauer et al. 2017, arXiv 1706.02515).

    λ = 1.0507009873554805 and a = 1.6732632423543772 keep mean 0 and variance 1 from layer to
    layer, as Klambauer et al. derive.
    """,
)
GELU = _fixed(
    "GELU",
    F.gelu,
    "GELU: x·Φ(x), Φ the normal distribution (Hendrycks, Gimpel 2016, arXiv 1606.08415).",
)
SiLU = _fixed("SiLU", F.silu, "SiLU or swish: x·σ(x) (Elfwing et al. 2017, arXiv 1702.03118).")
Softplus = _fixed(
    "Softplus",
    F.softplus,
    "Softplus: log(1 + eˣ), a smooth ReLU (Dugas et al. 2000); torch returns x above 20.",
)
Mish = _fixed("Mish", F.mish, "Mish: x·tanh(softplus(x)) (Misra 2020, arXiv 1908.08681).")


@ACTIVATIONS.register("leaky_relu")
class LeakyReLU(Activation):
    """Leaky ReLU: x where x ≥ 0, else slope·x (Maas et al. 2013).

    Args:
        slope: Slope of the negative part; 0.01 is the value of Maas et al.

    Raises:
        RequestError: The slope is not finite.

    >>> import torch
    >>> from sercli.nn.activations import ACTIVATIONS
    >>> ACTIVATIONS["leaky_relu"](slope=0.1)(torch.tensor([-2.0, 3.0]))
    tensor([-0.2000,  3.0000])
    """

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        check_finite("activation.slope", slope)
        self.slope = slope

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        return F.leaky_relu(x, self.slope)


@ACTIVATIONS.register("elu")
class ELU(Activation):
    """ELU: x where x > 0, else α·(eˣ − 1) (Clevert et al. 2016, arXiv 1511.07289).

    Args:
        alpha: α; the negative part tends to −α. 1.0 is the value of Clevert et al.

    Raises:
        RequestError: alpha is not above 0.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        check_positive("activation.alpha", alpha)
        self.alpha = alpha

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        return F.elu(x, self.alpha)


@ACTIVATIONS.register("celu")
class CELU(Activation):
    """CELU: x where x > 0, else α·(exp(x/α) − 1) (Barron 2017, arXiv 1704.07483).

    Unlike ELU it has no kink at 0, whatever α is.

    Args:
        alpha: α; the negative part tends to −α. 1.0 is torch's, with which CELU equals ELU.

    Raises:
        RequestError: alpha is not above 0.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        check_positive("activation.alpha", alpha)
        self.alpha = alpha

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        return F.celu(x, self.alpha)
