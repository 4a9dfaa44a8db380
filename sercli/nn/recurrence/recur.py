"""The one function through which every recurrent layer runs."""

from __future__ import annotations

from collections.abc import Sequence

from sercli.nn.recurrence import eager
from sercli.nn.recurrence.backend import chosen_backend, fall_back
from sercli.nn.recurrence.cpp import fused
from sercli.nn.recurrence.cpp.build import NoKernelError
from sercli.nn.recurrence.operands import Cell, Recurrence, Unrolled


def recur(cell: Cell, recurrences: Sequence[Recurrence]) -> list[Unrolled]:
    """Run a cell over several independent batches, each with weights of its own.

    Which backend runs is a setting of the process: `sercli.nn.use_backend`.

    Args:
        cell: The cell.
        recurrences: The batches; their shapes may differ.

    Returns:
        What came of each, in the same order.

    Raises:
        RequestError: An activation does not fit the states, or the fused kernel was asked for
            by name and cannot be had.
    """
    if chosen_backend() != "eager":
        try:
            return fused.run(cell, recurrences)
        except NoKernelError as error:
            fall_back(error)
    return eager.unroll(cell, recurrences)
