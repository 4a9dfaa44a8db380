"""Masks of padding, and pooling over the real steps of a sequence without attention."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Pooling = Callable[[Tensor, Tensor], Tensor]
"""Makes (B, H) of states (B, T, H) and valid (B, T)."""


def valid_steps(lengths: Tensor, steps: int) -> Tensor:
    """Mark the real steps of each sequence.

    Args:
        lengths: Number of real steps of each sequence, (B,).
        steps: Length T of the padded batch.

    Returns:
        Boolean (B, T), true where a step is real.
    """
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def mean_over_time(states: Tensor, valid: Tensor) -> Tensor:
    """Return the mean over the real steps, (B, H)."""
    real = states.masked_fill(~valid.unsqueeze(-1), 0.0)
    return real.sum(dim=1) / valid.sum(dim=1, keepdim=True)


def deviation_over_time(states: Tensor, valid: Tensor) -> Tensor:
    """Return the standard deviation over the real steps, dividing by their number, (B, H).

    Of a feature that does not change it is 10⁻⁶, because the slope of a root at 0 is infinite.
    """
    away = states - mean_over_time(states, valid).unsqueeze(1)
    return mean_over_time(away.square(), valid).clamp(min=1e-12).sqrt()


def largest_over_time(states: Tensor, valid: Tensor) -> Tensor:
    """Return the largest value of each feature over the real steps, (B, H)."""
    return states.masked_fill(~valid.unsqueeze(-1), -torch.inf).amax(dim=1)


def ends_of_directions(states: Tensor, valid: Tensor) -> Tensor:
    """Return where the two directions of a bidirectional layer end, (B, H).

    The first half of the features runs forward and ends at the last real step; the second half
    runs back and ends at the first one.
    """
    forward, backward = states.chunk(2, dim=-1)
    rows = torch.arange(len(states), device=states.device)
    return torch.cat([forward[rows, valid.sum(dim=1) - 1], backward[:, 0]], dim=-1)
