"""One recurrence as the kernel sees it: a structure of addresses, and the tensors behind it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CELLS = {"gru": 0, "gru_before": 1, "li_gru": 2, "lstm": 3, "rnn": 4}
"""The cells that the kernel has, as ``kernel/problem.h`` numbers them."""

MOST_COEFFICIENTS = 16


@dataclass(frozen=True)
class Part:
    """What of one recurrence is no tensor.

    Attributes:
        reverse: Whether time runs backwards.
        input: Whether there are input weights.
        input_bias: Whether there is an input bias.
        hidden_bias: Whether there is a hidden bias.
        initial: How many initial states there are.
        coefficients: How many coefficients the activation has.
        activation: Addresses of its value and of its derivative in C++.
    """

    reverse: bool
    input: bool
    input_bias: bool
    hidden_bias: bool
    initial: int
    coefficients: int
    activation: tuple[int, int]

    @property
    def tensors(self) -> int:
        """How many tensors the recurrence takes."""
        optional = self.input + self.input_bias + self.hidden_bias
        return 3 + optional + self.initial + self.coefficients


@dataclass(frozen=True)
class Plan:
    """One call of the kernel.

    Attributes:
        cell: Name of the cell.
        parts: The recurrences.
        keep: Whether there will be a way back.
        pairs: Whether products are taken in bfloat16; sums and states stay float32.
    """

    cell: str
    parts: tuple[Part, ...]
    keep: bool
    pairs: bool

    @property
    def outputs(self) -> int:
        """How many tensors each recurrence returns: all states, and what it carries at the end."""
        return 3 if self.cell == "lstm" else 2

    def times(self, n: int) -> Plan:
        """Return the call for an ensemble of ``n``."""
        return Plan(self.cell, self.parts * n, self.keep, self.pairs)


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

    def listed(self) -> list[Tensor]:
        """Return the tensors in a row."""
        optional = (self.input, self.input_bias, self.hidden_bias)
        given = (each for each in optional if each is not None)
        return [self.inputs, self.lengths, self.hidden, *given, *self.initial, *self.coefficients]


def operands_of(plan: Plan, tensors: Sequence[Tensor]) -> list[Operands]:
    """Take a row of tensors apart, each laid out as the kernel reads it."""
    row = iter(tensors)
    return [_operands(part, row) for part in plan.parts]


def _operands(part: Part, row: Iterator[Tensor]) -> Operands:
    def maybe(there: bool) -> Tensor | None:
        return next(row).contiguous() if there else None

    return Operands(
        inputs=side_by_side(next(row)),
        lengths=next(row).contiguous(),
        hidden=next(row).contiguous(),
        input=maybe(part.input),
        input_bias=maybe(part.input_bias),
        hidden_bias=maybe(part.hidden_bias),
        initial=tuple(next(row).contiguous() for _ in range(part.initial)),
        coefficients=tuple(next(row) for _ in range(part.coefficients)),
    )


def side_by_side(tensor: Tensor) -> Tensor:
    """Return a tensor whose last axis lies side by side in memory."""
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


class Problem(ctypes.Structure):
    """The structure of the same name in ``kernel/problem.h``."""

    _fields_ = tuple(
        (name, kind)
        for kind, names in (
            (ctypes.c_int64, "cell steps batch inputs hidden reverse"),
            (ctypes.c_void_p, "lengths x"),
            (ctypes.c_int64, "x_step x_row"),
            (ctypes.c_void_p, "input_weight hidden_weight input_bias hidden_bias h0 c0 states"),
            (ctypes.c_int64, "state_step state_row"),
            (ctypes.c_void_p, "h_final c_final kept value differentiate"),
            (ctypes.c_int64, "coefficients"),
            (ctypes.c_void_p * MOST_COEFFICIENTS, "coefficient"),
            (ctypes.c_int64 * MOST_COEFFICIENTS, "coefficient_row coefficient_unit"),
            (ctypes.c_void_p, "d_states"),
            (ctypes.c_int64, "d_step d_row"),
            (ctypes.c_void_p, "d_h_final d_c_final dx"),
            (ctypes.c_int64, "dx_step dx_row"),
            (ctypes.c_void_p, "d_input_weight d_hidden_weight d_input_bias d_hidden_bias dh0 dc0"),
            (ctypes.c_void_p * MOST_COEFFICIENTS, "d_coefficient"),
        )
        for name in names.split()
    )


def problem_of(plan: Plan, part: Part, tensors: Operands) -> Problem:
    """Describe the operands of a recurrence."""
    steps, batch, hidden = tensors.shape
    problem = Problem(
        cell=CELLS[plan.cell],
        steps=steps,
        batch=batch,
        inputs=tensors.inputs.shape[2],
        hidden=hidden,
        reverse=part.reverse,
        lengths=tensors.lengths.data_ptr(),
        x=tensors.inputs.data_ptr(),
        x_step=tensors.inputs.stride(0),
        x_row=tensors.inputs.stride(1),
        input_weight=_address(tensors.input),
        hidden_weight=_address(tensors.hidden),
        input_bias=_address(tensors.input_bias),
        hidden_bias=_address(tensors.hidden_bias),
        value=part.activation[0],
        differentiate=part.activation[1],
        coefficients=part.coefficients,
    )
    for name, each in zip(("h0", "c0"), tensors.initial, strict=False):
        setattr(problem, name, each.data_ptr())
    for i, each in enumerate(tensors.coefficients):
        spread = each.expand(batch, hidden)
        problem.coefficient[i] = spread.data_ptr()
        problem.coefficient_row[i], problem.coefficient_unit[i] = spread.stride()
    return problem


def point_at_states(problem: Problem, states: Tensor) -> None:
    """Say where the states of all steps are."""
    problem.states = states.data_ptr()
    problem.state_step, problem.state_row = states.stride()[:2]


def point_at_gradients(problem: Problem, gradients: Sequence[Tensor | None]) -> None:
    """Say where the gradients of the outputs are: all states, then what is carried."""
    states, *final = gradients
    if states is not None:
        problem.d_states = states.data_ptr()
        problem.d_step, problem.d_row = states.stride()[:2]
    for name, each in zip(("d_h_final", "d_c_final"), final, strict=False):
        setattr(problem, name, _address(each))


def point_at_answers(problem: Problem, answers: Operands, inputs_wanted: bool) -> None:
    """Say where the gradients of the operands go."""
    if inputs_wanted:
        problem.dx = answers.inputs.data_ptr()
        problem.dx_step, problem.dx_row = answers.inputs.stride()[:2]
    problem.d_hidden_weight = answers.hidden.data_ptr()
    problem.d_input_weight = _address(answers.input)
    problem.d_input_bias = _address(answers.input_bias)
    problem.d_hidden_bias = _address(answers.hidden_bias)
    for name, each in zip(("dh0", "dc0"), answers.initial, strict=False):
        setattr(problem, name, each.data_ptr())
    for i, each in enumerate(answers.coefficients):
        problem.d_coefficient[i] = each.data_ptr()


def room_for_states(tensors: Operands) -> Tensor:
    """Return room for all states (T, B, H), which lie in memory as the inputs do."""
    return _like_inputs(tensors, tensors.shape[2])


def room_for_answers(tensors: Operands) -> Operands:
    """Return room for the gradients; sums over slices begin at zero."""

    def zeros(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else torch.zeros_like(tensor)

    _, batch, hidden = tensors.shape
    return Operands(
        _like_inputs(tensors, tensors.inputs.shape[2]),
        tensors.lengths,
        torch.zeros_like(tensors.hidden),
        zeros(tensors.input),
        zeros(tensors.input_bias),
        zeros(tensors.hidden_bias),
        tuple(torch.empty_like(each) for each in tensors.initial),
        tuple(
            each.new_zeros(batch if each.expand(batch, hidden).stride(0) else 1, hidden)
            for each in tensors.coefficients
        ),
    )


def _like_inputs(tensors: Operands, columns: int) -> Tensor:
    steps, batch, _ = tensors.shape
    if tensors.inputs.stride(0) < tensors.inputs.stride(1):
        return tensors.hidden.new_empty(batch, steps, columns).transpose(0, 1)
    return tensors.hidden.new_empty(steps, batch, columns)


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
