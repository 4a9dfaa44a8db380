"""The loop over time in plain PyTorch, on any device and for every cell.

Recurrences of equal shapes run in parallel: each step computes all of them.

A padded step computes on zeros in place of its input and state, and its result is discarded: the
state stays as it was. So neither its value nor its gradient reaches a real step, whatever the
padding holds, and no 0 · ∞ arises next to a huge state. A reversed recurrence passes its padding
first, in its initial state.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from sercli.nn.recurrence.coefficients import coefficients, formula
from sercli.nn.recurrence.grouping import (
    Padding,
    group_key,
    initial_state,
    projected_inputs,
    step_weights,
    to_loop_order,
)
from sercli.nn.recurrence.operands import Cell, Phi, Recurrence, State, Unrolled


def unroll(cell: Cell, recurrences: Sequence[Recurrence]) -> list[Unrolled]:
    """Run a cell over several batches, as `sercli.nn.recurrence.recur`.

    Under autocast the products are computed in its dtype, and all sums and states in the dtype
    of the weights, which is also that of the result.
    """
    numbers = coefficients(recurrences)
    groups: dict[Hashable, list[int]] = {}
    for i, recurrence in enumerate(recurrences):
        groups.setdefault(group_key(recurrence) or i, []).append(i)
    done: dict[int, Unrolled] = {}
    for members in groups.values():
        group = [recurrences[i] for i in members]
        phi = formula(group[0].activation, [numbers[i] for i in members])
        done |= zip(members, _run(cell, group, phi), strict=True)
    return [done[i] for i in range(len(recurrences))]


def _run(cell: Cell, group: Sequence[Recurrence], phi: Phi) -> list[Unrolled]:
    padding = [Padding.of(recurrence) for recurrence in group]
    inputs = projected_inputs(cell, group, padding)
    weights = step_weights(cell, group)
    state = initial_state(cell, group)
    states = []
    for x, padded in zip(inputs, Padding.by_step(group, padding), strict=True):
        if padded is None:
            state = cell.step(x, state, weights, phi)
        else:
            fed = tuple(part.masked_fill(padded, 0.0) for part in state)
            moved = cell.step(x, fed, weights, phi)
            state = _chosen(padded, state, moved)
        states.append(state[0])
    if len(group) == 1:
        return [_unrolled(group[0], padding[0], torch.stack(states), state)]
    sequences = torch.stack(states, dim=1).unbind(0)
    finals = zip(*(part.unbind(0) for part in state), strict=True)
    return [_unrolled(*parts) for parts in zip(group, padding, sequences, finals, strict=True)]


def _chosen(where: Tensor, held: State, moved: State) -> State:
    return tuple(torch.where(where, old, new) for old, new in zip(held, moved, strict=True))


def _unrolled(recurrence: Recurrence, padding: Padding, states: Tensor, final: State) -> Unrolled:
    return Unrolled(padding.zeroed(to_loop_order(recurrence, states)), final)
