"""Triton source of an activation and its derivative, generated from its formula and loaded.

Triton reads the source of a kernel from its file, so that what is generated is written to the
cache of kernels first.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from sercli.files import write_text
from sercli.nn.recurrence.cpp.build import cache_folder, no_cache
from sercli.nn.recurrence.formula import Language, lines_of


@dataclass(frozen=True)
class TritonActivation:
    """The Triton functions of an activation.

    Attributes:
        value: The value.
        slope: The value, and the gradient of the input.
        gradients: The kernel that sums the gradients of the coefficients over time.
    """

    value: Any
    slope: Any
    gradients: Any


def load(activation: nn.Module, coefficients: int) -> TritonActivation:
    """Write an activation in Triton and load it.

    Args:
        activation: An `Activation`, or a module of others without parameters.
        coefficients: Number of coefficients that its formula takes.

    Raises:
        NoKernelError: It does something that has no rule, or the cache cannot be written.
    """
    return _load(type(activation).__name__.lower(), source(activation, coefficients))


@cache
def _load(name: str, text: str) -> TritonActivation:
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    try:
        path = cache_folder() / f"{name}-{digest}.py"
        if not path.exists():
            write_text(path, text)
        module = _imported(path)
    except OSError as error:
        raise no_cache(error) from error
    return TritonActivation(module.value, module.slope, module.gradients)


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem.replace("-", "_"), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def source(activation: nn.Module, coefficients: int) -> str:
    """Generate the Triton source of an activation.

    Raises:
        NoKernelError: It does something that has no rule; the message names it.
    """
    lines = lines_of(activation, coefficients, _TRITON)
    x, *names = lines.inputs
    loads = [
        f"{name} = tl.load(coefficients + {i} * stride + at, mask=mask, other=0.0)"
        for i, name in enumerate(names)
    ]
    dx, *found = lines.gradients
    given = {i: name for i, name in enumerate(found) if name is not None}
    inner = "\n        "
    return _TEMPLATE.format(
        x=x,
        count=len(names),
        loads="\n    ".join(loads),
        forward="\n    ".join(lines.forward),
        backward="\n    ".join(lines.backward),
        value=lines.value,
        dx=dx or f"tl.zeros_like({x})",
        begin="\n    ".join(f"sum{i} = tl.zeros([BLOCK], tl.float32)" for i in given),
        forward_inner=inner.join(lines.forward),
        backward_inner=inner.join(lines.backward),
        add=inner.join(f"sum{i} += tl.where(mask, {name}, 0.0)" for i, name in given.items()),
        end="\n    ".join(
            f"tl.store(results + {i} * chunks * size + at, sum{i}, mask=inside)" for i in given
        ),
    )


def _number(number: float) -> str:
    return repr(float(number)) if abs(number) < float("inf") else f'float("{number}")'


_TRITON = Language(_number, "{name} = {value}", "gradient")

_TEMPLATE = '''\
"""Written by sercli/nn/recurrence/triton/generate.py from the formula of an activation."""

import triton
import triton.language as tl

from sercli.nn.recurrence.triton.functions import *


@triton.jit
def value({x}, coefficients, stride, at, mask):
    {loads}
    {forward}
    return {value}


@triton.jit
def slope({x}, gradient, coefficients, stride, at, mask):
    {loads}
    {forward}
    {backward}
    return {value}, {dx}


@triton.jit(do_not_specialize=["span", "T", "B"])
def gradients(
    inputs, x_recurrence, d_values, coefficients, c_recurrence, stride, c_row, c_unit, lengths,
    results, span, T, B, H, BLOCK: tl.constexpr, PADDED: tl.constexpr,
):
    """Sum over `span` steps. Grid: blocks of B·H, G, ⌈T / span⌉."""
    element = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    g = tl.program_id(1).to(tl.int64)
    first = tl.program_id(2) * span
    inside = element < B * H
    if PADDED:
        length = tl.load(lengths + g * B + element // H, mask=inside, other=0)
    else:
        length = tl.zeros_like(element) + T
    mask = inside
    at = g * c_recurrence + (element // H) * c_row + (element % H) * c_unit
    {loads}
    {begin}
    for t in range(first, min(first + span, T)):
        mask = inside & (t < length)
        here = (g * T + t) * B * H + element
        {x} = tl.load(inputs + g * x_recurrence + t * B * H + element, mask=mask, other=0.0)
        gradient = tl.load(d_values + here, mask=mask, other=0.0)
        {forward_inner}
        {backward_inner}
        {add}
    size = B * H
    chunks = tl.num_programs(2)
    at = (g * {count} * chunks + tl.program_id(2)) * size + element
    {end}
'''
