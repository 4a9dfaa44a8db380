"""The optimiser of a configuration, from ``torch.optim``."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from sercli.config.schema import OptimConfig


def make_optimiser(parameters: Iterable[nn.Parameter], optim: OptimConfig) -> torch.optim.Optimizer:
    """Return the optimiser of parameters."""
    return torch.optim.Adam(
        parameters,
        lr=optim.lr,
        weight_decay=optim.weight_decay,
        fused=True,  # one pass over each parameter instead of ten
    )
