"""AReLU, the attention-based rectified linear unit."""

from __future__ import annotations

import torch
from torch import Tensor

from sercli.errors import RequestError
from sercli.nn.activations import ACTIVATIONS, Activation
from sercli.nn.activations.learned import learned, single
from sercli.nn.checks import check_finite


@ACTIVATIONS.register("arelu")
class AReLU(Activation):
    """AReLU: relu(x)·(1 + σ(β)) − relu(−x)·clamp(α).

    Chen, Li, Xu: "AReLU: Attention-based Rectified Linear Unit" (2020), arXiv 2006.13858.
    There is one α and one β per module. A clamped α receives no gradient, so an α that starts at
    ``alpha_min`` is frozen by its first step downwards, as in the published code.

    Args:
        alpha: Initial slope of the negative part. Chen et al.: 0.9; the AR-GRU that
            Rajamani et al. (2021) propose (V): 0.01.
        beta: Initial β. Chen et al.: 2.0; AR-GRU (V): 1.0.
        alpha_min: Lower clamp of α. Chen et al.: 0.01; AR-GRU (II): 0.
        alpha_max: Upper clamp of α. Chen et al.: 0.99.
        learn: Train α and β.
        units: H, if every unit has an α and a β of its own; None: one for all.

    Raises:
        RequestError: The clamp is empty, alpha lies outside of it, or beta is not finite.

    >>> import torch
    >>> from sercli.nn import GRU, AReLU
    >>> AReLU(alpha=0.5, beta=0.0)(torch.tensor([-2.0, 2.0]))
    tensor([-1.,  3.], grad_fn=<MulBackward0>)
    >>> layer = GRU(45, 64, activation=lambda: AReLU(alpha=0.01, beta=1.0))
    """

    def __init__(
        self,
        alpha: float = 0.9,
        beta: float = 2.0,
        alpha_min: float = 0.01,
        alpha_max: float = 0.99,
        learn: bool = True,
        units: int | None = None,
    ) -> None:
        super().__init__()
        if not alpha_min <= alpha <= alpha_max:
            raise RequestError(
                f"activation.alpha={alpha:g} lies outside its clamp "
                f"[{alpha_min:g}, {alpha_max:g}]: change alpha_min or alpha_max "
                "(AR-GRU II: alpha_min=0)"
            )
        check_finite("activation.alpha", alpha)
        check_finite("activation.beta", beta)
        self.alpha_min = single(alpha_min)
        self.alpha_max = single(alpha_max)
        self.alpha = learned(alpha, units, learn)
        self.beta = learned(beta, units, learn)

    def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
        """Return the slopes of the positive and of the negative part."""
        return 1 + torch.sigmoid(self.beta), self.alpha.clamp(self.alpha_min, self.alpha_max)

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        gain, slope = coefficients
        return x * torch.where(x > 0, gain, slope)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha.mean().item():.4g}, beta={self.beta.mean().item():.4g}"
