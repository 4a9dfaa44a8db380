"""Several recurrent layers at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from sercli.nn.recurrence import Cell, Recurrence, Unrolled, recur

if TYPE_CHECKING:
    from sercli.nn.layer import Passing, RecurrentLayer


def run_together(
    calls: Sequence[tuple[RecurrentLayer, Tensor, Tensor | None]],
) -> list[tuple[Any, Any]]:
    """Run several layers, each on a batch of its own, with all their recurrences side by side.

    The first level of all stacks runs in one call of the backend, then the second, and so on;
    of different cells, one call each. The result is that of running one layer after the other.

    Args:
        calls: For each layer its input and the lengths (None: no padding).

    Returns:
        Output and final state of each.
    """
    return drive([layer.passing(given, lengths=lengths) for layer, given, lengths in calls])


def drive(passings: Sequence[Passing]) -> list[tuple[Any, Any]]:
    """Run passes through layers, serving what they ask for at the same time in one call."""
    waiting: dict[int, tuple[Cell, list[Recurrence]]] = {}
    results: dict[int, tuple[Any, Any]] = {}

    def go_on(i: int, unrolled: list[Unrolled] | None) -> None:
        try:
            waiting[i] = passings[i].send(unrolled)  # type: ignore[arg-type]  # None: begin
        except StopIteration as end:
            results[i] = end.value

    for i in range(len(passings)):
        go_on(i, None)
    while waiting:
        served = _serve(waiting)
        waiting.clear()
        for i, unrolled in served.items():
            go_on(i, unrolled)
    return [results[i] for i in range(len(passings))]


def _serve(waiting: dict[int, tuple[Cell, list[Recurrence]]]) -> dict[int, list[Unrolled]]:
    by_cell: dict[Cell, list[int]] = {}
    for i, (cell, _) in waiting.items():
        by_cell.setdefault(cell, []).append(i)
    served = {}
    for cell, members in by_cell.items():
        unrolled = iter(recur(cell, [each for i in members for each in waiting[i][1]]))
        for i in members:
            served[i] = [next(unrolled) for _ in waiting[i][1]]
    return served
