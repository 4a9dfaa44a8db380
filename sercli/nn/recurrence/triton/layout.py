"""The sizes of the programs of a call.

The recurrent weights of a program stay on its multiprocessor for the whole sequence: in registers,
one sequence per program, where they fit; else in shared memory, for products of tiles of sequences
on the tensor cores. Where the weights of all units do not fit, each program has a slice of units.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sercli.errors import RequestError
from sercli.nn.recurrence.cpp.build import NoKernelError

_THREADS = 32
_MOST_WARPS = 8
_NUMBERS = 128, 192
"""Weights that a thread holds in its 255 registers: preferably, and at most."""

_CROWD = 4
"""Sequences per multiprocessor beyond which products in low precision run on tensor cores."""

_SHARE = 0.88
"""Share of the shared memory that weights may take; the states need some beside them."""

_ROWS = 16
"""Rows of a product on tensor cores."""

_LARGEST_TILE = 16
_LARGEST_WHOLE = 128
_LARGEST_SLICE = 16
_MOST_UNITS = 512


@dataclass(frozen=True)
class Layout:
    """The sizes of programs.

    Attributes:
        rows: Sequences of a tile, BM.
        width: H rounded up to a power of two, HP.
        units: Units of a slice, HS.
        parts: Parts into which the sum of a product is cut, among the threads of a program; 0:
            weights are in registers.
        warps: Warps of a program.
        at_once: Recurrences of a launch.

    Raises:
        RequestError: The slices do not make up the width.
    """

    rows: int
    width: int
    units: int
    parts: int
    warps: int
    at_once: int

    def __post_init__(self) -> None:
        if self.units > self.width or self.width % self.units:
            raise RequestError(f"slices of {self.units} units do not make up {self.width}")

    @property
    def slices(self) -> int:
        """Programs that share a tile."""
        return self.width // self.units


@lru_cache
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
        precision: Precision of products: ``tf32x3``, ``tf32`` or ``bf16``.
        processors: Multiprocessors of the device.
        shared: Bytes of shared memory that a program can have.

    Raises:
        NoKernelError: There are too many units.
    """
    if hidden > _MOST_UNITS:
        raise NoKernelError(f"the kernel takes {_MOST_UNITS} units, not {hidden}")
    width = max(16, 1 << (hidden - 1).bit_length())
    sequences = recurrences * batch
    if precision == "tf32x3" or sequences <= _CROWD * processors:
        if warps := _warps_for_registers(gates * width * width):
            return Layout(1, width, width, 0, warps, recurrences)
        warps = _warps_for_registers(gates * width * width // 2)
        if warps and 2 * sequences <= processors:
            return Layout(1, width, width // 2, 0, warps, recurrences)
    units = width if width <= _LARGEST_WHOLE else _LARGEST_SLICE
    size = 2 if precision == "bf16" else 4
    while gates * width * units * size > _SHARE * shared:
        units //= 2
    slices = width // units
    rows, at_once = _ROWS, recurrences
    if slices > 1:  # all programs that wait for each other must run at the same time
        while rows < _LARGEST_TILE and recurrences * -(-batch // rows) * slices > processors:
            rows *= 2
        at_once = max(1, processors // (-(-batch // rows) * slices))
    parts = 1 if width <= _LARGEST_WHOLE else max(1, min(width // 32, 4096 // (rows * units)))
    return Layout(rows, width, units, parts, 8, at_once)


def _warps_for_registers(numbers: int) -> int:
    """Return the warps of a program whose registers hold so many numbers; 0: they do not fit."""
    preferred, most = _NUMBERS
    if numbers > most * _THREADS * _MOST_WARPS:
        return 0
    warps = 1
    while warps < _MOST_WARPS and numbers > preferred * _THREADS * warps:
        warps *= 2
    return warps
