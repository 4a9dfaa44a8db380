"""Run the Triton kernels under autograd and ``torch.func``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from sercli.errors import SercliError
from sercli.nn.recurrence.triton import cells, kernel
from sercli.nn.recurrence.triton.generate import TritonActivation
from sercli.nn.recurrence.triton.layout import Layout, choose

_SPAN = 32
_BLOCK = 256
_FEW = 4


@dataclass(frozen=True)
class CellKernel:
    """What the loops must know of a cell.

    Attributes:
        forward: Its step.
        backward: Its step back.
        gates: Blocks of H rows in the weights.
        kept: Numbers that a unit keeps at each step.
        candidate: Which of them is the input of the activation.
        cell_state: Whether there is a second state; it is kept last.
        reset_before: Whether the state of the last gate's product is multiplied by the first.
        inner: Whether the candidate's gradient differs as the recurrent product sees it, and
            the recurrent bias takes part in the step.
    """

    forward: Any
    backward: Any
    gates: int
    kept: int
    candidate: int
    cell_state: bool = False
    reset_before: bool = False
    inner: bool = False


CELLS = {
    "gru": CellKernel(cells.gru, cells.gru_back, 3, 4, 3, inner=True),
    "gru_before": CellKernel(cells.gru_before, cells.gru_before_back, 3, 3, 2, reset_before=True),
    "li_gru": CellKernel(cells.li_gru, cells.li_gru_back, 2, 2, 1),
    "lstm": CellKernel(cells.lstm, cells.lstm_back, 4, 5, 2, cell_state=True),
    "rnn": CellKernel(cells.rnn, cells.rnn_back, 1, 1, 0),
}


@dataclass(frozen=True)
class KernelCall:
    """One call of the kernels for G recurrences of equal shapes.

    Attributes:
        cell: Name of the cell.
        activation: Its activation.
        forwards: How many recurrences run forwards; they stand before those that do not.
        precision: Of products: ``ieee``, ``tf32`` or ``bf16``.
        dtype: Of the projected inputs.
        keep: Whether there will be a way back.
        started: Whether the states at the start are not zero.
        wanted: Which of the differentiable tensors need a gradient; filled in on the way back.
    """

    cell: str
    activation: TritonActivation
    forwards: int
    precision: str
    dtype: torch.dtype
    keep: bool
    started: bool
    wanted: tuple[bool, ...] = ()

    @property
    def kernel(self) -> CellKernel:
        """The cell as the loops know it."""
        return CELLS[self.cell]


@dataclass(frozen=True)
class Operands:
    """The tensors of G recurrences, beside their inputs.

    Attributes:
        weights: Recurrent weights, (G, gates·H, H).
        bias: What is added to the recurrent products, (G, gates·H), where the cell asks for it;
            else (G, 0).
        h_start: The first states, (G, B, H).
        c_start: The second ones, where the cell has them; else the first.
        coefficients: Those of the activation, (G, number, 1 or B, 1 or H).
        lengths: Steps of each sequence, (G, B).
    """

    weights: Tensor
    bias: Tensor
    h_start: Tensor
    c_start: Tensor
    coefficients: Tensor
    lengths: Tensor

    def listed(self) -> tuple[Tensor, ...]:
        """Return the tensors in a row."""
        states = self.h_start, self.c_start
        return self.weights, self.bias, *states, self.coefficients, self.lengths


def unroll(call: KernelCall, x: Tensor, operands: Operands) -> tuple[Tensor, Tensor, Tensor]:
    """Run recurrences.

    Args:
        call: The call.
        x: Projected inputs, (G, T, B, gates·H).
        operands: All other tensors.

    Returns:
        All states (G, T, B, H), and both at the end, (G, B, H).
    """
    states, h, c, _ = _Unroll.apply(call, x, *operands.listed())  # type: ignore[no-untyped-call]
    return states, h, c


class _Unroll(torch.autograd.Function):
    """Forwards; what is kept for the way back is the last output."""

    @staticmethod
    def forward(call: KernelCall, x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
            return _forward(call, x, Operands(*(each.contiguous() for each in others)))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.call, _, *others = inputs
        states, _, _, kept = output
        ctx.mark_non_differentiable(kept)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*others, states, kept)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        *others, states, kept = ctx.saved_tensors
        start = others[2]
        given = [
            like.new_zeros(like.shape[-1]).expand(like.shape) if each is None else each
            for each, like in zip(gradients[:3], (states, start, start), strict=True)
        ]
        wanted = tuple(ctx.needs_input_grad[1:7])
        call = replace(ctx.call, wanted=wanted)
        found = _UnrollBack.apply(call, *others, states, kept, *given)  # type: ignore[no-untyped-call]
        asked = zip(wanted, found, strict=True)
        return (None, *(each if want else None for want, each in asked), None)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], call: KernelCall, *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """Run an ensemble of N as N times as many recurrences, in one call."""
        return _as_more_recurrences(_Unroll, info.batch_size, in_dims, call, tensors)


class _UnrollBack(torch.autograd.Function):
    """Backwards, as a function of its own, so that it too can run on an ensemble.

    It takes the operands but the inputs, the states, what was kept, and the gradients of the
    outputs.
    """

    @staticmethod
    def forward(call: KernelCall, *tensors: Tensor) -> tuple[Tensor, ...]:
        *others, states, kept, d_states, d_h, d_c = tensors
        operands = Operands(*(each.contiguous() for each in others))
        back = _Back(call, operands, states.contiguous(), kept.contiguous())
        with torch.cuda.device_of(states):  # type: ignore[no-untyped-call]
            return back.run(d_states, d_h.contiguous(), d_c.contiguous())

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
        info: Any, in_dims: tuple[int | None, ...], call: KernelCall, *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        return _as_more_recurrences(_UnrollBack, info.batch_size, in_dims, call, tensors)


def _as_more_recurrences(
    function: Any,
    n: int,
    in_dims: tuple[int | None, ...],
    call: KernelCall,
    tensors: Sequence[Tensor],
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """Run an ensemble of N: members of one recurrence stand side by side, G·N in all."""

    def merged(tensor: Tensor, dim: int | None) -> Tensor:
        if dim is None:
            tensor = tensor.unsqueeze(1).expand(-1, n, *tensor.shape[1:])
        else:
            tensor = tensor.movedim(dim, 1) if dim else tensor.transpose(0, 1)
        return tensor.flatten(0, 1)

    given = [merged(*each) for each in zip(tensors, in_dims[1:], strict=True)]
    outputs = function.apply(replace(call, forwards=n * call.forwards), *given)
    return tuple(each.unflatten(0, (-1, n)) for each in outputs), (1,) * len(outputs)


def _forward(call: KernelCall, x: Tensor, operands: Operands) -> tuple[Tensor, ...]:
    cell, hidden = call.kernel, operands.weights.shape[2]
    recurrences, steps, batch, _ = x.shape
    states = operands.weights.new_zeros(recurrences, steps, batch, hidden)
    kept = states.new_empty(recurrences, cell.kept if call.keep else 0, steps, batch, hidden)
    h_final = torch.empty_like(operands.h_start)
    c_final = torch.empty_like(h_final) if cell.cell_state else h_final
    order = operands.lengths.argsort(dim=1, descending=True).to(torch.int32)
    x = x if x.stride(-1) == 1 else x.contiguous()
    for part in _launches(call, operands, states.shape):
        at = part.members
        kernel.forward[(part.programs,)](
            *(x[at], *x.stride()[:3], operands.weights[at], operands.bias[at]),
            *(operands.h_start[at], operands.c_start[at], *part.coefficients),
            *(operands.lengths[at], order[at], states[at], h_final[at], c_final[at], kept[at]),
            *part.room(1),
            *(part.forwards, part.size, steps, batch, part.tiles),
            H=hidden,
            STEP=cell.forward,
            VALUE=call.activation.value,
            GATES=cell.gates,
            KEPT=cell.kept,
            CELL_STATE=cell.cell_state,
            RESET_BEFORE=cell.reset_before,
            BIASED=operands.bias.shape[1] > 0,
            KEEP=call.keep,
            BLOCKS=1,
            **part.options(call),
        )
    return states, h_final, c_final if cell.cell_state else h_final.clone(), kept


class _Back:
    """The way back of a call."""

    def __init__(self, call: KernelCall, operands: Operands, states: Tensor, kept: Tensor) -> None:
        self._call, self._operands, self._states, self._kept = call, operands, states, kept
        self._cell = call.kernel

    def run(self, d_states: Tensor, d_h: Tensor, d_c: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of the projected inputs and of the operands but the lengths."""
        call, operands, states, cell = self._call, self._operands, self._states, self._cell
        recurrences, steps, batch, hidden = states.shape
        valued = operands.coefficients.shape[1] > 0 and call.wanted[5]
        beside = torch.zeros_like(states) if cell.inner or cell.reset_before else states
        d_value = torch.empty_like(states) if valued else states
        dx = _like_sequences(states, cell.gates * hidden, call.dtype)
        dh0 = torch.empty_like(operands.h_start)
        dc0 = torch.empty_like(dh0) if cell.cell_state else dh0
        d_states = d_states if d_states.stride(-1) == 1 else d_states.contiguous()
        order = operands.lengths.argsort(dim=1, descending=True).to(torch.int32)
        for part in _launches(call, operands, states.shape):
            at = part.members
            kernel.backward[(part.programs,)](
                *(operands.weights[at], operands.h_start[at], operands.c_start[at]),
                *(*part.coefficients, operands.lengths[at], order[at], states[at]),
                *(self._kept[at], d_states[at], *d_states.stride()[:3], d_h[at], d_c[at]),
                *(dx[at], *dx.stride()[:3], beside[at], d_value[at], dh0[at], dc0[at]),
                *part.room(cell.gates),
                *(part.forwards, part.size, steps, batch, part.tiles),
                H=hidden,
                STEP=cell.backward,
                SLOPE=call.activation.slope,
                GATES=cell.gates,
                KEPT=cell.kept,
                CELL_STATE=cell.cell_state,
                RESET_BEFORE=cell.reset_before,
                INNER=cell.inner,
                VALUED=valued,
                BLOCKS=cell.gates,
                **part.options(call),
            )
        nothing = states.new_empty(recurrences, 0)
        return (
            dx,
            self._d_weights(dx, beside) if call.wanted[1] else nothing,
            self._d_bias(dx, beside) if operands.bias.shape[1] and call.wanted[2] else nothing,
            dh0,
            dc0 if cell.cell_state else nothing,
            self._d_coefficients(d_value) if valued else nothing,
        )

    def _d_weights(self, dx: Tensor, beside: Tensor) -> Tensor:
        """Sum the products of gradients and states over all steps and sequences."""
        hidden = self._states.shape[3]
        if self._cell.inner:
            gates, candidate = dx[..., : 2 * hidden], beside
            return torch.cat([self._with_states(gates), self._with_states(candidate)], 1)
        if self._cell.reset_before:
            gates, candidate = dx.split_with_sizes([2 * hidden, hidden], -1)
            return torch.cat([self._with_states(gates), self._outer(candidate, beside)], 1)
        return self._with_states(dx)

    def _with_states(self, d: Tensor) -> Tensor:
        """Σ dᵀ h, h the state before that step, (G, n, H)."""
        n, states, start = self._call.forwards, self._states, self._operands.h_start
        ahead = self._outer(d[:n, 1:], states[:n, :-1])
        back = self._outer(d[n:, :-1], states[n:, 1:])
        total = torch.cat([ahead, back]) if len(ahead) and len(back) else ahead if n else back
        if not self._call.started:
            return total
        last = (self._operands.lengths[n:].long() - 1)[:, None, :, None]
        final = d[n:].gather(1, last.expand(-1, 1, -1, d.shape[-1]))
        return total + self._outer(torch.cat([d[:n, :1], final]), start.unsqueeze(1))

    def _outer(self, d: Tensor, states: Tensor) -> Tensor:
        """Σ dᵀ h over steps and sequences, (G, n, H)."""
        dtype = torch.bfloat16 if self._call.precision == "bf16" else states.dtype
        left, right = d.flatten(1, 2).to(dtype), states.flatten(1, 2).to(dtype)
        if 0 < len(left) <= _FEW:  # the library cuts a long sum for single products only
            products = [a.t() @ b for a, b in zip(left, right, strict=True)]
            return torch.stack(products).to(states.dtype)
        return (left.transpose(1, 2) @ right).to(states.dtype)

    def _d_bias(self, dx: Tensor, beside: Tensor) -> Tensor:
        gates = dx[..., : 2 * beside.shape[3]].sum((1, 2), dtype=beside.dtype)
        return torch.cat([gates, beside.sum((1, 2))], 1)

    def _d_coefficients(self, d_value: Tensor) -> Tensor:
        call, coefficients = self._call, self._operands.coefficients
        recurrences, steps, batch, hidden = d_value.shape
        chunks, blocks = -(-steps // _SPAN), -(-batch * hidden // _BLOCK)
        inputs = self._kept[:, self._cell.candidate]
        count = coefficients.shape[1]
        sums = d_value.new_zeros(chunks, count, recurrences, batch, hidden)
        call.activation.gradients[(blocks, recurrences, chunks)](
            *(inputs, inputs.stride(0), d_value, coefficients, *_strides(coefficients)),
            *(self._operands.lengths, sums, _SPAN, recurrences, steps, batch, hidden),
            BLOCK=_BLOCK,
        )
        total = sums.sum(0).transpose(0, 1)
        return total.sum_to_size(coefficients.shape)


def _strides(coefficients: Tensor) -> tuple[int, int, int, int]:
    """Steps to the next recurrence, coefficient, sequence and unit; 0 where all share one."""
    sizes = zip(coefficients.shape, coefficients.stride(), strict=True)
    g, number, row, unit = (0 if size == 1 else stride for size, stride in sizes)
    return g, number, row, unit


def _like_sequences(states: Tensor, features: int, dtype: torch.dtype) -> Tensor:
    """Return zeros (G, T, B, n) that lie in memory as projections of a shared input do."""
    recurrences, steps, batch, _ = states.shape
    zeros = states.new_zeros(steps, batch, recurrences, features, dtype=dtype)
    return zeros.permute(2, 0, 1, 3)


@dataclass(frozen=True)
class _Launch:
    """One launch of a kernel: some recurrences of a call.

    Attributes:
        members: Which recurrences.
        size: How many.
        forwards: How many of them run forwards.
        layout: How they are cut into programs.
        tiles: Tiles of sequences of a recurrence.
        coefficients: Those of the activation, and their strides.
    """

    members: slice
    size: int
    forwards: int
    layout: Layout
    tiles: int
    coefficients: tuple[Any, ...]

    @property
    def programs(self) -> int:
        return self.size * self.tiles * self.layout.slices

    def room(self, blocks: int) -> tuple[Tensor, Tensor]:
        """Return room for what programs exchange, and a counter for each tile."""
        numbers = self.coefficients[0]
        tiles, cut = self.size * self.tiles, self.layout
        shape = (2, tiles, blocks, cut.rows, cut.width) if cut.slices > 1 else (1,)
        return numbers.new_zeros(shape), numbers.new_zeros(tiles, dtype=torch.int32)

    def options(self, call: KernelCall) -> dict[str, Any]:
        """Return the constants of the kernel that the layout decides."""
        cut = self.layout
        constants = {"BM": cut.rows, "HP": cut.width, "HS": cut.units, "SLICES": cut.slices}
        options = {"num_warps": cut.warps, "num_stages": 1}
        if cut.slices > 1 and self.coefficients[0].is_cuda:
            options["launch_cooperative_grid"] = True
        return constants | {"PARTS": cut.parts, "PRECISION": call.precision} | options


def _launches(call: KernelCall, operands: Operands, shape: torch.Size) -> list[_Launch]:
    recurrences, _, batch, hidden = shape
    device = operands.weights.device
    layout = layout_for(call.cell, recurrences, batch, hidden, call.precision, device)
    launches = []
    for first in range(0, recurrences, layout.at_once):
        members = slice(first, min(first + layout.at_once, recurrences))
        size = members.stop - first
        forwards = min(max(call.forwards - first, 0), size)
        numbers = operands.coefficients[members]
        given = (numbers, *_strides(operands.coefficients))
        tiles = -(-batch // layout.rows)
        launches.append(_Launch(members, size, forwards, layout, tiles, given))
    return launches


def layout_for(
    cell: str, recurrences: int, batch: int, hidden: int, precision: str, device: torch.device
) -> Layout:
    """Return how a call is cut into programs.

    Raises:
        NoKernelError: There are too many units.
    """
    gates = CELLS[cell].gates
    return choose(recurrences, batch, hidden, gates, precision, *_limits(device))


@cache
def _limits(device: torch.device) -> tuple[int, int]:
    """Return the multiprocessors of a device, and the bytes of shared memory of one program."""
    if device.type != "cuda":
        return 132, 232_448
    found = torch.cuda.get_device_properties(device)
    return found.multi_processor_count, getattr(found, "shared_memory_per_block_optin", 101_376)
