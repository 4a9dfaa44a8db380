"""The operands of a loop over time, of one recurrence or of G side by side.

The tensors of several recurrences are stacked on an axis G in front; a recurrence alone has no
such axis. Time is taken apart once by ``unbind``: indexing a step inside the loop would make
the backward pass quadratic in T.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.nn.activations import Activation
from sercli.nn.recurrence.operands import Cell, Phi, Recurrence, State, StepWeights
from sercli.nn.recurrence.padding import Padding
from sercli.nn.recurrence.product import affine, for_products


def alike(recurrence: Recurrence) -> tuple[Hashable, ...] | None:
    """Say what recurrences must have in common to run side by side; None: this one runs alone.

    Modules that are no `Activation` run alone: to some of them axes mean something, and so
    they only ever see (B, H).
    """
    inputs, weights = recurrence.inputs, recurrence.weights
    if not isinstance(recurrence.activation, Activation):
        return None
    return (
        inputs.shape,
        inputs.dtype,
        inputs.device,
        weights.hidden.shape,
        weights.input is None,
        _structure(recurrence.activation),
    )


def _structure(activation: Activation) -> Hashable:
    """What the formula of an activation can depend on beside its coefficients."""
    settings = {name: value for name, value in vars(activation).items() if not name.startswith("_")}
    if all(isinstance(value, str | int | float | tuple | None) for value in settings.values()):
        return type(activation), tuple(settings.items())
    return id(activation)


def formula(activation: nn.Module, numbers: Sequence[tuple[Tensor, ...]]) -> Phi:
    """Return the activation of a group as a function of ([G,] B, H).

    Args:
        activation: That of any member: their formulas are alike.
        numbers: The coefficients of each.
    """
    if not isinstance(activation, Activation):
        return _checked(activation)
    given = numbers[0] if len(numbers) == 1 else tuple(map(_stacked, zip(*numbers, strict=True)))
    plain = activation.formula
    return (lambda x: plain(x, *given)) if given else plain


def _checked(activation: nn.Module) -> Phi:
    def apply(x: Tensor) -> Tensor:
        out: Tensor = activation(x)
        if out.shape != x.shape:
            raise RequestError(
                f"activation {type(activation).__name__}: makes {tuple(out.shape)} of "
                f"{tuple(x.shape)}, but must work element by element"
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


def projected_inputs(
    cell: Cell, group: Sequence[Recurrence], padding: Sequence[Padding]
) -> list[tuple[Tensor, ...]]:
    """Compute W x_t + b for all rounds, in the blocks that the cell wants, ([G,] B, n·H) each."""
    x = _side_by_side(
        [in_running_order(r, p.zeroed(r.inputs)) for r, p in zip(group, padding, strict=True)]
    )
    if group[0].weights.input is not None:
        weight = _side_by_side([for_products(_input_weight(r).t()) for r in group])
        bias = _side_by_side([_input_bias(cell, r) for r in group])
        flat = affine(bias, x.flatten(-3, -2), weight)
        x = flat.reshape(*x.shape[:-1], flat.shape[-1])
    blocks = _blocks(x, cell.inputs, group[0].weights.hidden.shape[1])
    return list(zip(*(block.unbind(-3) for block in blocks), strict=True))


def in_running_order(recurrence: Recurrence, x: Tensor) -> Tensor:
    """Turn (T, B, n) between the order of time and that of the loop."""
    return x.flip(0) if recurrence.reverse else x


def step_weights(cell: Cell, group: Sequence[Recurrence]) -> StepWeights:
    """Bring the weights of a group to the form in which a step uses them."""
    weights = [recurrence.weights for recurrence in group]
    hidden = _side_by_side([for_products(each.hidden.t()) for each in weights])
    extra = zip(*(each.extra for each in weights), strict=True)
    return StepWeights(
        hidden=_blocks(hidden, cell.products, hidden.shape[-2]),
        bias=_side_by_side([_bias(each.hidden_bias, each.hidden) for each in weights]),
        extra=tuple(_side_by_side([for_products(part) for part in parts]) for parts in extra),
    )


def initial_state(cell: Cell, group: Sequence[Recurrence]) -> State:
    """The state before the first round, each ([G,] B, H)."""
    hidden = group[0].weights.hidden
    zeros = hidden.new_zeros(group[0].inputs.shape[1], hidden.shape[1])
    return tuple(
        _side_by_side([r.initial[i] if i < len(r.initial) else zeros for r in group])
        for i in range(cell.states)
    )


def _side_by_side(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.stack(list(tensors))


def _blocks(x: Tensor, sizes: Sequence[int], hidden: int) -> tuple[Tensor, ...]:
    return (x,) if len(sizes) == 1 else x.split_with_sizes([n * hidden for n in sizes], -1)


def _input_weight(recurrence: Recurrence) -> Tensor:
    assert recurrence.weights.input is not None
    return recurrence.weights.input


def _input_bias(cell: Cell, recurrence: Recurrence) -> Tensor:
    """All bias that does not meet the state, (1, gates·H)."""
    weights = recurrence.weights
    bias = _bias(weights.input_bias, weights.hidden)
    return bias if cell.inner_bias else bias + _bias(weights.hidden_bias, weights.hidden)


def _bias(bias: Tensor | None, hidden: Tensor) -> Tensor:
    return hidden.new_zeros(1, hidden.shape[0]) if bias is None else bias.unsqueeze(0)
