"""Run batches through stacks of recurrent layers, level by level, several stacks at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from sercli.errors import RequestError
from sercli.nn.recurrence import Cell, Recurrence, State, Unrolled, recur

FinalState = Tensor | tuple[Tensor, ...]
"""h of each level and direction (D·L, B, H), or a tuple of it and the like (LSTM: h and c)."""

Level = Callable[[Tensor], list[Recurrence]]
"""From the input (T, B, I) of a level to its recurrences, one for each direction."""

Finish = Callable[[Tensor, list[State]], tuple[Any, Any]]
"""Assembly of a layer's result from the output of the last level and all final states."""


class StackPass:
    """One pass of a batch through a stack: ask for `recurrences`, give back to `receive`.

    `RecurrentLayer.stack_pass` makes it, `run_parallel` runs it.

    Args:
        cell: The cell of all levels.
        levels: The levels, from the first up.
        steps: The input of the first level, (T, B, I).
        finish: Makes the result.
        on_states: Called with the states (T, B, H) of every recurrence.
    """

    def __init__(
        self,
        cell: Cell,
        levels: Sequence[Level],
        steps: Tensor,
        finish: Finish,
        on_states: Sequence[Callable[[Tensor], None]] = (),
    ) -> None:
        self.cell = cell
        self._levels = list(levels)
        self._steps = steps
        self._finish = finish
        self._on_states = on_states
        self._finals: list[State] = []

    @property
    def done(self) -> bool:
        """True if no level is left."""
        return not self._levels

    def recurrences(self) -> list[Recurrence]:
        """Return the recurrences of the next level."""
        return self._levels.pop(0)(self._steps)

    def receive(self, unrolled: Sequence[Unrolled]) -> None:
        """Take the results of those recurrences, in their order, as the input of the next level."""
        for each in unrolled:
            for hook in self._on_states:
                hook(each.states)
        self._finals += [each.final for each in unrolled]
        self._steps = _side_by_side(unrolled)

    def result(self) -> tuple[Any, Any]:
        """Return the output and the final state, when all levels are done."""
        return self._finish(self._steps, self._finals)


def _side_by_side(unrolled: Sequence[Unrolled]) -> Tensor:
    """Concatenate states (T, B, H) along their features, in the order of their memory."""
    states = [each.states for each in unrolled]
    joint = unrolled[0].joint
    if joint is not None and joint.shape[-1] == sum(each.shape[-1] for each in states):
        return joint
    if not states[1:]:
        return states[0]
    if states[0].stride(0) > states[0].stride(1):
        return torch.cat(states, -1)
    return torch.cat([each.transpose(0, 1) for each in states], -1).transpose(0, 1)


def run_parallel(passes: Sequence[StackPass]) -> list[tuple[Any, Any]]:
    """Run several layers, each on a batch of its own, with all their recurrences in parallel.

    The first level of all stacks runs in one call of the backend, then the second, and so on;
    layers of different cells run in one call per cell. The results equal those of calling one
    layer after the other.

    Args:
        passes: The pass through each layer: `RecurrentLayer.stack_pass`.

    Returns:
        Output and final state of each.

    >>> import torch
    >>> from sercli.nn import GRU, run_parallel
    >>> speech, text = GRU(45, 64), GRU(300, 32)
    >>> calls = [speech.stack_pass(torch.randn(9, 2, 45)), text.stack_pass(torch.randn(4, 2, 300))]
    >>> [tuple(output.shape) for output, _ in run_parallel(calls)]
    [(9, 2, 64), (4, 2, 32)]
    """
    while waiting := [each for each in passes if not each.done]:
        by_cell: dict[Cell, list[StackPass]] = {}
        for each in waiting:
            by_cell.setdefault(each.cell, []).append(each)
        for cell, members in by_cell.items():
            levels = [each.recurrences() for each in members]
            unrolled = iter(recur(cell, [each for level in levels for each in level]))
            for member, level in zip(members, levels, strict=True):
                member.receive(list(islice(unrolled, len(level))))
    return [each.result() for each in passes]


def split_state(
    hx: FinalState, num_states: int, shape: tuple[int, int, int], unbatched: bool
) -> list[State]:
    """Split an initial state among the recurrences of a stack.

    Args:
        hx: The state as the caller gives it.
        num_states: Tensors of a state.
        shape: (D·L, B, H).
        unbatched: True if hx belongs to a single sequence and lacks the axis B.

    Raises:
        RequestError: hx has another number of parts or other shapes.
    """
    parts = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    if len(parts) != num_states:
        raise RequestError(f"hx has {len(parts)} parts: expected {num_states}")
    expected = (shape[0], shape[2]) if unbatched else shape
    for part in parts:
        if part.shape != expected:
            raise RequestError(f"hx of shape {tuple(part.shape)}: expected {expected}")
    if unbatched:
        parts = tuple(part.unsqueeze(1) for part in parts)
    return list(zip(*(part.unbind(0) for part in parts), strict=True))


def stack_states(
    finals: Sequence[State], num_states: int, unbatched: bool, dtype: torch.dtype
) -> FinalState:
    """Stack the final states of all recurrences in the form that the caller gets."""
    parts = tuple(torch.stack([each[i] for each in finals]).to(dtype) for i in range(num_states))
    if unbatched:
        parts = tuple(part.squeeze(1) for part in parts)
    return parts if num_states > 1 else parts[0]
