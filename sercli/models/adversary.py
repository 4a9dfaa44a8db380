"""Adversarial regularisation: a hidden code is pressed into the shape of a prior."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PriorAdversary(nn.Module):
    """A judge that tells codes from draws of N(0, I), and that the codes learn to mislead.

    The idea is that of the adversarial autoencoder (Makhzani et al. 2015, arXiv 1511.05644).
    There the judge and the encoder take steps in turn; here one step does both, because the
    gradient that the judge's loss sends into the codes is reversed (Ganin and Lempitsky 2015,
    arXiv 1409.7495): our choice, so that a model needs one optimiser. The noise comes from
    torch's generator.

    Args:
        size: Features of a code.
        units: Features of the judge's hidden layer.
    """

    def __init__(self, size: int, units: int) -> None:
        super().__init__()
        self.judge = nn.Sequential(nn.Linear(size, units), nn.ReLU(), nn.Linear(units, 1))

    def forward(self, codes: Tensor) -> Tensor:
        """Return the judge's cross entropy on codes (B, size) and as many draws: a scalar."""
        reversed_codes = 2 * codes.detach() - codes  # the codes, with the slope −1
        scores = self.judge(torch.cat([torch.randn_like(codes), reversed_codes])).squeeze(-1)
        drawn = torch.arange(len(scores), device=scores.device) < len(codes)
        return F.binary_cross_entropy_with_logits(scores, drawn.to(scores))
