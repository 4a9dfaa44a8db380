"""The fused backend: check that a loop can run in the kernel, and run it there."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.nn.recurrence.coefficients import coefficients
from sercli.nn.recurrence.compiled import CompiledActivations
from sercli.nn.recurrence.cpp.build import NoKernelError, library
from sercli.nn.recurrence.cpp.generate import source
from sercli.nn.recurrence.cpp.launch import kernel, unroll
from sercli.nn.recurrence.cpp.problem import (
    MAX_COEFFICIENTS,
    KernelCall,
    KernelRecurrence,
    Operands,
)
from sercli.nn.recurrence.operands import Cell, Recurrence, Unrolled

_KINDS = {torch.float32: "float", torch.float64: "double"}

_Addresses = dict[str, tuple[int, int]]
"""Addresses of the value and of the derivative of an activation, by type of number."""


def run(cell: Cell, recurrences: Sequence[Recurrence]) -> list[Unrolled]:
    """Run recurrences on the CPU, all in one call.

    Under bfloat16 autocast, float32 weights and states enter products as bfloat16; sums and
    states stay float32.

    Raises:
        NoKernelError: The kernel lacks the cell, the activation or the dtype; the message is
            part of a sentence.
        RequestError: An activation does not fit the states.
    """
    kind = _kind(cell, recurrences)
    kernel()
    for each in recurrences:
        _compiled.raise_if_failed(each.activation)
    numbers = coefficients(recurrences)  # last, since it may draw noise, and eager would again
    operands = [_operands(*each) for each in zip(recurrences, numbers, strict=True)]
    call = KernelCall(
        cell.name,
        cell.states,
        tuple(
            _kernel_recurrence(each, own, kind)
            for each, own in zip(recurrences, operands, strict=True)
        ),
        groups=tuple(len(list(group)) for _, group in groupby(recurrences, _inputs)),
        keep=torch.is_grad_enabled(),
        bfloat16=kind == "float" and _bfloat16_autocast(),
    )
    return unroll(call, operands)


def _inputs(recurrence: Recurrence) -> int:
    return id(recurrence.inputs)


def prepare(cell: Cell, activation: nn.Module, device: str) -> None:
    """Compile the kernel of a cell and an activation.

    Raises:
        NoKernelError: There is none on this device.
    """
    _check(cell, device)
    kernel()
    _compiled.prepare(activation)


def _check(cell: Cell, device: str) -> None:
    if not cell.fused:
        raise NoKernelError(f"the kernel has no cell '{cell.name}'")
    if device != "cpu":
        raise NoKernelError(f"the kernel is for the CPU, not for {device}")


def _kind(cell: Cell, recurrences: Sequence[Recurrence]) -> str:
    """Return the type of number as the names of the kernel's functions end in it."""
    weights = [each.weights.hidden for each in recurrences]
    for device in {each.device.type for each in weights}:
        _check(cell, device)
    dtypes = {each.dtype for each in weights}
    if len(dtypes) > 1 or not dtypes <= set(_KINDS):
        raise NoKernelError(f"the kernel has no {' and '.join(map(str, dtypes))}")
    return _KINDS[dtypes.pop()]


def _bfloat16_autocast() -> bool:
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") is torch.bfloat16


def _operands(recurrence: Recurrence, numbers: tuple[Tensor, ...]) -> Operands:
    weights = recurrence.weights
    hidden, bias = weights.hidden, weights.hidden_bias
    if weights.extra:  # further blocks of the recurrent weights, without a bias
        hidden = torch.cat([hidden, *(each.mT for each in weights.extra)])
        bias = None if bias is None else F.pad(bias, (0, hidden.shape[0] - bias.shape[0]))
    return Operands(
        recurrence.inputs,
        recurrence.lengths,
        hidden,
        weights.input,
        weights.input_bias,
        bias,
        recurrence.initial,
        numbers,
    )


def _kernel_recurrence(recurrence: Recurrence, operands: Operands, kind: str) -> KernelRecurrence:
    count = len(operands.coefficients)
    return KernelRecurrence(
        reverse=recurrence.reverse,
        activation=_compiled.get(recurrence.activation, count)[kind],
        input=operands.input is not None,
        input_bias=operands.input_bias is not None,
        hidden_bias=operands.hidden_bias is not None,
        initial=len(operands.initial),
        coefficients=count,
    )


def _compile(activation: nn.Module, count: int) -> _Addresses:
    name = type(activation).__name__
    if count > MAX_COEFFICIENTS:
        raise NoKernelError(
            f"activation {name} has {count} coefficients, the kernel takes {MAX_COEFFICIENTS}"
        )
    loaded = library(name.lower(), source(activation, count))
    return {
        kind: (_address(loaded, f"value_{kind}"), _address(loaded, f"derivative_{kind}"))
        for kind in _KINDS.values()
    }


def _address(loaded: ctypes.CDLL, name: str) -> int:
    return ctypes.cast(getattr(loaded, name), ctypes.c_void_p).value or 0


_compiled = CompiledActivations(_compile)
