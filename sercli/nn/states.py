"""The forms in which a recurrent layer takes and returns its state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sercli.errors import RequestError
from sercli.nn.recurrence.operands import State

if TYPE_CHECKING:
    from sercli.nn.layer import RecurrentLayer

Final = Tensor | tuple[Tensor, ...]
"""h of each level and direction (D·L, B, H), or a tuple of it and the like (LSTM: h and c)."""


def taken_apart(hx: Final, carried: int, shape: tuple[int, int, int], alone: bool) -> list[State]:
    """Give each recurrence of a stack its part of an initial state.

    Args:
        hx: What the caller gave.
        carried: How many tensors a state has.
        shape: (D·L, B, H).
        alone: Whether hx belongs to a single sequence and lacks the axis B.

    Raises:
        RequestError: hx has other parts or shapes.
    """
    parts = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    if len(parts) != carried:
        raise RequestError(f"hx has {len(parts)} parts: expected {carried}")
    expected = (shape[0], shape[2]) if alone else shape
    for part in parts:
        if part.shape != expected:
            raise RequestError(f"hx of shape {tuple(part.shape)}: expected {expected}")
    if alone:
        parts = tuple(part.unsqueeze(1) for part in parts)
    return list(zip(*(part.unbind(0) for part in parts), strict=True))


def put_together(finals: Sequence[State], carried: int, alone: bool, dtype: torch.dtype) -> Final:
    """Bring the final states of all recurrences of a stack to the form that the caller gets."""
    parts = tuple(torch.stack([each[i] for each in finals]).to(dtype) for i in range(carried))
    if alone:
        parts = tuple(part.squeeze(1) for part in parts)
    return parts if carried > 1 else parts[0]


def last_state(layer: RecurrentLayer, final: Final) -> Tensor:
    """Return the visible final state of the last level, its directions side by side.

    Args:
        layer: The layer that returned it.
        final: What it returned as final state.

    Returns:
        (B, D·H); of a single sequence (D·H,).
    """
    visible = final if isinstance(final, Tensor) else final[0]
    directions = 2 if layer.bidirectional else 1
    return torch.cat(visible[-directions:].unbind(0), dim=-1)
