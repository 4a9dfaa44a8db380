"""The loop over time as one operator for exporting a network: that of ONNX, else a `scan`.

`torch.export` would write a step of the eager loop for every time step of its example. With a scan
the graph has one step, and T stays variable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sercli.nn.pooling import valid_steps
from sercli.nn.recurrence.coefficients import coefficients_of, formula
from sercli.nn.recurrence.grouping import initial_state, projected, step_weights, to_loop_order
from sercli.nn.recurrence.onnx_operators import OnnxActivation, apply_operator, has_operator
from sercli.nn.recurrence.operands import Cell, Phi, Recurrence, State, StepWeights, Unrolled


def unroll(
    cell: Cell, recurrences: Sequence[Recurrence], known: Mapping[int, OnnxActivation]
) -> list[Unrolled]:
    """Run a cell over several batches, one after the other; see `sercli.nn.recurrence.eager`.

    Args:
        cell: The cell.
        recurrences: The batches.
        known: Id of an activation → its operator in ONNX; others need a scan.
    """
    return [
        apply_operator(cell, each, known[id(each.activation)])
        if id(each.activation) in known and has_operator(cell, each)
        else _run(cell, each, _phi(each))
        for each in recurrences
    ]


def _phi(recurrence: Recurrence) -> Phi:
    hidden, activation = recurrence.weights.hidden, recurrence.activation
    shape = torch.Size((recurrence.inputs.shape[1], hidden.shape[1]))
    numbers = coefficients_of(activation, shape, hidden.dtype)
    return formula(activation, [tuple(number.clone() for number in numbers)])


def _run(cell: Cell, recurrence: Recurrence, phi: Phi) -> Unrolled:
    from torch._higher_order_ops.scan import scan  # imports torch._dynamo

    steps = recurrence.inputs.shape[0]
    padding = ~valid_steps(recurrence.lengths, steps).t().unsqueeze(-1)
    real = recurrence.inputs.masked_fill(padding, 0.0)
    inputs = projected(cell, [recurrence], to_loop_order(recurrence, real))
    weights = _separate(step_weights(cell, [recurrence]))

    def step(state: State, at: tuple[Tensor, ...]) -> tuple[State, Tensor]:
        *x, padded = at
        fed = tuple(part.masked_fill(padded, 0.0) for part in state)
        moved = cell.step(tuple(x), fed, weights, phi)
        new = tuple(torch.where(padded, old, part) for old, part in zip(state, moved, strict=True))
        return new, new[0].clone()

    final, states = scan(
        step,
        tuple(part.clone() for part in initial_state(cell, [recurrence])),
        (*inputs, to_loop_order(recurrence, padding)),
        dim=0,
    )
    found = to_loop_order(recurrence, states).masked_fill(padding, 0.0)
    return Unrolled(found, tuple(final))


def _separate(weights: StepWeights) -> StepWeights:
    """Return weights that share no memory, as `scan` requires, with a bias (n,).

    In an export, an axis of 1 becomes one of any size, over which nothing is broadcast: a column
    of scores is repeated for every unit.
    """
    hidden = tuple(part.clone() for part in weights.hidden)
    extra = tuple(
        part.repeat(1, len(part)) if part.shape[1] == 1 else part for part in weights.extra
    )
    return replace(weights, hidden=hidden, bias=weights.bias.squeeze(0), extra=extra)
