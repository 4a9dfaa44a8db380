"""Additive attention over padded sequences in the fused CPU kernel."""

from __future__ import annotations

import ctypes
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from sercli.errors import SercliError
from sercli.nn.recurrence.autograd import NO_SECOND_DERIVATIVE, in_transform
from sercli.nn.recurrence.backend import runs_fused_on_cpu
from sercli.nn.recurrence.cpp.build import NoKernelError
from sercli.nn.recurrence.cpp.launch import call_kernel, kernel
from sercli.nn.recurrence.cpp.problem import dense_rows, fields, zeros

_KINDS = {torch.float32: "float", torch.float64: "double"}
_WIDTH = 16
"""The attention space is padded to a multiple of it: whole vectors on every processor."""


def can_attend(*tensors: Tensor) -> bool:
    """Return true if the kernel can run on tensors, outside of autocast and ``torch.func``."""
    dtype = tensors[0].dtype
    if not runs_fused_on_cpu() or torch.is_autocast_enabled("cpu") or in_transform():
        return False
    if dtype not in _KINDS:
        return False
    return all(each.dtype is dtype and each.device.type == "cpu" for each in tensors) and _loaded()


def attend(states: Tensor, valid: Tensor, project: Tensor, shift: Tensor, score: Tensor) -> Tensor:
    """Return Σ_t w_t h_t with w = softmax_t(u · tanh(W h_t + s)), (B, H).

    There is no second derivative: asking for one raises a `SercliError`.

    Args:
        states: h, (B, T, H).
        valid: Boolean (B, T), true where a step is real.
        project: W, (A, H).
        shift: s, (B, A) or (A,).
        score: u, (1, A).
    """
    pooled: Tensor = _Attend.apply(states, valid, project, shift, score)  # type: ignore[no-untyped-call]
    return pooled


class _Problem(ctypes.Structure):
    """``Attention`` in ``kernel/attention.h``."""

    _fields_ = fields(
        (ctypes.c_int64, "batch steps size space width"),
        (ctypes.c_void_p, "states"),
        (ctypes.c_int64, "state_step state_row"),
        (ctypes.c_void_p, "valid project shift"),
        (ctypes.c_int64, "shift_row"),
        (ctypes.c_void_p, "score features weights pooled d_pooled d_states"),
        (ctypes.c_int64, "d_step d_row"),
        (ctypes.c_void_p, "d_project d_shift d_score"),
    )


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, *others: Tensor) -> Tensor:
        given = dense_rows(states), *(each.contiguous() for each in others)
        batch, steps, size = states.shape
        width = -(-others[1].shape[0] // _WIDTH) * _WIDTH
        kept = states.new_empty(batch, steps, width), states.new_empty(batch, steps)
        pooled = states.new_empty(batch, size)
        problem = _problem(given, kept)
        problem.pooled = pooled.data_ptr()
        call_kernel(f"attend_{_KINDS[states.dtype]}", ctypes.byref(problem))
        ctx.save_for_backward(*given, *kept)
        return pooled

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        apply = _AttendBack.apply if torch.is_grad_enabled() else partial(_AttendBack.forward, None)
        d_states, *found = apply(gradient, *ctx.saved_tensors)
        return d_states, None, *found


class _AttendBack(torch.autograd.Function):
    """The backward pass, a function of its own, so that a second derivative is refused."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *saved: Tensor) -> tuple[Tensor, ...]:
        *given, features, weights = saved
        states, _, *parameters = given
        d_states, d_pooled = torch.empty_like(states), gradient.contiguous()
        found = zeros(states, [each.shape for each in parameters])
        problem = _problem(given, (features, weights))
        problem.d_pooled, problem.d_states = d_pooled.data_ptr(), d_states.data_ptr()
        problem.d_row, problem.d_step = d_states.stride()[:2]
        problem.d_project, problem.d_shift, problem.d_score = (each.data_ptr() for each in found)
        call_kernel(f"attend_back_{_KINDS[states.dtype]}", ctypes.byref(problem))
        return d_states, *found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> None:
        raise SercliError(NO_SECOND_DERIVATIVE)


def _problem(given: Any, kept: tuple[Tensor, Tensor]) -> _Problem:
    states, valid, project, shift, score = given
    features, weights = kept
    row, step, _ = states.stride()
    return _Problem(
        *(*states.shape, len(project), features.shape[2], states.data_ptr(), step, row),
        *(valid.data_ptr(), project.data_ptr(), shift.data_ptr()),
        *(len(project) if shift.dim() == 2 else 0, score.data_ptr()),
        *(features.data_ptr(), weights.data_ptr()),
    )


@cache
def _loaded() -> bool:
    try:
        kernel()
    except NoKernelError:
        return False
    return True
