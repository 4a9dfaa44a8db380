"""Run the fused kernel under autograd and ``torch.func``."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, chain, compress, islice, pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor

from sercli.errors import SercliError
from sercli.nn.recurrence.autograd import NO_SECOND_DERIVATIVE, apply, in_transform
from sercli.nn.recurrence.cpp import workspace
from sercli.nn.recurrence.cpp.build import KERNEL, library
from sercli.nn.recurrence.cpp.problem import (
    CELLS,
    KernelCall,
    Operands,
    Problem,
    alloc_grads,
    alloc_states,
    columns,
    dense_rows,
    make_problem,
    set_grad_ptrs,
    set_output_grad_ptrs,
    set_state_ptrs,
    unflatten,
)
from sercli.nn.recurrence.operands import Unrolled

Item = TypeVar("Item")

_seconds = 0.0


def unroll(call: KernelCall, operands: Sequence[Operands]) -> list[Unrolled]:
    """Run recurrences.

    Args:
        call: The call.
        operands: The tensors of each recurrence.
    """
    tensors = [tensor for each in operands for tensor in each.flat()]
    outputs = iter(apply(_Unroll, call, *tensors))
    unrolled = []
    for group in _grouped(call, operands):
        joint = next(outputs)
        for states in columns(joint, group):
            unrolled.append(Unrolled(states, tuple(islice(outputs, call.states)), joint))
    return unrolled


def _grouped(call: KernelCall, each: Sequence[Item]) -> Iterator[list[Item]]:
    """Group items, one per recurrence, by the tensor of states that the recurrences share."""
    remaining = iter(each)
    return (list(islice(remaining, size)) for size in call.groups)


@cache
def kernel() -> ctypes.CDLL:
    """Load the kernel.

    Raises:
        NoKernelError: It cannot be compiled.
    """
    loaded = library("recurrence", (KERNEL / "recurrence.cpp").read_text(encoding="utf-8"))
    for direction in ("forward", "backward"):
        for kind in ("float", "double", "pairs"):
            function = getattr(loaded, f"sercli_{direction}_{kind}")
            function.argtypes = [ctypes.c_void_p, ctypes.c_int64]
            function.restype = None
    for name in ("attend", "attend_back"):
        for kind in ("float", "double"):
            getattr(loaded, f"sercli_{name}_{kind}").restype = None
    loaded.sercli_kept.argtypes = [ctypes.c_int64] * 3
    loaded.sercli_kept.restype = ctypes.c_int64
    return loaded


class _Unroll(torch.autograd.Function):
    """The forward pass; its last output is what it keeps for the backward pass."""

    @staticmethod
    def forward(call: KernelCall, *tensors: Tensor) -> tuple[Tensor, ...]:
        operands = unflatten(call, tensors)
        problems = _problems(call, operands)
        kept = _keep(call, problems, operands)
        outputs: list[Tensor] = []
        remaining = iter(problems)
        for group in _grouped(call, operands):
            joint = alloc_states(group)
            outputs.append(joint)
            for each, states in zip(group, columns(joint, group), strict=True):
                problem = next(remaining)
                final = [each.hidden.new_empty(states.shape[1:]) for _ in range(call.states)]
                set_state_ptrs(problem, states)
                problem.h_final = final[0].data_ptr()
                problem.c_final = final[-1].data_ptr() if final[1:] else None
                outputs += final
        _launch("forward", call, problems, operands)
        return (*outputs, kept)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.call, *tensors = inputs
        *outputs, kept = output
        ctx.mark_non_differentiable(kept)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *compress(outputs, ctx.call.is_states), kept)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        given = [each for each in grads[:-1] if each is not None]
        wanted = ctx.needs_input_grad[1:]
        back = _Backward(ctx.call, tuple(each is not None for each in grads[:-1]), wanted)
        differentiated = torch.is_grad_enabled() or in_transform()
        run = _UnrollBack.apply if differentiated else _UnrollBack.forward
        found = iter(run(back, *ctx.saved_tensors, *given))
        return (None, *(next(found) if each else None for each in wanted))

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], call: KernelCall, *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
        """Run an ensemble of N as N times as many recurrences, in one call."""
        n = info.batch_size
        *outputs, kept = _Unroll.apply(call.times(n), *_copies(tensors, in_dims[1:], n))  # type: ignore[no-untyped-call]
        stacked = _stacked(outputs, n)
        return (*stacked, kept), (*(0 for _ in stacked), None)


@dataclass(frozen=True)
class _Backward:
    """The backward pass of a call.

    Attributes:
        call: The forward call.
        given: For each output, true if it has a gradient.
        wanted: For each operand, true if it needs one.
    """

    call: KernelCall
    given: tuple[bool, ...]
    wanted: tuple[bool, ...]


class _UnrollBack(torch.autograd.Function):
    """The backward pass, a function of its own, so that it too can run on an ensemble.

    Its tensors are the operands of the recurrences, their states, what was kept, and the
    gradients of the outputs that have one.
    """

    @staticmethod
    def forward(back: _Backward, *tensors: Tensor) -> tuple[Tensor, ...]:
        call = back.call
        flat, states, kept, output_grads = _split_saved(back, tensors)
        operands = unflatten(call, flat)
        problems = _problems(call, operands)
        _set_kept_ptrs(kept, call, problems, operands)
        firsts = accumulate((each.tensors for each in call.recurrences[:-1]), initial=0)
        needs_inputs = [back.wanted[first] for first in firsts]
        grads = alloc_grads(operands, needs_inputs)
        remaining = iter(zip(problems, grads, needs_inputs, strict=True))
        given = iter(output_grads)
        for group, joint in zip(_grouped(call, operands), states, strict=True):
            d_joint = next(given)
            d_states = [None] * len(group) if d_joint is None else columns(d_joint, group)
            for own, d_own in zip(columns(joint, group), d_states, strict=True):
                problem, grad, needed = next(remaining)
                set_state_ptrs(problem, own)
                set_output_grad_ptrs(problem, [d_own, *islice(given, call.states)])
                set_grad_ptrs(problem, grad, needs_inputs=needed)
        _launch("backward", call, problems, operands)
        pairs = zip(chain(*(each.flat() for each in grads)), flat, strict=True)
        return tuple(_summed(grad, of.shape) for grad, of in compress(pairs, back.wanted))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:
        raise SercliError(NO_SECOND_DERIVATIVE)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], back: _Backward, *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        n, recurrences = info.batch_size, back.call.recurrences
        count = sum(each.tensors for each in recurrences)
        last = count + len(back.call.groups)
        flat, states, kept, grads = (
            (tensors[i:j], in_dims[i + 1 : j + 1])
            for i, j in pairwise((0, count, last, last + 1, len(tensors)))
        )
        whole = kept[0][0]
        if states[1][0] is None:  # an ensemble of gradients only: one forward pass for all
            whole = whole.repeat(n)
        found = _UnrollBack.apply(  # type: ignore[no-untyped-call]
            _Backward(back.call.times(n), back.given * n, back.wanted * n),
            *_copies(*flat, n),
            *_copies(*states, n),
            whole,
            *_copies(*grads, n),
        )
        stacked = _stacked(found, n)
        return tuple(stacked), tuple(0 for _ in stacked)


def _split_saved(
    back: _Backward, tensors: Sequence[Tensor]
) -> tuple[Sequence[Tensor], Sequence[Tensor], Tensor, list[Tensor | None]]:
    """Split operands, states, what was kept and the gradients of the outputs."""
    call = back.call
    count = sum(each.tensors for each in call.recurrences)
    last = count + len(call.groups)
    present = iter(tensors[last + 1 :])
    grads = [
        _as_read(next(present), is_states) if given else None
        for given, is_states in zip(back.given, call.is_states, strict=True)
    ]
    return tensors[:count], tensors[count:last], tensors[last], grads


def _as_read(grad: Tensor, is_states: bool) -> Tensor:
    """Return the gradient of an output as the kernel reads it: of final states without strides."""
    return dense_rows(grad) if is_states else grad.contiguous()


def _problems(call: KernelCall, operands: Sequence[Operands]) -> list[Problem]:
    pairs = zip(call.recurrences, operands, strict=True)
    return [make_problem(call.cell, each, own) for each, own in pairs]


def _keep(call: KernelCall, problems: Sequence[Problem], operands: Sequence[Operands]) -> Tensor:
    """Allocate what the backward pass needs."""
    dtype = operands[0].hidden.dtype
    if not call.keep:
        return torch.empty(0, dtype=dtype)
    sizes = [_kept_size(call, each) for each in operands]
    kept = workspace.take(sum(sizes), dtype)
    _set_kept_ptrs(kept, call, problems, operands)
    return kept


def _set_kept_ptrs(
    kept: Tensor, call: KernelCall, problems: Sequence[Problem], operands: Sequence[Operands]
) -> None:
    offset = 0
    for problem, each in zip(problems, operands, strict=True):
        problem.kept = kept.data_ptr() + offset * kept.element_size()
        offset += _kept_size(call, each)


def _kept_size(call: KernelCall, tensors: Operands) -> int:
    steps, batch, hidden = tensors.shape
    is_double = tensors.hidden.dtype is torch.float64
    return steps * batch * _kept_per_step(CELLS[call.cell], hidden, is_double)


@cache
def _kept_per_step(cell: int, hidden: int, is_double: bool) -> int:
    return int(kernel().sercli_kept(cell, hidden, is_double))


def _launch(
    direction: str, call: KernelCall, problems: Sequence[Problem], operands: Sequence[Operands]
) -> None:
    """Run the kernel. ``operands`` keeps alive the memory that the problems point at."""
    kind = "double" if operands[0].hidden.dtype is torch.float64 else "float"
    array = (Problem * len(problems))(*problems)
    name = f"{direction}_{'pairs' if call.bfloat16 else kind}"
    call_kernel(name, ctypes.addressof(array), len(problems))


def call_kernel(name: str, *arguments: object) -> None:
    """Call a function of the kernel, and count its time (`kernel_seconds`)."""
    global _seconds  # noqa: PLW0603 - a clock
    began = time.thread_time()
    getattr(kernel(), f"sercli_{name}")(*arguments)
    _seconds += time.thread_time() - began


def kernel_seconds() -> float:
    """Return the CPU time of the calling threads in the kernel since the process began, in s."""
    return _seconds


def _summed(grad: Tensor, shape: torch.Size) -> Tensor:
    """Sum the gradient of a coefficient to the coefficient's own shape."""
    if grad.shape == shape:
        return grad
    if not shape:
        return grad.sum()
    return grad.sum_to_size((1,) * (grad.dim() - len(shape)) + tuple(shape)).reshape(shape)


def _copies(tensors: Sequence[Tensor], dims: Sequence[int | None], n: int) -> list[Tensor]:
    """Return the tensors of each member of an ensemble, one member after the other."""
    return [
        tensor if dim is None else tensor.select(dim, i)
        for i in range(n)
        for tensor, dim in zip(tensors, dims, strict=True)
    ]


def _stacked(tensors: Sequence[Tensor], n: int) -> list[Tensor]:
    """Undo `_copies`."""
    each = len(tensors) // n
    return [torch.stack(tuple(tensors[i::each])) for i in range(each)]
