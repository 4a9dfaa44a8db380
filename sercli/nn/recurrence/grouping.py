"""Group recurrences that run in parallel, and stack their operands for the eager loop.

The tensors of G recurrences are stacked on an axis G in front; a single recurrence has no such
axis. Time is split once by ``unbind``: indexing a step inside the loop would make the backward
pass quadratic in T.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sercli.nn.activations import Activation
from sercli.nn.pooling import valid_steps
from sercli.nn.recurrence.operands import (
    Cell,
    Recurrence,
    State,
    StepWeights,
    affine,
    for_products,
)


@dataclass(frozen=True)
class Padding:
    """The padding of one recurrence.

    Attributes:
        first: The first step at which any sequence is padded; T if none is.
        mask: Boolean (T, B, 1), true where a step is padding; None if none is.
    """

    first: int
    mask: Tensor | None

    @classmethod
    def of(cls, recurrence: Recurrence) -> Padding:
        """Find the padding of a recurrence. The lengths are read once, on the host."""
        steps = recurrence.inputs.shape[0]
        first = min(recurrence.lengths.tolist(), default=steps)
        if first == steps:
            return cls(first, None)
        return cls(first, ~valid_steps(recurrence.lengths, steps).t().unsqueeze(-1))

    def zeroed(self, x: Tensor) -> Tensor:
        """Return (T, B, n) with zeros at padded steps."""
        return x if self.mask is None else x.masked_fill(self.mask, 0.0)

    @staticmethod
    def by_step(group: Sequence[Recurrence], padding: Sequence[Padding]) -> list[Tensor | None]:
        """Return the mask of each step of the loop over a group.

        Returns:
            Boolean ([G,] B, 1), or None if no row is padding, so that most steps of a batch of
            similar lengths need no mask.
        """
        steps, batch, _ = group[0].inputs.shape
        if all(each.mask is None for each in padding):
            return [None] * steps
        none = torch.zeros(steps, batch, 1, dtype=torch.bool, device=group[0].inputs.device)
        masks = []
        for recurrence, each in zip(group, padding, strict=True):
            mask = none if each.mask is None else each.mask
            masks.append(mask.flip(0) if recurrence.reverse else mask)
        stacked = masks[0] if len(masks) == 1 else torch.stack(masks)
        ahead = [p.first for r, p in zip(group, padding, strict=True) if not r.reverse]
        back = [p.first for r, p in zip(group, padding, strict=True) if r.reverse]
        bare = range(steps - min(back, default=steps), min(ahead, default=steps))
        return [None if t in bare else mask for t, mask in enumerate(stacked.unbind(-3))]


def group_key(recurrence: Recurrence) -> tuple[Hashable, ...] | None:
    """Return a key that is equal for recurrences that can run in parallel; None: it runs alone.

    Modules that are no `Activation` run alone: axes have a meaning to some of them, so they
    always receive (B, H).
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
    """Everything that the formula of an activation depends on but its coefficients."""
    settings = {name: value for name, value in vars(activation).items() if not name.startswith("_")}
    if all(isinstance(value, str | int | float | tuple | None) for value in settings.values()):
        return type(activation), tuple(settings.items())
    return id(activation)


def projected_inputs(
    cell: Cell, group: Sequence[Recurrence], padding: Sequence[Padding]
) -> list[tuple[Tensor, ...]]:
    """Return W x_t + b for all steps of the loop, in the blocks of the cell, ([G,] B, n·H) each."""
    inputs = _stacked(
        [to_loop_order(r, p.zeroed(r.inputs)) for r, p in zip(group, padding, strict=True)]
    )
    return list(zip(*(block.unbind(-3) for block in projected(cell, group, inputs)), strict=True))


def projected(cell: Cell, group: Sequence[Recurrence], x: Tensor) -> tuple[Tensor, ...]:
    """Return W x + b in the blocks of the cell, ([G,] T, B, n·H) each.

    Args:
        cell: The cell.
        group: The recurrences.
        x: Their inputs in the order of the loop, with zeros at padded steps, ([G,] T, B, I).
    """
    if group[0].weights.input is not None:
        weight = _stacked([for_products(_input_weight(r).t()) for r in group])
        bias = _stacked([_input_bias(cell, r) for r in group])
        flat = affine(bias, x.flatten(-3, -2), weight)
        x = flat.reshape(*x.shape[:-1], flat.shape[-1])
    return _blocks(x, cell.inputs, group[0].weights.hidden.shape[1])


def to_loop_order(recurrence: Recurrence, x: Tensor) -> Tensor:
    """Convert (T, B, n) between the order of time and that of the loop."""
    return x.flip(0) if recurrence.reverse else x


def step_weights(cell: Cell, group: Sequence[Recurrence]) -> StepWeights:
    """Return the weights of a group in the form that a step uses."""
    weights = [recurrence.weights for recurrence in group]
    hidden = _stacked([for_products(each.hidden.t()) for each in weights])
    extra = zip(*(each.extra for each in weights), strict=True)
    return StepWeights(
        hidden=_blocks(hidden, cell.products, hidden.shape[-2]),
        bias=_stacked([_bias(each.hidden_bias, each.hidden) for each in weights]),
        extra=tuple(_stacked([for_products(part) for part in parts]) for parts in extra),
    )


def initial_state(cell: Cell, group: Sequence[Recurrence]) -> State:
    """Return the state before the first step of the loop, each ([G,] B, H)."""
    hidden = group[0].weights.hidden
    zeros = hidden.new_zeros(group[0].inputs.shape[1], hidden.shape[1])
    return tuple(
        _stacked([r.initial[i] if i < len(r.initial) else zeros for r in group])
        for i in range(cell.states)
    )


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.stack(list(tensors))


def _blocks(x: Tensor, sizes: Sequence[int], hidden: int) -> tuple[Tensor, ...]:
    return (x,) if len(sizes) == 1 else x.split_with_sizes([n * hidden for n in sizes], -1)


def _input_weight(recurrence: Recurrence) -> Tensor:
    assert recurrence.weights.input is not None
    return recurrence.weights.input


def _input_bias(cell: Cell, recurrence: Recurrence) -> Tensor:
    """The biases that are added before the loop, (1, gates·H)."""
    weights = recurrence.weights
    bias = _bias(weights.input_bias, weights.hidden)
    return bias if cell.inner_bias else bias + _bias(weights.hidden_bias, weights.hidden)


def _bias(bias: Tensor | None, hidden: Tensor) -> Tensor:
    return hidden.new_zeros(1, hidden.shape[0]) if bias is None else bias.unsqueeze(0)
