"""How the work of a call is cut into programs.

The recurrent weights of a program stay in the shared memory of a multiprocessor for the whole
sequence. Where those of all units do not fit, each program has a slice of the units.
"""

from __future__ import annotations

from dataclasses import dataclass

from sercli.nn.recurrence.cpp.build import NoKernelError

_SHARE = 0.88
"""Share of the shared memory that weights may take; products need some beside them."""

_LARGEST_TILE = 16
_LARGEST_WHOLE = 128
_LARGEST_SLICE = 32
_MOST_SUMS = 256
"""Rows × units of a product in float32 where several programs share a tile: beyond these, threads
run out of registers."""

_MOST_UNITS = 512


@dataclass(frozen=True)
class Layout:
    """The sizes of programs.

    Attributes:
        rows: Sequences of a tile, BM.
        width: H rounded up to a power of two, HP.
        units: Units of a slice, HS.
        parts: Parts into which the sum of a product is cut, among the threads of a program.
        warps: Warps of a program.
        at_once: Recurrences of a launch.
    """

    rows: int
    width: int
    units: int
    parts: int
    warps: int
    at_once: int

    @property
    def slices(self) -> int:
        """Programs that share a tile."""
        return self.width // self.units


def choose(
    recurrences: int,
    batch: int,
    hidden: int,
    gates: int,
    precision: str,
    processors: int,
    shared: int,
) -> Layout:
    """Choose the sizes for a call.

    Args:
        recurrences: G.
        batch: B.
        hidden: H.
        gates: Blocks of H rows in the weights.
        precision: Of products: ``ieee``, ``tf32`` or ``bf16``.
        processors: Multiprocessors of the device.
        shared: Bytes of shared memory that a program can have.

    Raises:
        NoKernelError: There are too many units.
    """
    if hidden > _MOST_UNITS:
        raise NoKernelError(f"the kernel takes {_MOST_UNITS} units, not {hidden}")
    width = max(16, 1 << (hidden - 1).bit_length())
    units = width if width <= _LARGEST_WHOLE else _LARGEST_SLICE
    size = 2 if precision == "bf16" else 4
    while gates * width * units * size > _SHARE * shared:
        units //= 2
    slices = width // units
    smallest = 4 if precision == "ieee" else 16  # of tensor cores
    rows = smallest
    largest = _LARGEST_TILE
    if slices > 1 and precision == "ieee":
        largest = max(smallest, min(largest, _MOST_SUMS // units))
    while rows < largest and recurrences * -(-batch // rows) * slices > processors:
        rows *= 2
    at_once = recurrences
    if slices > 1:  # all programs that wait for each other must run at the same time
        at_once = max(1, processors // (-(-batch // rows) * slices))
    parts = 1 if width <= _LARGEST_WHOLE else max(1, min(width // 32, 4096 // (rows * units)))
    return Layout(rows, width, units, parts, 8, at_once)
