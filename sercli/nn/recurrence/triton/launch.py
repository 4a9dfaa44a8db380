"""Run the Triton kernels under autograd and ``torch.func``."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from triton.runtime.errors import OutOfResources

from sercli.errors import SercliError
from sercli.nn.recurrence.autograd import NO_SECOND_DERIVATIVE, in_transform
from sercli.nn.recurrence.cpp.build import NoKernelError
from sercli.nn.recurrence.triton import cells, kernel
from sercli.nn.recurrence.triton.generate import TritonActivation
from sercli.nn.recurrence.triton.layout import Layout, choose

_SPAN = 32
_BLOCK = 256
_FEW = 4
_INT32 = 2**31


@dataclass(frozen=True)
class CellKernel:
    """Description of a cell for the loops over time.

    Attributes:
        forward: Its step.
        backward: Its step back.
        gates: Blocks of H rows in the weights.
        kept: Numbers that a unit keeps at each step.
        candidate: The position among them of the input of the activation.
        cell_state: True if there is a second state; it is kept last.
        reset_before: True if the state is multiplied by the first gate before the last product.
        inner: True if the recurrent bias takes part in the step, so that the gradient of the
            candidate's recurrent product differs from that of its projected input.
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
        forwards: Number of recurrences that run forwards; the reversed ones follow them.
        precision: Precision of products: ``tf32x3``, ``tf32`` or ``bf16``.
        dtype: Dtype of the projected inputs.
        keep: True if gradients may be asked for.
        started: True if initial states are given.
        padded: True if sequences may be shorter than T.
        wanted: Flags of the differentiable tensors that need a gradient; set on the way back.
        ended: True if the final states have gradients; set on the way back.
    """

    cell: str
    activation: TritonActivation
    forwards: int
    precision: str
    dtype: torch.dtype
    keep: bool
    started: bool
    padded: bool
    wanted: tuple[bool, ...] = ()
    ended: bool = False

    @property
    def kernel(self) -> CellKernel:
        """The description of the cell."""
        return CELLS[self.cell]


@dataclass(frozen=True)
class Operands:
    """The tensors of G recurrences, beside their inputs.

    Attributes:
        weights: Recurrent weights, (G, gates·H, H).
        bias: Bias of the recurrent products, (G, gates·H), for cells that add it inside the
            step; else (G, 0).
        h_start: Initial h, (G, B, H); (G, 0) for zeros.
        c_start: Initial c, for cells that have it; else as ``h_start``.
        coefficients: Coefficients of the activation, (G, number, 1 or B, 1 or H).
        lengths: Steps of each sequence, (G, B).
        order: The sequences from the longest to the shortest, (G, B).
    """

    weights: Tensor
    bias: Tensor
    h_start: Tensor
    c_start: Tensor
    coefficients: Tensor
    lengths: Tensor
    order: Tensor

    def listed(self) -> tuple[Tensor, ...]:
        """Return the tensors in a row."""
        states = self.h_start, self.c_start
        return self.weights, self.bias, *states, self.coefficients, self.lengths, self.order


def unroll(call: KernelCall, x: Tensor, operands: Operands) -> tuple[Tensor, ...]:
    """Run recurrences.

    Args:
        call: The call.
        x: Projected inputs, (G, T, B, gates·H).
        operands: All other tensors.

    Returns:
        All states (G, T, B, H), and the final ones, (G, B, H) each.
    """
    tensors = x, *operands.listed()
    if not call.keep:
        return _Unroll.forward(call, *tensors)[:-1]
    function = _Unroll if in_transform() else _Direct
    found: tuple[Tensor, ...] = function.apply(call, *tensors)  # type: ignore[no-untyped-call]
    return found[:-1]


class _Unroll(torch.autograd.Function):
    """Forwards; what is kept for the way back is the last output."""

    @staticmethod
    def forward(call: KernelCall, x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        with _on(x.device):
            return _forward(call, x, Operands(*(each.contiguous() for each in others)))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.call, _, *others = inputs
        ctx.mark_non_differentiable(output[-1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*others, output[0], output[-1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        *others, states, kept = ctx.saved_tensors
        d_states, *finals = gradients[:-1]
        if d_states is None:
            d_states = states.new_zeros(states.shape[-1]).expand(states.shape)
        ended = any(each is not None for each in finals)
        if ended:
            shape = states.shape[0], *states.shape[2:]
            finals = [states.new_zeros(shape) if each is None else each for each in finals]
        wanted = tuple(ctx.needs_input_grad[1:7])
        call = replace(ctx.call, wanted=wanted, ended=ended)
        given = (call, *others, states, kept, d_states, *(each for each in finals if ended))
        if torch.is_grad_enabled() or in_transform():
            found = _UnrollBack.apply(*given)  # type: ignore[no-untyped-call]
        else:
            found = _UnrollBack.forward(*given)
        asked = zip(wanted, found, strict=True)
        return (None, *(each if want else None for want, each in asked), None, None)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], call: KernelCall, *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """Run an ensemble of N as N times as many recurrences, in one call."""
        return _as_more_recurrences(_Unroll, info.batch_size, in_dims, call, tensors)


class _Direct(torch.autograd.Function):
    """The same outside of transforms, where it costs less time of the host."""

    @staticmethod
    def forward(ctx: Any, call: KernelCall, *tensors: Tensor) -> tuple[Tensor, ...]:
        output = _Unroll.forward(call, *tensors)
        _Unroll.setup_context(ctx, (call, *tensors), output)
        return output

    backward = _Unroll.backward


class _UnrollBack(torch.autograd.Function):
    """Backwards, as a function of its own, so that it too can run on an ensemble.

    It takes the operands but the inputs, the states, what was kept, and the gradients of the
    outputs: of the final states only if ``call.ended``.
    """

    @staticmethod
    def forward(call: KernelCall, *tensors: Tensor) -> tuple[Tensor, ...]:
        others, (states, kept, d_states, *finals) = tensors[:7], tensors[7:]
        operands = Operands(*(each.contiguous() for each in others))
        back = _Back(call, operands, states.contiguous(), kept.contiguous())
        with _on(states.device):
            return back.run(d_states, [each.contiguous() for each in finals])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> None:
        raise SercliError(NO_SECOND_DERIVATIVE)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], call: KernelCall, *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        return _as_more_recurrences(_UnrollBack, info.batch_size, in_dims, call, tensors)


def _on(device: torch.device) -> AbstractContextManager[object]:
    """Make a device the current one."""
    if device.type != "cuda" or device.index == torch.cuda.current_device():
        return nullcontext()
    return torch.cuda.device(device)


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
    cell, weights = call.kernel, operands.weights
    recurrences, steps, batch, _ = x.shape
    hidden = weights.shape[2]
    new = weights.new_zeros if call.padded else weights.new_empty
    states = new(recurrences, steps, batch, hidden)
    kept = weights.new_empty(recurrences, cell.kept if call.keep else 0, steps, batch, hidden)
    finals = [weights.new_empty(recurrences, batch, hidden) for _ in range(1 + cell.cell_state)]
    x = x if x.stride(-1) == 1 else x.contiguous()
    for part in _launches(call, operands, states.shape):
        arguments = part.of(
            *(x, *x.stride()[:3], weights, operands.bias, operands.h_start, operands.c_start),
            *(operands.coefficients, *_strides(operands.coefficients), operands.lengths),
            *(operands.order, states, finals[0], finals[-1], kept),
        )
        constants = {
            "H": hidden,
            "STEP": cell.forward,
            "VALUE": call.activation.value,
            "GATES": cell.gates,
            "KEPT": cell.kept,
            "CELL_STATE": cell.cell_state,
            "RESET_BEFORE": cell.reset_before,
            "BIASED": cell.inner and operands.bias.shape[1] > 0,
            "KEEP": call.keep,
            "BLOCKS": 1,
        }
        part.start(kernel.forward, arguments, constants, 1, steps, batch)
    return states, *finals, kept


class _Back:
    """The way back of a call."""

    def __init__(self, call: KernelCall, operands: Operands, states: Tensor, kept: Tensor) -> None:
        self._call, self._operands, self._states, self._kept = call, operands, states, kept
        self._cell = call.kernel

    def run(self, d_states: Tensor, finals: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the gradients of the projected inputs and of the operands but the lengths."""
        call, operands, states, cell = self._call, self._operands, self._states, self._cell
        recurrences, steps, batch, hidden = states.shape
        valued = operands.coefficients.shape[1] > 0 and call.wanted[5]
        new = states.new_zeros if call.padded else states.new_empty
        beside = states
        if cell.inner or cell.reset_before:
            beside = new(recurrences, steps, batch, hidden * (cell.gates if cell.inner else 1))
        d_value = torch.empty_like(states) if valued else states
        # They lie in memory as projections of a shared input do.
        dx = new(steps, batch, recurrences, cell.gates * hidden, dtype=call.dtype)
        dx = dx.permute(2, 0, 1, 3)
        starts = [torch.empty_like(operands.h_start) for _ in range(1 + cell.cell_state)]
        d_states = d_states if d_states.stride(-1) == 1 else d_states.contiguous()
        finals = finals or [states]
        for part in _launches(call, operands, states.shape):
            arguments = part.of(
                *(operands.weights, operands.h_start, operands.c_start),
                *(operands.coefficients, *_strides(operands.coefficients), operands.lengths),
                *(operands.order, states, self._kept, d_states, *d_states.stride()[:3]),
                *(finals[0], finals[-1], dx, *dx.stride()[:3], beside, d_value),
                *(starts[0], starts[-1]),
            )
            constants = {
                "H": hidden,
                "STEP": cell.backward,
                "SLOPE": call.activation.slope,
                "GATES": cell.gates,
                "KEPT": cell.kept,
                "CELL_STATE": cell.cell_state,
                "RESET_BEFORE": cell.reset_before,
                "INNER": cell.inner,
                "VALUED": valued,
                "BLOCKS": cell.gates,
            }
            last = {"ENDED": call.ended}
            part.start(kernel.backward, arguments, constants, cell.gates, steps, batch, last)
        d_products = beside if cell.inner else dx
        nothing = states.new_empty(recurrences, 0)
        biased = cell.inner and operands.bias.shape[1] > 0 and call.wanted[2]
        return (
            dx,
            self._d_weights(d_products, beside) if call.wanted[1] else nothing,
            d_products.sum((1, 2)) if biased else nothing,
            starts[0],
            starts[1] if cell.cell_state else nothing,
            self._d_coefficients(d_value) if valued else nothing,
        )

    def _d_weights(self, d: Tensor, reset: Tensor) -> Tensor:
        """Sum the products of gradients and states over all steps and sequences."""
        if not self._cell.reset_before:
            return self._with_states(d)
        hidden = self._states.shape[3]
        gates, candidate = d.split_with_sizes([2 * hidden, hidden], -1)
        return torch.cat([self._with_states(gates), self._outer(candidate, reset)], 1)

    def _with_states(self, d: Tensor) -> Tensor:
        """Σ dᵀ h, h the state before that step, (G, n, H)."""
        n, states = self._call.forwards, self._states
        parts = []
        if n:
            parts.append(self._outer(d[:n, 1:], states[:n, :-1]))
        if n < len(d):
            parts.append(self._outer(d[n:, :-1], states[n:, 1:]))
        total = parts[0] if len(parts) == 1 else torch.cat(parts)
        if not self._call.started:
            return total
        last = (self._operands.lengths[n:].long() - 1)[:, None, :, None]
        final = d[n:].gather(1, last.expand(-1, 1, -1, d.shape[-1]))
        start = self._operands.h_start.unsqueeze(1)
        return total + self._outer(torch.cat([d[:n, :1], final]), start)

    def _outer(self, d: Tensor, states: Tensor) -> Tensor:
        """Σ dᵀ h over steps and sequences, (G, n, H)."""
        dtype = torch.bfloat16 if self._call.precision == "bf16" else states.dtype
        left, right = d.flatten(1, 2).to(dtype), states.flatten(1, 2).to(dtype)
        if len(left) == 1:
            return (left[0].t() @ right[0]).to(states.dtype).unsqueeze(0)
        if len(left) <= _FEW:  # the library cuts a long sum for single products only
            products = [a.t() @ b for a, b in zip(left, right, strict=True)]
            return torch.stack(products).to(states.dtype)
        return (left.transpose(1, 2) @ right).to(states.dtype)

    def _d_coefficients(self, d_value: Tensor) -> Tensor:
        call, coefficients = self._call, self._operands.coefficients
        recurrences, steps, batch, hidden = d_value.shape
        chunks, blocks = -(-steps // _SPAN), -(-batch * hidden // _BLOCK)
        inputs = self._kept[:, self._cell.candidate]
        sums = d_value.new_zeros(*coefficients.shape[:2], chunks, batch, hidden)
        _start(
            call.activation.gradients,
            (blocks, recurrences, chunks),
            (
                *(inputs, inputs.stride(0), d_value, coefficients, *_strides(coefficients)),
                *(self._operands.lengths, sums, _SPAN, steps, batch, hidden),
            ),
            {"BLOCK": _BLOCK, "PADDED": call.padded},
            {},
        )
        shared = [
            d for d, size in ((3, coefficients.shape[2]), (4, coefficients.shape[3])) if size == 1
        ]
        return sums.sum([2, *shared]).view(coefficients.shape)


def _strides(coefficients: Tensor) -> tuple[int, int, int, int]:
    """Steps to the next recurrence, coefficient, sequence and unit; 0 where all share one."""
    sizes = zip(coefficients.shape, coefficients.stride(), strict=True)
    g, number, row, unit = (0 if size == 1 else stride for size, stride in sizes)
    return g, number, row, unit


_compiled: dict[Hashable, Any] = {}


def _start(
    function: Any,
    grid: tuple[int, int, int],
    arguments: Sequence[Any],
    constants: dict[str, Any],
    options: dict[str, Any],
) -> None:
    """Launch a kernel; later launches of the same kind skip triton's search for compiled code.

    Args:
        function: The kernel.
        grid: Programs along each axis.
        arguments: The kernel's arguments before the constants.
        constants: The rest, in the kernel's order.
        options: Options of the launch.

    Raises:
        NoKernelError: The kernel needs more of the GPU than there is.
    """
    first = next(each for each in arguments if isinstance(each, Tensor))
    values = *constants.values(), *options.values()
    key = function, first.device.index, *_special(arguments), *values
    known = _compiled.get(key)
    if known is None:
        try:
            _compiled[key] = function[grid](*arguments, **constants, **options)
        except OutOfResources as error:
            reason = f"the kernel does not fit the GPU ({error})"
            raise NoKernelError(reason, worth_saying=True) from error
    else:
        known[grid](*arguments, *constants.values())


def _special(arguments: Sequence[Any]) -> list[Hashable]:
    """Return everything about arguments that triton compiles for."""
    return [
        (each.dtype, each.data_ptr() % 16 == 0)
        if isinstance(each, Tensor)
        else 1
        if each == 1
        else (each % 16 == 0, each < _INT32)
        for each in arguments
    ]


@dataclass(frozen=True)
class _Launch:
    """A launch of a kernel for some recurrences of a call.

    Attributes:
        call: The call.
        members: The recurrences.
        total: Recurrences of the call.
        layout: The sizes of the programs.
        tiles: Tiles of sequences per recurrence.
    """

    call: KernelCall
    members: slice
    total: int
    layout: Layout
    tiles: int

    @property
    def size(self) -> int:
        """Number of recurrences."""
        return int(self.members.stop - self.members.start)

    def of(self, *arguments: Any) -> list[Any]:
        """Return arguments, each tensor cut to the members."""
        if self.size == self.total:
            return list(arguments)
        return [each[self.members] if isinstance(each, Tensor) else each for each in arguments]

    def start(
        self,
        function: Any,
        arguments: list[Any],
        constants: dict[str, Any],
        blocks: int,
        steps: int,
        batch: int,
        last: dict[str, Any] | None = None,
    ) -> None:
        """Launch the kernel."""
        call, cut = self.call, self.layout
        forwards = min(max(call.forwards - self.members.start, 0), self.size)
        tiles = self.size * self.tiles
        room = counters = arguments[0]
        options = {"num_warps": cut.warps, "num_stages": 1}
        if cut.slices > 1:
            shape = 2, tiles, blocks, cut.rows, cut.width
            room = arguments[0].new_zeros(shape, dtype=torch.float32)
            counters = arguments[0].new_zeros(tiles, dtype=torch.int32)
            if room.is_cuda:
                options["launch_cooperative_grid"] = True
        constants |= {
            "BM": cut.rows,
            "HP": cut.width,
            "HS": cut.units,
            "SLICES": cut.slices,
            "PARTS": cut.parts,
            "PRECISION": cut.precision,
            "STARTED": call.started,
            "PADDED": call.padded,
        }
        _start(
            function,
            (tiles * cut.slices, 1, 1),
            [*arguments, room, counters, forwards, self.size, steps, batch, self.tiles],
            constants | (last or {}),
            options,
        )


def _launches(call: KernelCall, operands: Operands, shape: torch.Size) -> list[_Launch]:
    recurrences, _, batch, hidden = shape
    device = operands.weights.device
    layout = layout_for(call.cell, recurrences, batch, hidden, call.precision, device)
    tiles, once = -(-batch // layout.rows), layout.at_once
    return [
        _Launch(call, slice(first, min(first + once, recurrences)), recurrences, layout, tiles)
        for first in range(0, recurrences, once)
    ]


def layout_for(
    cell: str, recurrences: int, batch: int, hidden: int, precision: str, device: torch.device
) -> Layout:
    """Return the sizes of the programs of a call.

    Raises:
        NoKernelError: There are too many units, or too many sequences for so many units.
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
