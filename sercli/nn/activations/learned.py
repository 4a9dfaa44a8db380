"""Learned parameters of activations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def learned(values: float | Sequence[float], units: int | None, learn: bool) -> nn.Parameter:
    """Make a parameter of one or several numbers, shared by all units or one per unit.

    Args:
        values: The initial number, or n of them. They are rounded to single precision, so that
            a module made in double precision equals one converted by ``.double()``.
        units: H, if every unit has numbers of its own; None: all share them.
        learn: Train it.

    Returns:
        A parameter of shape () or (n,); with ``units`` (H,) or (n, H).
    """
    start = torch.tensor(values, dtype=torch.float32).to(torch.get_default_dtype())
    if units is not None:
        start = start.unsqueeze(-1).repeat_interleave(units, dim=-1)
    return nn.Parameter(start, requires_grad=learn)


def single(number: float) -> float:
    """Round to single precision, as `learned` does.

    A bound of a clamp must be rounded like a parameter that starts on it: 0.01 in single
    precision lies below 0.01 in double precision, and would be frozen.
    """
    return torch.tensor(number, dtype=torch.float32, device="cpu").item()


def straight_through(parameter: Tensor, value: Tensor) -> Tensor:
    """Return ``value`` with the gradient of ``parameter``.

    A learned number beyond a bound is not frozen: its gradient can lead it back.
    """
    return parameter + (value - parameter).detach()
