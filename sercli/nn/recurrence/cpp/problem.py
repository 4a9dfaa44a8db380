"""One recurrence as the kernel sees it: a structure of addresses, and the tensors behind it."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor

CELLS = {"gru": 0, "gru_before": 1, "li_gru": 2, "lstm": 3, "rnn": 4, "lstm_at": 5}
"""The cells of the kernel, as ``kernel/problem.h`` numbers them."""

MAX_COEFFICIENTS = 16


@dataclass(frozen=True)
class KernelRecurrence:
    """The properties of one recurrence beside its tensors.

    Attributes:
        reverse: True if time runs backwards.
        activation: Addresses of its value and of its derivative in C++.
        input: True if there are input weights.
        input_bias: True if there is an input bias.
        hidden_bias: True if there is a hidden bias.
        initial: Number of initial states.
        coefficients: Number of coefficients of the activation.
    """

    reverse: bool
    activation: tuple[int, int]
    input: bool
    input_bias: bool
    hidden_bias: bool
    initial: int
    coefficients: int

    @property
    def tensors(self) -> int:
        """The number of its operands."""
        optional = self.input + self.input_bias + self.hidden_bias
        return 3 + optional + self.initial + self.coefficients


@dataclass(frozen=True)
class KernelCall:
    """One call of the kernel.

    Attributes:
        cell: Name of the cell.
        states: Number of tensors in its state.
        recurrences: The recurrences.
        groups: For each tensor of states, the number of recurrences whose states it contains side
            by side.
        keep: True if the forward pass keeps what a backward pass needs.
        bfloat16: True if products are taken in bfloat16; sums and states stay float32.
    """

    cell: str
    states: int
    recurrences: tuple[KernelRecurrence, ...]
    groups: tuple[int, ...]
    keep: bool
    bfloat16: bool

    @property
    def is_states(self) -> list[bool]:
        """For each output, true if it is the states of a group, false if it is a final state."""
        return [i == 0 for size in self.groups for i in range(1 + size * self.states)]

    def times(self, n: int) -> KernelCall:
        """Return the call for an ensemble of ``n``."""
        return replace(self, recurrences=self.recurrences * n, groups=self.groups * n)


@dataclass(frozen=True)
class Operands:
    """The tensors of one recurrence, or their gradients."""

    inputs: Tensor
    lengths: Tensor
    hidden: Tensor
    input: Tensor | None
    input_bias: Tensor | None
    hidden_bias: Tensor | None
    initial: tuple[Tensor, ...]
    coefficients: tuple[Tensor, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """T, B and H."""
        return self.inputs.shape[0], self.inputs.shape[1], self.hidden.shape[1]

    def flat(self) -> list[Tensor]:
        """Return the tensors that are not None as a list, for autograd."""
        return [self.inputs, self.lengths, *self.weights(), *self.initial, *self.coefficients]

    def weights(self) -> list[Tensor]:
        """Return the weights and biases that are not None."""
        optional = (self.input, self.input_bias, self.hidden_bias)
        return [self.hidden, *(each for each in optional if each is not None)]

    def summed_shapes(self) -> list[Sequence[int]]:
        """Return the shapes of gradients that the kernel sums: those of coefficients by unit."""
        _, batch, hidden = self.shape
        per_sequence = (each.dim() == 2 and each.shape[0] > 1 for each in self.coefficients)
        rows = [batch if own else 1 for own in per_sequence]
        return [*(each.shape for each in self.weights()), *((count, hidden) for count in rows)]


def unflatten(call: KernelCall, tensors: Sequence[Tensor]) -> list[Operands]:
    """Undo `Operands.flat` for all recurrences, each tensor laid out as the kernel reads it."""
    remaining = iter(tensors)
    return [_next_operands(each, remaining) for each in call.recurrences]


def _next_operands(recurrence: KernelRecurrence, tensors: Iterator[Tensor]) -> Operands:
    def optional(present: bool) -> Tensor | None:
        return next(tensors).contiguous() if present else None

    return Operands(
        inputs=dense_rows(next(tensors)),
        lengths=next(tensors).contiguous(),
        hidden=next(tensors).contiguous(),
        input=optional(recurrence.input),
        input_bias=optional(recurrence.input_bias),
        hidden_bias=optional(recurrence.hidden_bias),
        initial=tuple(next(tensors).contiguous() for _ in range(recurrence.initial)),
        coefficients=tuple(next(tensors) for _ in range(recurrence.coefficients)),
    )


def dense_rows(tensor: Tensor) -> Tensor:
    """Return a tensor whose last axis is contiguous in memory."""
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def zeros(like: Tensor, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    """Return zeros of shapes of up to two axes as parts of one vector, cleared at once.

    >>> [part.shape for part in zeros(torch.ones(1), [(2, 3), ()])]
    [torch.Size([2, 3]), torch.Size([])]
    """
    *starts, end = accumulate(map(math.prod, shapes), initial=0)
    whole = like.new_zeros(end)
    return [
        whole.as_strided(shape, (*shape[1:], 1)[: len(shape)], start)
        for shape, start in zip(shapes, starts, strict=True)
    ]


def fields(*groups: tuple[type, str]) -> tuple[tuple[str, type], ...]:
    """Return the fields of a structure from types, each with the names of its fields.

    >>> [name for name, _ in fields((ctypes.c_int64, "steps batch"), (ctypes.c_void_p, "x"))]
    ['steps', 'batch', 'x']
    """
    return tuple((name, kind) for kind, names in groups for name in names.split())


class Problem(ctypes.Structure):
    """The structure of the same name in ``kernel/problem.h``."""

    _fields_ = fields(
        (ctypes.c_int64, "cell steps batch inputs hidden reverse"),
        (ctypes.c_void_p, "lengths x"),
        (ctypes.c_int64, "x_step x_row"),
        (ctypes.c_void_p, "input_weight hidden_weight input_bias hidden_bias h0 c0 states"),
        (ctypes.c_int64, "state_step state_row"),
        (ctypes.c_void_p, "h_final c_final kept value differentiate"),
        (ctypes.c_int64, "coefficients"),
        (ctypes.c_void_p * MAX_COEFFICIENTS, "coefficient"),
        (ctypes.c_int64 * MAX_COEFFICIENTS, "coefficient_row coefficient_unit"),
        (ctypes.c_void_p, "d_states"),
        (ctypes.c_int64, "d_step d_row"),
        (ctypes.c_void_p, "d_h_final d_c_final dx"),
        (ctypes.c_int64, "dx_step dx_row"),
        (ctypes.c_void_p, "d_input_weight d_hidden_weight d_input_bias d_hidden_bias dh0 dc0"),
        (ctypes.c_void_p * MAX_COEFFICIENTS, "d_coefficient"),
    )


def make_problem(cell: str, recurrence: KernelRecurrence, tensors: Operands) -> Problem:
    """Describe a recurrence and its operands."""
    steps, batch, hidden = tensors.shape
    problem = Problem(
        cell=CELLS[cell],
        steps=steps,
        batch=batch,
        inputs=tensors.inputs.shape[2],
        hidden=hidden,
        reverse=recurrence.reverse,
        lengths=tensors.lengths.data_ptr(),
        x=tensors.inputs.data_ptr(),
        x_step=tensors.inputs.stride(0),
        x_row=tensors.inputs.stride(1),
        input_weight=_address(tensors.input),
        hidden_weight=_address(tensors.hidden),
        input_bias=_address(tensors.input_bias),
        hidden_bias=_address(tensors.hidden_bias),
        value=recurrence.activation[0],
        differentiate=recurrence.activation[1],
        coefficients=recurrence.coefficients,
    )
    for name, each in zip(("h0", "c0"), tensors.initial, strict=False):
        setattr(problem, name, each.data_ptr())
    for i, each in enumerate(tensors.coefficients):
        problem.coefficient[i] = each.data_ptr()
        if each.dim():
            strides = each.expand(batch, hidden).stride()
            problem.coefficient_row[i], problem.coefficient_unit[i] = strides
    return problem


def set_state_ptrs(problem: Problem, states: Tensor) -> None:
    """Set the address of the states of all steps."""
    problem.states = states.data_ptr()
    problem.state_step, problem.state_row = states.stride()[:2]


def set_output_grad_ptrs(problem: Problem, grads: Sequence[Tensor | None]) -> None:
    """Set the addresses of the gradients of the outputs: all states, then the final ones."""
    states, *final = grads
    if states is not None:
        problem.d_states = states.data_ptr()
        problem.d_step, problem.d_row = states.stride()[:2]
    for name, each in zip(("d_h_final", "d_c_final"), final, strict=False):
        setattr(problem, name, _address(each))


def set_grad_ptrs(problem: Problem, grads: Operands, needs_inputs: bool) -> None:
    """Set the addresses to which the gradients of the operands are written."""
    if needs_inputs:
        problem.dx = grads.inputs.data_ptr()
        problem.dx_step, problem.dx_row = grads.inputs.stride()[:2]
    problem.d_hidden_weight = grads.hidden.data_ptr()
    problem.d_input_weight = _address(grads.input)
    problem.d_input_bias = _address(grads.input_bias)
    problem.d_hidden_bias = _address(grads.hidden_bias)
    for name, each in zip(("dh0", "dc0"), grads.initial, strict=False):
        setattr(problem, name, each.data_ptr())
    for i, each in enumerate(grads.coefficients):
        problem.d_coefficient[i] = each.data_ptr()


def alloc_states(group: Sequence[Operands]) -> Tensor:
    """Allocate the states of a group side by side (T, B, ΣH), in the memory order of the inputs."""
    return _like_inputs(group[0], sum(each.shape[2] for each in group))


def columns(states: Tensor, group: Sequence[Operands]) -> Sequence[Tensor]:
    """Split what `alloc_states` has allocated, or its gradient, among the recurrences."""
    if len(group) == 1:
        return [states]
    return states.split_with_sizes([each.shape[2] for each in group], -1)


def alloc_grads(operands: Sequence[Operands], needs_inputs: Sequence[bool]) -> list[Operands]:
    """Allocate the gradients of all operands; sums over slices are parts of one vector of zeros.

    Args:
        operands: The operands of each recurrence.
        needs_inputs: False if the inputs of a recurrence need no gradient: none is allocated, and
            the result contains the inputs in its place.
    """
    shapes = [shape for each in operands for shape in each.summed_shapes()]
    parts = iter(zeros(operands[0].hidden, shapes))

    def optional(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else next(parts)

    return [
        Operands(
            inputs=_like_inputs(each, each.inputs.shape[2]) if needed else each.inputs,
            lengths=each.lengths,
            hidden=next(parts),
            input=optional(each.input),
            input_bias=optional(each.input_bias),
            hidden_bias=optional(each.hidden_bias),
            initial=tuple(torch.empty_like(state) for state in each.initial),
            coefficients=tuple(next(parts) for _ in each.coefficients),
        )
        for each, needed in zip(operands, needs_inputs, strict=True)
    ]


def _like_inputs(tensors: Operands, features: int) -> Tensor:
    steps, batch, _ = tensors.shape
    if tensors.inputs.stride(0) < tensors.inputs.stride(1):
        return tensors.hidden.new_empty_strided(
            (steps, batch, features), (features, steps * features, 1)
        )
    return tensors.hidden.new_empty(steps, batch, features)


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
