"""What every cell promises, with every activation: `sercli.nn.cells.Recurrent`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from sercli.errors import RequestError
from sercli.nn import GRU
from sercli.nn.activations import ACTIVATIONS
from sercli.nn.cells import CELLS

BOTH = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
EVERY_CELL = pytest.mark.parametrize("cell", CELLS.names())
EVERY_ACTIVATION = pytest.mark.parametrize("activation", [*ACTIVATIONS.names(), "square"])

LENGTHS = torch.tensor([5, 1, 3])
STEPS = 7
HUGE = 1e200


class Square(nn.Module):
    """x², whose value and slope are infinite for what `HUGE` becomes."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x


def new_cell(cell: str, activation: str, bidirectional: bool) -> nn.Module:
    """A cell of 3 features and 4 units, without the noise of training."""
    torch.manual_seed(0)
    function = Square() if activation == "square" else ACTIVATIONS[activation]()
    layer = CELLS[cell](3, 4, bidirectional=bidirectional, activation=function)
    return layer.double().eval()


def learned(layer: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in layer.named_parameters() if value.requires_grad}


def gradients(loss: Tensor, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(zip(wanted, torch.autograd.grad(loss, list(wanted.values())), strict=True))


@EVERY_CELL
@EVERY_ACTIVATION
@BOTH
def test_a_batch_is_as_good_as_each_sequence_alone_whatever_the_padding_holds(
    cell: str, activation: str, bidirectional: bool
) -> None:
    layer = new_cell(cell, activation, bidirectional)
    inputs = torch.randn(len(LENGTHS), STEPS, 3, dtype=torch.float64)
    padded = torch.arange(STEPS) >= LENGTHS.unsqueeze(1)
    garbage = inputs.masked_fill(padded.unsqueeze(-1), HUGE).requires_grad_()
    states, last = layer(garbage, LENGTHS)
    weigh_states, weigh_last = torch.randn_like(states), torch.randn_like(last)
    loss = (weigh_states * states).sum() + (weigh_last * last).sum()
    together = gradients(loss, {"inputs": garbage, **learned(layer)})

    inputs.requires_grad_()
    loss = torch.zeros((), dtype=torch.float64)
    for i, length in enumerate(LENGTHS.tolist()):
        alone, end = layer(inputs[i : i + 1, :length], LENGTHS[i : i + 1])
        torch.testing.assert_close(states[i, :length], alone[0], atol=1e-10, rtol=1e-10)
        torch.testing.assert_close(last[i], end[0], atol=1e-10, rtol=1e-10)
        loss = loss + (weigh_states[i, :length] * alone[0]).sum() + (weigh_last[i] * end[0]).sum()
    separate = gradients(loss, {"inputs": inputs, **learned(layer)})

    assert (states[padded] == 0).all()
    assert (together["inputs"][padded] == 0).all()
    torch.testing.assert_close(together, separate, atol=1e-10, rtol=1e-10)


@EVERY_CELL
@BOTH
def test_frames_that_are_not_numbers_do_no_harm_in_the_padding(
    cell: str, bidirectional: bool
) -> None:
    layer = new_cell(cell, "tanh", bidirectional)
    inputs = torch.randn(1, 4, 3, dtype=torch.float64)
    inputs[0, 2:] = torch.nan
    states, last = layer(inputs, torch.tensor([2]))
    (states.sum() + last.sum()).backward()
    assert all(
        value.grad.isfinite().all() for value in learned(layer).values() if value.grad is not None
    )


def test_a_state_near_the_largest_number_survives_padding() -> None:
    layer = GRU(1, 1, activation=Square())
    with torch.no_grad():
        for value in layer.parameters():
            value.zero_()
        layer.get_parameter("weight_ih_l0")[2] = 1e10
        layer.get_parameter("weight_hh_l0")[2] = 1
    _, last = layer(torch.ones(1, 4, 1), torch.tensor([1]))
    last.sum().backward()
    assert last.item() == pytest.approx(0.5e20)
    assert all(
        value.grad is not None and value.grad.isfinite().all() for value in layer.parameters()
    )


@EVERY_CELL
@BOTH
def test_the_last_state_is_that_of_the_last_real_step_and_backwards_of_the_first(
    cell: str, bidirectional: bool
) -> None:
    layer = new_cell(cell, "tanh", bidirectional)
    states, last = layer(torch.randn(len(LENGTHS), STEPS, 3, dtype=torch.float64), LENGTHS)
    assert torch.equal(last[:, :4], states[torch.arange(len(LENGTHS)), LENGTHS - 1, :4])
    assert torch.equal(last[:, 4:], states[:, 0, 4:])
    assert last.shape[1] == layer.output_size == (8 if bidirectional else 4)


@EVERY_CELL
@pytest.mark.parametrize("activation", ACTIVATIONS.names())
@BOTH
def test_gradients_are_those_of_finite_differences(
    cell: str, activation: str, bidirectional: bool
) -> None:
    layer = new_cell(cell, activation, bidirectional)
    names, values = zip(*learned(layer).items(), strict=True)
    inputs = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)

    def run(inputs: Tensor, *values: Tensor) -> Any:
        given = dict(zip(names, values, strict=True))
        return functional_call(layer, given, (inputs, torch.tensor([4, 2])))

    assert torch.autograd.gradcheck(run, (inputs, *values))


class Work(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the numbers that all operations, forward and backward, produce."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numbers: int = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            parts = out if isinstance(out, (tuple, list)) else [out]
            self.numbers += sum(part.numel() for part in parts if isinstance(part, Tensor))
        return out


def work(layer: nn.Module, steps: int) -> int:
    inputs = torch.randn(2, steps, 3, dtype=torch.float64, requires_grad=True)
    counted = Work()
    with counted:
        states, _ = layer(inputs, torch.tensor([steps, steps // 2]))
        states.sum().backward()
    return counted.numbers


@EVERY_CELL
@BOTH
def test_forward_and_backward_take_work_linear_in_the_number_of_steps(
    cell: str, bidirectional: bool
) -> None:
    layer = new_cell(cell, "tanh", bidirectional)
    assert work(layer, 160) / work(layer, 80) < 2.05


@EVERY_CELL
@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([2, 0], "lengths from 0 to 2 do not fit a batch of 4 steps"),
        ([5, 1], "lengths from 1 to 5 do not fit a batch of 4 steps"),
        ([1, 2, 3], "2 sequences but"),
    ],
)
def test_lengths_that_do_not_fit_the_batch_are_refused(
    cell: str, lengths: list[int], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        new_cell(cell, "tanh", False)(
            torch.zeros(2, 4, 3, dtype=torch.float64), torch.tensor(lengths)
        )
