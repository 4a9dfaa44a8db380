"""Run the fused kernel under autograd and ``torch.func``."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from sercli.errors import SercliError
from sercli.nn.recurrence.cpp import workspace
from sercli.nn.recurrence.cpp.build import KERNEL, library
from sercli.nn.recurrence.cpp.problem import (
    CELLS,
    Operands,
    Plan,
    Problem,
    operands_of,
    point_at_answers,
    point_at_gradients,
    point_at_states,
    problem_of,
    room_for_answers,
    room_for_states,
    side_by_side,
)


def unroll(plan: Plan, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Run recurrences.

    Args:
        plan: The call.
        tensors: What `Operands.listed` gives for each recurrence, in a row.

    Returns:
        For each recurrence in a row its states (T, B, H) and what it carries at the end, each
        (B, H).
    """
    outputs: tuple[Tensor, ...] = _Unroll.apply(plan, *tensors)  # type: ignore[no-untyped-call]
    return list(outputs[:-1])


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
    loaded.sercli_kept.argtypes = [ctypes.c_int64] * 3
    loaded.sercli_kept.restype = ctypes.c_int64
    return loaded


class _Unroll(torch.autograd.Function):
    """Forwards; what is kept for the way back is the last output."""

    @staticmethod
    def forward(plan: Plan, *tensors: Tensor) -> tuple[Tensor, ...]:
        operands = operands_of(plan, tensors)
        problems = [problem_of(plan, *each) for each in zip(plan.parts, operands, strict=True)]
        kept = _keep(plan, problems, operands)
        outputs: list[Tensor] = []
        for problem, each in zip(problems, operands, strict=True):
            states = room_for_states(each)
            final = [each.hidden.new_empty(states.shape[1:]) for _ in range(plan.outputs - 1)]
            point_at_states(problem, states)
            problem.h_final = final[0].data_ptr()
            problem.c_final = final[-1].data_ptr() if final[1:] else None
            outputs += [states, *final]
        _launch("forward", plan, problems, operands)
        return (*outputs, kept)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.plan, *tensors = inputs
        *outputs, kept = output
        ctx.mark_non_differentiable(kept)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *outputs[:: ctx.plan.outputs], kept)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        given = [each for each in gradients[:-1] if each is not None]
        wanted = ctx.needs_input_grad[1:]
        call = _Call(ctx.plan, tuple(each is not None for each in gradients[:-1]), wanted)
        found = iter(_UnrollBack.apply(call, *ctx.saved_tensors, *given))  # type: ignore[no-untyped-call]
        return (None, *(next(found) if each else None for each in wanted))

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], plan: Plan, *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
        """Run an ensemble of N as N times as many recurrences, in one call."""
        n = info.batch_size
        *outputs, kept = _Unroll.apply(plan.times(n), *_copies(tensors, in_dims[1:], n))  # type: ignore[no-untyped-call]
        stacked = _stacked(outputs, n)
        return (*stacked, kept), (*(0 for _ in stacked), None)


@dataclass(frozen=True)
class _Call:
    """The way back of a plan.

    Attributes:
        plan: What was run.
        given: Which outputs have a gradient.
        wanted: Which tensors need one.
    """

    plan: Plan
    given: tuple[bool, ...]
    wanted: tuple[bool, ...]


