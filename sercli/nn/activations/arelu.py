"""AReLU, the attention-based rectified linear unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.nn.activations import ACTIVATIONS


@ACTIVATIONS.register("arelu")
class AReLU(nn.Module):
    """AReLU: relu(x)·(1 + σ(β)) − relu(−x)·clamp(α).

    Chen, Li, Xu: "AReLU: Attention-based Rectified Linear Unit" (2020), arXiv 2006.13858.
    One α and one β per module. A clamped α receives no gradient, so an α that starts at
    ``alpha_min`` is frozen by its first step downwards, as in the published code.

    Args:
        alpha: Initial slope of the negative part. Chen et al.: 0.9; the AR-GRU that
            Rajamani et al. (2021) propose (V): 0.01.
        beta: Initial β. Chen et al.: 2.0; AR-GRU (V): 1.0.
        alpha_min: Lower clamp of α. Chen et al.: 0.01; AR-GRU (II): 0.
        alpha_max: Upper clamp of α. Chen et al.: 0.99.
        learn: Whether α and β are trained; else they stay as they are.

    Raises:
        RequestError: The clamp is empty, or alpha lies outside of it.
    """

    def __init__(
        self,
        alpha: float = 0.9,
        beta: float = 2.0,
        alpha_min: float = 0.01,
        alpha_max: float = 0.99,
        learn: bool = True,
    ) -> None:
        super().__init__()
        if not alpha_min <= alpha <= alpha_max:
            raise RequestError(
                f"arelu.alpha={alpha:g} lies outside its clamp [{alpha_min:g}, {alpha_max:g}]: "
                "move arelu.alpha_min or arelu.alpha_max (AR-GRU II: arelu.alpha_min=0)"
            )
        self.alpha_min = alpha_min
        self.alpha_max = alpha_max
        self.alpha = nn.Parameter(torch.tensor(float(alpha)), requires_grad=learn)
        self.beta = nn.Parameter(torch.tensor(float(beta)), requires_grad=learn)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation to every element of ``x``."""
        slope = self.alpha.clamp(self.alpha_min, self.alpha_max)
        gain = 1 + torch.sigmoid(self.beta)
        return x * torch.where(x > 0, gain, slope)

    def extra_repr(self) -> str:
        """Show the current parameters."""
        return f"alpha={self.alpha.item():.4g}, beta={self.beta.item():.4g}"
