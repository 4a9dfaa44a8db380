"""The sizes of the programs of a call.

The recurrent weights of a program stay on its multiprocessor for the whole sequence: in registers,
one sequence per program, where they fit; else in shared memory, for products of tiles of sequences
on the tensor cores. Where the weights of all units do not fit, each program has a slice of units.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from sercli.errors import RequestError
from sercli.nn.recurrence.cpp.build import NoKernelError

_THREADS = 32
_MOST_WARPS = 8
_NUMBERS = 128, 192
"""Weights that a thread holds in its 255 registers: preferably, and at most."""

_CROWD = 4
"""Sequences per multiprocessor beyond which products in low precision run on tensor cores."""

_ROWS = 16, 32, 64
"""Rows of a product on tensor cores."""

_LEAST_UNITS = 16
"""Units of the smallest slice, and of every slice of wide states."""

_LARGEST_WHOLE = 128
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
        precision: Precision of products: that of the call, or ``ieee`` where the memory that
            ``tf32x3`` takes is not there.

    Raises:
        RequestError: The slices do not make up the width.
    """

    rows: int
    width: int
    units: int
    parts: int
    warps: int
    at_once: int
    precision: str

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
        NoKernelError: There are too many units, or too many sequences for so many units.
    """
    if hidden > _MOST_UNITS:
        raise NoKernelError(f"the kernel takes {_MOST_UNITS} units, not {hidden}")
    width = max(16, 1 << (hidden - 1).bit_length())
    sequences = recurrences * batch
    crowded = sequences > _CROWD * processors
    if precision == "tf32x3" or not crowded:
        if warps := _warps_for_registers(gates * width * width, crowded):
            return Layout(1, width, width, 0, warps, recurrences, precision)
        warps = _warps_for_registers(gates * width * width // 2, crowded)
        if warps and 2 * sequences <= processors:
            return Layout(1, width, width // 2, 0, warps, recurrences, precision)
    for products in (precision, "ieee") if precision == "tf32x3" else (precision,):
        for rows, units in product(_ROWS, _slices(width)):
            waiting = -(-batch // rows) * (width // units)
            # All programs that wait for each other must run at the same time.
            together = units == width or waiting <= processors
            if together and needed(rows, width, units, gates, products) <= shared:
                at_once = recurrences if units == width else processors // waiting
                parts = max(1, min(width // 32, 4096 // (rows * units)))
                parts = 1 if width <= _LARGEST_WHOLE else parts
                return Layout(rows, width, units, parts, 8, at_once, products)
    reason = f"the kernel has no room for {batch} sequences of {hidden} units on this GPU"
    raise NoKernelError(reason, worth_saying=True)


def _slices(width: int) -> list[int]:
    """Return the numbers of units that a program can have, the largest first."""
    if width > _LARGEST_WHOLE:
        return [_LEAST_UNITS]
    return [units for units in (128, 64, 32, _LEAST_UNITS) if units <= width]


def needed(rows: int, width: int, units: int, gates: int, precision: str) -> int:
    """Return the bytes of shared memory that products on tensor cores need.

    Triton keeps a high and a low part of each weight for ``tf32x3``, and of each state where it
    comes from registers, not from the exchange with other slices.
    """
    size = 2 if precision == "bf16" else 4
    split = precision == "tf32x3"
    weights = gates * width * units * (2 if split else 1)
    states = rows * width * (2 if split and units == width else 1)
    return (weights + states) * size


def _warps_for_registers(numbers: int, crowded: bool) -> int:
    """Return the warps of a program whose registers hold so many numbers; 0: they do not fit.

    Where sequences crowd, small programs are better: more of them share a multiprocessor.
    """
    preferred, most = _NUMBERS
    preferred = most if crowded else preferred
    if numbers > most * _THREADS * _MOST_WARPS:
        return 0
    warps = 1
    while warps < _MOST_WARPS and numbers > preferred * _THREADS * warps:
        warps *= 2
    return warps
