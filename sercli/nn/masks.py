"""Which steps of a padded batch are real."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_steps(lengths: Tensor, steps: int) -> Tensor:
    """Mark the real steps of each sequence.

    Args:
        lengths: Number of real steps of each sequence, (B,).
        steps: Length T of the padded batch.

    Returns:
        Boolean (B, T), true where a step is real.
    """
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)
