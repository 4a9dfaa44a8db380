"""The loss of dimensional labels by their concordance correlation coefficient (CCC, Lin 1989)."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST = 1e-8
"""Lower limit of the denominator (our choice): a batch of equal outputs and labels has no CCC."""


def ccc_loss(outputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return Σ_d w_d (1 − CCC_d) over a batch (Atmaja & Akagi 2020, ICASSP).

    >>> labels = torch.tensor([[-1.0], [0.0], [1.0]])
    >>> ccc_loss(labels, labels, torch.ones(1))
    tensor(0.)

    CCC = 2 cov(x, y) / (var x + var y + (mean x − mean y)²) with the covariance and variances of
    the batch as a population (divided by n). The weights are not normalised.

    Args:
        outputs: (B, dimensions).
        targets: (B, dimensions).
        weights: w, (dimensions,).

    Returns:
        A scalar, in float32 at least.
    """
    exact = torch.promote_types(outputs.dtype, torch.float32)
    x, y = outputs.to(exact), targets.to(exact)
    mean_x, mean_y = x.mean(dim=0), y.mean(dim=0)
    dx, dy = x - mean_x, y - mean_y
    spread = dx.square().mean(dim=0) + dy.square().mean(dim=0) + (mean_x - mean_y).square()
    ccc = 2 * (dx * dy).mean(dim=0) / spread.clamp(min=SMALLEST)
    return (weights.to(exact) * (1 - ccc)).sum()
