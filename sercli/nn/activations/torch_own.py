"""Activations that torch has already."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.nn.activations import ACTIVATIONS


@ACTIVATIONS.register("tanh")
class Tanh(nn.Module):
    """tanh(x), the candidate activation of the original GRU (Cho et al. 2014)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation to every element of ``x``."""
        return torch.tanh(x)


@ACTIVATIONS.register("relu")
class ReLU(nn.Module):
    """max(0, x): the R-GRU of Rajamani et al. (2021), Table 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation to every element of ``x``."""
        return torch.relu(x)


@ACTIVATIONS.register("leaky_relu")
class LeakyReLU(nn.Module):
    """X where x ≥ 0, else slope·x (Maas et al. 2013).

    Args:
        slope: Slope of the negative part; 0.01 is the value of Maas et al.
    """

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation to every element of ``x``."""
        return F.leaky_relu(x, self.slope)