class _UnrollBack(torch.autograd.Function):
    """Backwards, as a function of its own, so that it too can run on an ensemble.

    It takes the tensors of the recurrences, their states, what was kept, and the gradients of
    the outputs that have one.
    """

    @staticmethod
    def forward(call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        plan = call.plan
        rows, states, kept, gradients = _sorted(call, tensors)
        operands = operands_of(plan, rows)
        answers = [room_for_answers(each) for each in operands]
        problems = [problem_of(plan, *each) for each in zip(plan.parts, operands, strict=True)]
        _point_into(kept, plan, problems, operands)
        wanted = iter(call.wanted)
        found = []
        for i, problem in enumerate(problems):
            mine = [next(wanted) for _ in range(plan.parts[i].tensors)]
            point_at_states(problem, states[i])
            point_at_gradients(problem, gradients[i * plan.outputs : (i + 1) * plan.outputs])
            point_at_answers(problem, answers[i], inputs_wanted=mine[0])
            pairs = zip(answers[i].listed(), operands[i].listed(), mine, strict=True)
            found += [(answer, like.shape) for answer, like, want in pairs if want]
        _launch("backward", plan, problems, operands)
        return tuple(_summed(answer, shape) for answer, shape in found)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> None:
        raise SercliError(
            "the fused kernel has no second derivative: call sercli.nn.use_backend('eager') first"
        )

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], call: _Call, *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        n, plan = info.batch_size, call.plan
        count = sum(part.tensors for part in plan.parts)
        ends = (0, count, count + len(plan.parts), count + len(plan.parts) + 1, len(tensors))
        rows, states, kept, gradients = (
            (tensors[i:j], in_dims[i + 1 : j + 1]) for i, j in pairwise(ends)
        )
        whole = kept[0][0]
        if states[1][0] is None:  # an ensemble of gradients only: all went one way forwards
            whole = whole.repeat(n)
        found = _UnrollBack.apply(  # type: ignore[no-untyped-call]
            _Call(plan.times(n), call.given * n, call.wanted * n),
            *_copies(*rows, n),
            *_copies(*states, n),
            whole,
            *_copies(*gradients, n),
        )
        stacked = _stacked(found, n)
        return tuple(stacked), tuple(0 for _ in stacked)


def _sorted(
    call: _Call, tensors: Sequence[Tensor]
) -> tuple[Sequence[Tensor], Sequence[Tensor], Tensor, list[Tensor | None]]:
    """Tell operands, states, what was kept and the outputs' gradients apart."""
    parts = call.plan.parts
    count = sum(part.tensors for part in parts)
    states, (kept, *given) = tensors[count:][: len(parts)], tensors[count:][len(parts) :]
    present = iter(given)
    gradients = [side_by_side(next(present)) if there else None for there in call.given]
    for i in range(len(gradients)):  # what is carried is read row by row
        each = gradients[i]
        if each is not None and i % call.plan.outputs:
            gradients[i] = each.contiguous()
    return tensors[:count], states, kept, gradients


def _keep(plan: Plan, problems: Sequence[Problem], operands: Sequence[Operands]) -> Tensor:
    """Find room for what the way back needs."""
    dtype = operands[0].hidden.dtype
    if not plan.keep:
        return torch.empty(0, dtype=dtype)
    sizes = [_kept_size(plan, each) for each in operands]
    kept = workspace.take(sum(sizes), dtype)
    _point_into(kept, plan, problems, operands)
    return kept


def _point_into(
    kept: Tensor, plan: Plan, problems: Sequence[Problem], operands: Sequence[Operands]
) -> None:
    offset = 0
    for problem, each in zip(problems, operands, strict=True):
        problem.kept = kept.data_ptr() + offset * kept.element_size()
        offset += _kept_size(plan, each)


def _kept_size(plan: Plan, tensors: Operands) -> int:
    steps, batch, hidden = tensors.shape
    is_double = tensors.hidden.dtype is torch.float64
    return steps * batch * _kept_per_step(CELLS[plan.cell], hidden, is_double)


@cache
def _kept_per_step(cell: int, hidden: int, is_double: bool) -> int:
    return int(kernel().sercli_kept(cell, hidden, is_double))


def _launch(
    direction: str, plan: Plan, problems: Sequence[Problem], operands: Sequence[Operands]
) -> None:
    """Run the kernel; ``operands`` keeps alive what the problems point at."""
    kind = "double" if operands[0].hidden.dtype is torch.float64 else "float"
    function = getattr(kernel(), f"sercli_{direction}_{'pairs' if plan.pairs else kind}")
    array = (Problem * len(problems))(*problems)
    function(ctypes.addressof(array), len(problems))


def _summed(answer: Tensor, shape: torch.Size) -> Tensor:
    """Sum the gradient of a coefficient to the coefficient's own shape."""
    if answer.shape == shape:
        return answer
    return answer.sum_to_size((1,) * (answer.dim() - len(shape)) + tuple(shape)).reshape(shape)


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
