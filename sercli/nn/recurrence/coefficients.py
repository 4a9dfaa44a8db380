"""The coefficients of the activations, asked once for a whole sequence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.nn.activations import Activation
from sercli.nn.recurrence.operands import Recurrence


def coefficients(recurrences: Sequence[Recurrence]) -> list[tuple[Tensor, ...]]:
    """Ask the activation of every recurrence for the coefficients of its formula.

    An activation that several recurrences share is asked once for each shape of a step, so
    that they share its noise as well.

    Returns:
        For each recurrence the coefficients, in the dtype of its weights, each of a shape that
        broadcasts to (B, H); none for a module that is no `Activation`.

    Raises:
        RequestError: A coefficient does not broadcast to (B, H).
    """
    asked: dict[tuple[int, torch.Size], tuple[Tensor, ...]] = {}
    found = []
    for recurrence in recurrences:
        hidden = recurrence.weights.hidden
        shape = torch.Size((recurrence.inputs.shape[1], hidden.shape[1]))
        key = id(recurrence.activation), shape
        if key not in asked:
            asked[key] = _ask(recurrence.activation, shape, hidden.dtype)
        found.append(asked[key])
    return found


def _ask(activation: nn.Module, shape: torch.Size, dtype: torch.dtype) -> tuple[Tensor, ...]:
    if not isinstance(activation, Activation):
        return ()
    numbers = activation.coefficients(shape)
    for number in numbers:
        if not _fits(number.shape, shape):
            raise RequestError(
                f"activation {type(activation).__name__}: parameters of shape "
                f"{tuple(number.shape)} do not fit the {shape[1]} units of the cell"
            )
    return tuple(number.to(dtype) for number in numbers)


def _fits(small: torch.Size, large: torch.Size) -> bool:
    pairs = zip(reversed(small), reversed(large), strict=False)
    return len(small) <= len(large) and all(a in (1, b) for a, b in pairs)
