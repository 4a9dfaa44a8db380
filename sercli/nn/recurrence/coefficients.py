"""The activations of a loop over time: coefficients once per sequence, a formula per step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.nn.activations import Activation
from sercli.nn.recurrence.operands import Phi, Recurrence


def coefficients(recurrences: Sequence[Recurrence]) -> list[tuple[Tensor, ...]]:
    """Compute the coefficients of the activation of every recurrence.

    An activation that several recurrences share is computed once for each shape of a step, so
    that they share its noise too.

    Returns:
        For each recurrence its coefficients, in the dtype of its weights, each of a shape that
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
            asked[key] = coefficients_of(recurrence.activation, shape, hidden.dtype)
        found.append(asked[key])
    return found


def formula(activation: nn.Module, numbers: Sequence[tuple[Tensor, ...]]) -> Phi:
    """Return the activation of a group as a function of ([G,] B, H).

    Args:
        activation: The activation of any member; their formulas are the same.
        numbers: The coefficients of each member.
    """
    if not isinstance(activation, Activation):
        return _checked(activation)
    given = numbers[0] if len(numbers) == 1 else tuple(map(_stacked, zip(*numbers, strict=True)))
    plain = activation.formula
    return (lambda x: plain(x, *given)) if given else plain


def coefficients_of(
    activation: nn.Module, shape: torch.Size, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """Compute the coefficients of one activation for states of a shape (B, H)."""
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


def _checked(activation: nn.Module) -> Phi:
    def apply(x: Tensor) -> Tensor:
        out: Tensor = activation(x)
        if out.shape != x.shape:
            raise RequestError(
                f"activation {type(activation).__name__}: returns {tuple(out.shape)} for "
                f"{tuple(x.shape)}: it must work element by element"
            )
        return out

    return apply


def _stacked(numbers: Sequence[Tensor]) -> Tensor:
    """One coefficient of G recurrences, each (), (H,) or (B, H), as (G, 1 or B, 1 or H)."""
    first = numbers[0]
    if all(number is first for number in numbers):
        return first
    shapes = [number.shape for number in numbers]
    shape = torch.broadcast_shapes((1, 1), *shapes)  # type: ignore[no-untyped-call]
    return torch.stack([number.expand(shape) for number in numbers])
