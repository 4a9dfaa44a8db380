"""Fixed activations that torch has already."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sercli.nn.activations import ACTIVATIONS, Activation
from sercli.nn.checks import check_finite, check_positive


@ACTIVATIONS.register("identity")
class Identity(Activation):
    """x: the candidate becomes linear."""

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Return ``x``."""
        return x


@ACTIVATIONS.register("tanh")
class Tanh(Activation):
    """tanh(x), the candidate activation of the original GRU (Cho et al. 2014)."""

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Apply tanh."""
        return torch.tanh(x)


@ACTIVATIONS.register("hardtanh")
class Hardtanh(Activation):
    """min(1, max(−1, x)), tanh in three straight pieces (Collobert 2004)."""

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Cut ``x`` off at −1 and 1."""
        return F.hardtanh(x)


@ACTIVATIONS.register("softsign")
class Softsign(Activation):
    """x / (1 + |x|), which saturates more slowly than tanh (Bergstra et al. 2009)."""

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Apply softsign."""
        return F.softsign(x)


@ACTIVATIONS.register("relu")
class ReLU(Activation):
    """max(0, x): the R-GRU of Rajamani et al. (2021), Table 1."""

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Cut ``x`` off at 0."""
        return torch.relu(x)


@ACTIVATIONS.register("leaky_relu")
class LeakyReLU(Activation):
    """Leaky ReLU: x where x ≥ 0, else slope·x (Maas et al. 2013).

    Args:
        slope: Slope of the negative part; 0.01 is the value of Maas et al.

    Raises:
        RequestError: The slope is not finite.
    """

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        check_finite("activation.slope", slope)
        self.slope = slope

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Flatten the negative part."""
        return F.leaky_relu(x, self.slope)


@ACTIVATIONS.register("elu")
class ELU(Activation):
    """ELU: x where x > 0, else α·(eˣ − 1) (Clevert et al. 2016, arXiv 1511.07289).

    Args:
        alpha: What the negative part tends to is −α; 1.0 is the value of Clevert et al.

    Raises:
        RequestError: alpha is not above 0.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        check_positive("activation.alpha", alpha)
        self.alpha = alpha

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Bend the negative part."""
        return F.elu(x, self.alpha)


@ACTIVATIONS.register("celu")
class CELU(Activation):
    """CELU: x where x > 0, else α·(exp(x/α) − 1) (Barron 2017, arXiv 1704.07483).

    Unlike ELU it has no kink at 0, whatever α is.

    Args:
        alpha: What the negative part tends to is −α; 1.0 is torch's, where CELU equals ELU.

    Raises:
        RequestError: alpha is not above 0.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        check_positive("activation.alpha", alpha)
        self.alpha = alpha

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Bend the negative part."""
        return F.celu(x, self.alpha)


@ACTIVATIONS.register("selu")
class SELU(Activation):
    """SELU: λ·x where x > 0, else λ·a·(eˣ − 1) (Klambauer et al. 2017, arXiv 1706.02515).

    λ = 1.0507009873554805 and a = 1.6732632423543772 keep mean 0 and variance 1 from layer to
    layer, as Klambauer et al. derive.
    """

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Scale, and bend the negative part."""
        return F.selu(x)


@ACTIVATIONS.register("gelu")
class GELU(Activation):
    """GELU: x·Φ(x), Φ the normal distribution (Hendrycks, Gimpel 2016, arXiv 1606.08415)."""

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Apply GELU itself, not its approximation by tanh."""
        return F.gelu(x)


@ACTIVATIONS.register("silu")
class SiLU(Activation):
    """SiLU or swish: x·σ(x) (Elfwing et al. 2017, arXiv 1702.03118)."""

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Apply SiLU."""
        return F.silu(x)


@ACTIVATIONS.register("softplus")
class Softplus(Activation):
    """Softplus: log(1 + eˣ), a smooth ReLU (Dugas et al. 2000); torch returns x above 20."""

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Apply softplus."""
        return F.softplus(x)


@ACTIVATIONS.register("mish")
class Mish(Activation):
    """Mish: x·tanh(softplus(x)) (Misra 2020, arXiv 1908.08681)."""

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Apply Mish."""
        return F.mish(x)
