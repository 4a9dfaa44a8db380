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


def reverse_within(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each sequence within its own length; padding stays where it is.

    Args:
        x: Padded batch, time first: (T, B, …).
        lengths: (B,).

    Returns:
        A tensor like ``x``. Reversing twice gives ``x`` again.
    """
    time = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    mirrored = torch.where(time < lengths, lengths - 1 - time, time)
    return x.gather(0, mirrored.reshape(*mirrored.shape, *[1] * (x.dim() - 2)).expand_as(x))
