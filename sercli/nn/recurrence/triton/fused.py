"""The Triton backend as `recur` calls it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Hashable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.nn.pooling import valid_steps
from sercli.nn.recurrence.coefficients import coefficients
from sercli.nn.recurrence.compiled import CompiledActivations
from sercli.nn.recurrence.cpp.build import NoKernelError
from sercli.nn.recurrence.grouping import group_key
from sercli.nn.recurrence.operands import Cell, Recurrence, Unrolled

if TYPE_CHECKING:
    from sercli.nn.recurrence.triton.generate import TritonActivation

_OLDEST = (8, 0)
"""Compute capability that the kernels are written for: tensor cores for float32 and bfloat16."""


def run(cell: Cell, recurrences: Sequence[Recurrence]) -> list[Unrolled]:
    """Run recurrences on a GPU; those of equal shapes in one launch.

    Products of float32 are as precise as ``torch.set_float32_matmul_precision`` says; at
    ``highest``, where weights are not in registers, each is a sum of three products in TF32, whose
    errors are those of float32, or a product in float32 where shared memory is short. Under
    bfloat16 autocast, the numbers of products are bfloat16. Sums and states stay float32.

    Raises:
        NoKernelError: The kernels lack the cell, the activation or the dtype, or do not fit the
            device; the message says why, in part of a sentence.
        RequestError: An activation does not fit the states.
    """
    for each in recurrences:
        weights, batch = each.weights.hidden, each.inputs.shape[1]
        _check(cell, weights.device)
        if weights.dtype is not torch.float32:
            raise NoKernelError(f"the kernel has no {weights.dtype}")
        _check_size(cell, batch, weights.shape[1], weights.device)
    for each in recurrences:
        _loaded.raise_if_failed(each.activation)
    numbers = coefficients(recurrences)  # asked only if the eager loop will not ask again: noise
    groups: dict[Hashable, list[int]] = {}
    for i, each in enumerate(recurrences):
        _loaded.get(each.activation, len(numbers[i]))
        biases = each.weights.input_bias is None, each.weights.hidden_bias is None
        groups.setdefault((group_key(each) or i, biases), []).append(i)
    done: dict[int, Unrolled] = {}
    for members in groups.values():
        members.sort(key=lambda i: recurrences[i].reverse)
        group = [recurrences[i] for i in members]
        done |= zip(members, _run(cell, group, [numbers[i] for i in members]), strict=True)
    return [done[i] for i in range(len(recurrences))]


def prepare(cell: Cell, activation: nn.Module, device: str) -> None:
    """Generate what a layer will need.

    Raises:
        NoKernelError: It cannot run on the device.
    """
    _check(cell, torch.device(device))
    _loaded.prepare(activation)


def _check(cell: Cell, device: torch.device) -> None:
    if not cell.fused:
        raise NoKernelError(f"the kernel has no cell '{cell.name}'")
    reason, worth_saying = _obstacle(device)
    if reason:
        raise NoKernelError(reason, worth_saying=worth_saying)


def _check_size(cell: Cell, batch: int, hidden: int, device: torch.device) -> None:
    from sercli.nn.recurrence.triton.launch import layout_for

    layout = layout_for(cell.name, 1, batch, hidden, _precision(device), device)
    if layout.slices > 1 and device.type == "cpu" and not _INTERPRETER_WAITS:
        raise NoKernelError(f"Triton's interpreter runs one program at a time, not {hidden} units")


_INTERPRETER_WAITS = False
"""True where programs of the interpreter can wait for each other."""


@cache
def _obstacle(device: torch.device) -> tuple[str, bool]:
    """Say what keeps the kernels from a device, and whether the user could do something."""
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if device.type != ("cpu" if interpreted else "cuda"):
        return f"the kernel is for NVIDIA GPUs, not for {device.type}", False
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed (pip install triton)", True
    if interpreted:
        return "", False
    if torch.version.hip is not None:
        return "the kernel is for NVIDIA GPUs", False
    if torch.cuda.get_device_capability(device) < _OLDEST:
        has = ".".join(map(str, torch.cuda.get_device_capability(device)))
        name = torch.cuda.get_device_name(device)
        return f"{name} has compute capability {has}: the kernel needs 8.0", True
    return "", False


def _precision(device: torch.device) -> str:
    kind = device.type
    if torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) is torch.bfloat16:
        return "bf16"
    return "tf32x3" if torch.get_float32_matmul_precision() == "highest" else "tf32"


def _load(activation: nn.Module, count: int) -> TritonActivation:
    from sercli.nn.recurrence.triton.generate import load

    return load(activation, count)


_loaded = CompiledActivations(_load)


def _run(
    cell: Cell, group: Sequence[Recurrence], numbers: Sequence[tuple[Tensor, ...]]
) -> list[Unrolled]:
    from sercli.nn.recurrence.triton import launch

    weights = [each.weights for each in group]
    hidden = _stack([each.hidden for each in weights])
    nothing = hidden.new_empty(len(group), 0)
    padded = any(each.padded for each in group)
    lengths = _stack([each.lengths for each in group]) if padded else nothing
    started = any(each.initial for each in group)
    starts = _starts(cell, group) if started else [nothing]
    inner = [each.hidden_bias for each in weights if cell.inner_bias]
    biases = [bias for bias in inner if bias is not None]
    x = _projected(cell, group)
    call = launch.KernelCall(
        cell.name,
        _loaded.get(group[0].activation, len(numbers[0])),
        forwards=sum(not each.reverse for each in group),
        precision=_precision(hidden.device),
        dtype=x.dtype,
        keep=torch.is_grad_enabled(),
        started=started,
        padded=padded,
    )
    operands = launch.Operands(
        hidden,
        _stack(biases) if biases else nothing,
        starts[0],
        starts[-1],
        _stacked(numbers, hidden),
        lengths,
        lengths.argsort(dim=1, descending=True) if padded else nothing,
    )
    states, *final = map(_apart, launch.unroll(call, x, operands))
    return [Unrolled(own, tuple(ends)) for own, *ends in zip(states, *final, strict=True)]


def _starts(cell: Cell, group: Sequence[Recurrence]) -> list[Tensor]:
    """Return the initial states, each (G, B, H)."""
    hidden = group[0].weights.hidden
    zeros = hidden.new_zeros(group[0].inputs.shape[1], hidden.shape[1])
    return [
        _stack([r.initial[i] if i < len(r.initial) else zeros for r in group])
        for i in range(cell.states)
    ]


def _projected(cell: Cell, group: Sequence[Recurrence]) -> Tensor:
    """Compute W x + b for all steps, (G, T, B, gates·H), with one product for a shared input."""
    first = group[0]
    steps, batch, _ = first.inputs.shape
    if first.weights.input is None:
        return _stack([each.inputs for each in group])
    weight = [each.weights.input for each in group if each.weights.input is not None]
    bias = [_bias(cell, each) for each in group]
    present = [each for each in bias if each is not None]
    if len(group) == 1:
        return F.linear(_real(first), weight[0], present[0] if present else None).unsqueeze(0)
    if all(r.inputs is first.inputs and r.lengths is first.lengths for r in group):
        x = F.linear(_real(first), torch.cat(weight), torch.cat(present) if present else None)
        return x.view(steps, batch, len(group), -1).permute(2, 0, 1, 3)
    x = torch.stack([_real(each) for each in group]).flatten(1, 2)
    right = torch.stack(weight).transpose(1, 2)
    if present:
        projected = torch.baddbmm(torch.stack(present).unsqueeze(1), x, right)
    else:
        projected = torch.bmm(x, right)
    return projected.view(len(group), steps, batch, -1)


def _bias(cell: Cell, recurrence: Recurrence) -> Tensor | None:
    """Return the sum of the biases that are added outside of the step, (gates·H,)."""
    own, recurrent = recurrence.weights.input_bias, recurrence.weights.hidden_bias
    if cell.inner_bias or recurrent is None:
        return own
    return recurrent if own is None else own + recurrent


def _real(recurrence: Recurrence) -> Tensor:
    """Return the inputs with zeros in the padding, whose gradient is then zero."""
    inputs = recurrence.inputs
    if not recurrence.padded:
        return inputs
    padding = ~valid_steps(recurrence.lengths, inputs.shape[0]).t().unsqueeze(-1)
    return inputs.masked_fill(padding, 0.0)


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0].unsqueeze(0) if len(tensors) == 1 else torch.stack(list(tensors))


def _apart(tensor: Tensor) -> tuple[Tensor, ...]:
    """Undo `_stack`; the gradient of a single one is not copied."""
    return (tensor.squeeze(0),) if len(tensor) == 1 else tensor.unbind(0)


def _stacked(numbers: Sequence[tuple[Tensor, ...]], like: Tensor) -> Tensor:
    """Return the coefficients as (G, number, 1 or B, 1 or H)."""
    flat = [each for own in numbers for each in own]
    if not flat:
        return like.new_empty(len(numbers), 0, 1, 1)
    shape = flat[0].shape
    if any(each.shape != shape for each in flat):
        shape = torch.broadcast_shapes(*(each.shape for each in flat))  # type: ignore[no-untyped-call]
        flat = [each.expand(shape) for each in flat]
    ones = (1,) * (2 - len(shape))
    return torch.stack(flat).view(len(numbers), -1, *ones, *shape)
