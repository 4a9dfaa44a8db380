"""Masks of padding, and pooling over the real steps of a sequence without attention."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Pooling = Callable[[Tensor, Tensor], Tensor]
"""From states (B, T, H) and valid (B, T) to (B, H)."""


def valid_steps(lengths: Tensor, steps: int) -> Tensor:
    """Mark the real steps of each sequence.

    Args:
        lengths: Number of real steps of each sequence, (B,).
        steps: Length T of the padded batch.

    Returns:
        Boolean (B, T), true where a step is real.

    >>> import torch
    >>> valid_steps(torch.tensor([2, 3]), 3)
    tensor([[ True,  True, False],
            [ True,  True,  True]])
    """
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def mean_over_time(states: Tensor, valid: Tensor) -> Tensor:
    """Return the mean over the real steps, (B, H).

    >>> import torch
    >>> states, valid = torch.arange(6.0).view(1, 3, 2), torch.tensor([[True, True, False]])
    >>> mean_over_time(states, valid)
    tensor([[1., 2.]])
    """
    real = states.masked_fill(~valid.unsqueeze(-1), 0.0)
    return real.sum(dim=1) / valid.sum(dim=1, keepdim=True)


def deviation_over_time(states: Tensor, valid: Tensor) -> Tensor:
    """Return the standard deviation over the real steps, dividing by their number, (B, H).

    It is at least 10⁻⁶, since the slope of a root at 0 is infinite.

    >>> import torch
    >>> states, valid = torch.arange(6.0).view(1, 3, 2), torch.tensor([[True, True, False]])
    >>> deviation_over_time(states, valid)
    tensor([[1., 1.]])
    """
    away = states - mean_over_time(states, valid).unsqueeze(1)
    return mean_over_time(away.square(), valid).clamp(min=1e-12).sqrt()


def largest_over_time(states: Tensor, valid: Tensor) -> Tensor:
    """Return the largest value of each feature over the real steps, (B, H).

    >>> import torch
    >>> states, valid = torch.arange(6.0).view(1, 3, 2), torch.tensor([[True, True, False]])
    >>> largest_over_time(states, valid)
    tensor([[2., 3.]])
    """
    return states.masked_fill(~valid.unsqueeze(-1), -torch.inf).amax(dim=1)


def ends_of_directions(states: Tensor, valid: Tensor) -> Tensor:
    """Return the last states of both directions of a bidirectional layer, (B, H).

    The first half of the features runs forward and ends at the last real step; the second half
    runs backward and ends at the first one.

    >>> import torch
    >>> states, valid = torch.arange(6.0).view(1, 3, 2), torch.tensor([[True, True, False]])
    >>> ends_of_directions(states, valid)
    tensor([[2., 1.]])
    """
    forward, backward = states.chunk(2, dim=-1)
    last = (valid.sum(dim=1) - 1).view(-1, 1, 1).expand(-1, 1, forward.shape[-1])
    return torch.cat([forward.gather(1, last)[:, 0], backward[:, 0]], dim=-1)
