"""What the activations with learned numbers have in common."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def learned(values: float | Sequence[float], units: int | None, learn: bool) -> nn.Parameter:
    """Make a parameter of one or several numbers, for all units or for each.

    Args:
        values: The initial number, or n of them. They are rounded to single precision, so that
            a module made in double precision equals one that ``.double()`` turned into it.
        units: H, where every unit has numbers of its own; None: all share them.
        learn: Whether it is trained.

    Returns:
        A parameter of shape () or (n,); with ``units`` (H,) or (n, H).
    """
    start = torch.tensor(values, dtype=torch.float32).to(torch.get_default_dtype())
    if units is not None:
        start = start.unsqueeze(-1).repeat_interleave(units, dim=-1)
    return nn.Parameter(start, requires_grad=learn)


def single(number: float) -> float:
    """Round to single precision, as `learned` does.

    A bound of a clamp must be rounded like the parameter that may start on it: 0.01 in single
    precision, read in double precision, lies below 0.01 and would be frozen.
    """
    return torch.tensor(number, dtype=torch.float32).item()


def straight_through(parameter: Tensor, value: Tensor) -> Tensor:
    """Return ``value`` with the gradient of ``parameter``.

    So a bound holds a learned number without freezing it: its gradient can lead it back.
    """
    return parameter + (value - parameter).detach()
