"""Properties of every cell, with every activation, in both directions and in stacks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from sercli.nn import GRU, last_state
from sercli.nn.activations import ACTIVATIONS
from sercli.nn.cells import CELLS
from sercli.nn.layer import RecurrentLayer

pytestmark = pytest.mark.usefixtures("backend")

BOTH = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
EAGER_ONLY = ("a_lstm", "mean_lstm")
CELLS_AND_BACKENDS = [
    (cell, backend)
    for cell in (*CELLS.names(), "gru_before")
    for backend in ("eager", "auto")
    if backend == "eager" or cell not in EAGER_ONLY
]
EVERY_CELL = pytest.mark.parametrize(("cell", "backend"), CELLS_AND_BACKENDS, indirect=["backend"])
FEW = ("arelu", "square")
CELLS_BY_ACTIVATIONS = pytest.mark.parametrize(
    ("cell", "activation", "backend"),
    [
        pytest.param(
            *(cell, activation, backend),
            marks=[]
            if activation in FEW or (cell, backend) == ("gru", "eager")
            else pytest.mark.exhaustive,
        )
        for cell, backend in CELLS_AND_BACKENDS
        for activation in (*ACTIVATIONS.names(), "square")
    ],
    indirect=["backend"],
)
"""Every activation in an eager GRU, a few in the other cells; the full product is exhaustive."""

LENGTHS = torch.tensor([5, 1, 3])
STEPS = 7
GARBAGE = torch.tensor([1e200, torch.nan, -torch.inf], dtype=torch.float64)


class Square(nn.Module):
    """x², whose value and slope overflow at a huge pre-activation."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x


def new_layer(cell: str, activation: str = "tanh", **settings: Any) -> RecurrentLayer:
    """A layer of 3 features and 2 units, in double precision, without the noise of training."""
    torch.manual_seed(0)
    function: Any = Square() if activation == "square" else activation
    name = "gru" if cell == "gru_before" else cell
    if cell == "gru_before":
        settings["reset"] = "before"
    layer = CELLS[name](3, 2, activation=function, dtype=torch.float64, **settings)
    return layer.eval()


def run(layer: nn.Module, inputs: Tensor, lengths: Tensor) -> list[Tensor]:
    """Output (T, B, ·) and final states (·, B, ·)."""
    output, final = layer(inputs, lengths=lengths)
    return [output, *((final,) if isinstance(final, Tensor) else final)]


def learned(layer: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in layer.named_parameters() if value.requires_grad}


def gradients(loss: Tensor, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """The gradients of the loss, zero for tensors that it does not depend on."""
    found = torch.autograd.grad(loss, list(wanted.values()), materialize_grads=True)
    return dict(zip(wanted, found, strict=True))


def check_batch_equals_each_alone(layer: RecurrentLayer, lengths: Tensor, steps: int) -> None:
    """Values and gradients, with garbage in the padding."""
    inputs = torch.randn(steps, len(lengths), 3, dtype=torch.float64)
    padded = (torch.arange(steps).unsqueeze(1) >= lengths).unsqueeze(-1)
    garbage = torch.where(padded, GARBAGE, inputs).requires_grad_()
    together = run(layer, garbage, lengths)
    weigh = [torch.randn_like(part) for part in together]
    loss = torch.stack([(w * part).sum() for w, part in zip(weigh, together, strict=True)]).sum()
    all_at_once = gradients(loss, {"inputs": garbage, **learned(layer)})

    inputs.requires_grad_()
    loss = torch.zeros((), dtype=torch.float64)
    for i, length in enumerate(lengths.tolist()):
        alone = run(layer, inputs[:length, i : i + 1], lengths[i : i + 1])
        for part, whole, w in zip(alone, together, weigh, strict=True):
            torch.testing.assert_close(part[:, 0], whole[: len(part), i], atol=1e-10, rtol=1e-10)
            loss = loss + (w[: len(part), i] * part[:, 0]).sum()
    one_by_one = gradients(loss, {"inputs": inputs, **learned(layer)})

    assert (together[0][padded.squeeze(-1)] == 0).all()
    assert (all_at_once["inputs"][padded.expand_as(garbage)] == 0).all()
    torch.testing.assert_close(all_at_once, one_by_one, atol=1e-10, rtol=1e-10)


@CELLS_BY_ACTIVATIONS
def test_batch_equals_each_sequence_alone_whatever_the_padding_holds(
    cell: str, activation: str
) -> None:
    layer = new_layer(cell, activation, bidirectional=True)
    check_batch_equals_each_alone(layer, LENGTHS, STEPS)


@EVERY_CELL
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    padding=st.integers(0, 3),
    num_layers=st.integers(1, 2),
    bidirectional=st.booleans(),
)
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_batch_of_any_lengths_in_any_stack_equals_each_sequence_alone(
    cell: str, lengths: list[int], padding: int, num_layers: int, bidirectional: bool
) -> None:
    layer = new_layer(cell, "arelu", num_layers=num_layers, bidirectional=bidirectional)
    check_batch_equals_each_alone(layer, torch.tensor(lengths), max(lengths) + padding)


@EVERY_CELL
@BOTH
def test_nan_frame_affects_only_its_own_sequence(cell: str, bidirectional: bool) -> None:
    layer = new_layer(cell, bidirectional=bidirectional)
    clean = torch.randn(STEPS, 3, 3, dtype=torch.float64)
    corrupted = clean.clone()
    corrupted[1, 0] = torch.nan
    expected, found = run(layer, clean, LENGTHS), run(layer, corrupted, LENGTHS)
    for part, other in zip(expected, found, strict=True):
        torch.testing.assert_close(part[:, 1:], other[:, 1:], atol=0, rtol=0)
        assert part.isfinite().all()
        assert other[:, 0].isnan().any()


def test_huge_state_survives_padding() -> None:
    layer = GRU(1, 1, activation=Square())
    with torch.no_grad():
        for value in layer.parameters():
            value.zero_()
        layer.get_parameter("weight_ih_l0")[2] = 1e10
        layer.get_parameter("weight_hh_l0")[2] = 1
    _, last = layer(torch.ones(4, 1, 1), lengths=torch.tensor([1]))
    last.sum().backward()
    assert last.item() == pytest.approx(0.5e20)
    assert all(
        value.grad is not None and value.grad.isfinite().all() for value in layer.parameters()
    )


@EVERY_CELL
@BOTH
def test_last_state_is_that_of_the_last_real_step_or_in_reverse_of_the_first(
    cell: str, bidirectional: bool
) -> None:
    layer = new_layer(cell, bidirectional=bidirectional, num_layers=2)
    inputs = torch.randn(STEPS, len(LENGTHS), 3, dtype=torch.float64)
    output, final = layer(inputs, lengths=LENGTHS)
    last = last_state(layer, final)
    assert torch.equal(last[:, :2], output[LENGTHS - 1, torch.arange(len(LENGTHS)), :2])
    assert torch.equal(last[:, 2:], output[0, :, 2:])
    assert last.shape[1] == layer.output_size == (4 if bidirectional else 2)


@pytest.mark.parametrize("cell", sorted({*CELLS.names()} - {"a_lstm", "mean_lstm"}))
def test_sequence_can_be_run_in_two_parts(cell: str) -> None:
    layer = new_layer(cell, num_layers=2)
    inputs = torch.randn(5, 3, 3, dtype=torch.float64)
    whole, end = layer(inputs)
    first, state = layer(inputs[:2])
    second, last = layer(inputs[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, atol=1e-12, rtol=0)
    torch.testing.assert_close(last, end, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("cell", "activation", "backend"),
    [
        pytest.param(
            *(cell, activation, backend),
            marks=[] if activation == "arelu" else pytest.mark.exhaustive,
        )
        for cell, backend in CELLS_AND_BACKENDS
        for activation in (*ACTIVATIONS.names(), "square")
    ],
    indirect=["backend"],
)
def test_gradients_equal_finite_differences(cell: str, activation: str) -> None:
    layer = new_layer(cell, activation, bidirectional=True)
    names, values = zip(*learned(layer).items(), strict=True)
    inputs = torch.randn(3, 2, 3, dtype=torch.float64, requires_grad=True)
    num_states = layer.num_states

    def outputs(inputs: Tensor, *given: Tensor) -> Any:
        *values, h, c = given
        hx = h if num_states == 1 else (h, c)
        output, final = functional_call(
            layer,
            dict(zip(names, values, strict=True)),
            (inputs, hx),
            {"lengths": torch.tensor([3, 2])},
        )
        return output, *((final,) if num_states == 1 else final), 0 * c

    start = torch.randn(2, 2, 2, 2, dtype=torch.float64).unbind()
    states = [state.clone().requires_grad_() for state in start]
    assert torch.autograd.gradcheck(outputs, (inputs, *values, *states), fast_mode=True)


@EVERY_CELL
def test_layer_is_deterministic(cell: str) -> None:
    found = []
    for _ in range(2):
        layer = new_layer(cell, "arelu", bidirectional=True, num_layers=2)
        output, _ = layer(
            torch.randn(4, 3, 3, dtype=torch.float64), lengths=torch.tensor([4, 2, 1])
        )
        output.square().sum().backward()
        found.append([output, *(p.grad for p in layer.parameters())])
    assert all(torch.equal(first, second) for first, second in zip(*found, strict=True))


class Work(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count the elements of the outputs of all operations, forward and backward."""

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
    inputs = torch.randn(steps, 2, 3, dtype=torch.float64, requires_grad=True)
    counted = Work()
    with counted:
        output, _ = layer(inputs, lengths=torch.tensor([steps, steps // 2]))
        output.sum().backward()
    return counted.numbers


@EVERY_CELL
def test_work_forward_and_backward_is_linear_in_the_number_of_steps(cell: str) -> None:
    layer = new_layer(cell, bidirectional=True)
    assert work(layer, 48) / work(layer, 24) < 2.05


@EVERY_CELL
@pytest.mark.parametrize("activation", ["tanh", "arelu"])
def test_autocast_rounds_products_but_not_states(cell: str, activation: str) -> None:
    layer = new_layer(cell, activation, bidirectional=True, num_layers=2).float()
    inputs = torch.randn(6, 3, 3)
    exact, _ = layer(inputs, lengths=torch.tensor([6, 2, 4]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded, _ = layer(inputs.bfloat16(), lengths=torch.tensor([6, 2, 4]))
        rounded.square().sum().backward()
    assert rounded.dtype is torch.float32
    torch.testing.assert_close(rounded, exact, atol=0.03, rtol=0.03)
    assert not torch.equal(rounded, exact)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@EVERY_CELL
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_rounds_only_weights_input_and_result(cell: str, dtype: torch.dtype) -> None:
    layer = new_layer(cell, "arelu", bidirectional=True).to(dtype)
    inputs = torch.randn(4, 3, 3).to(dtype)
    lengths = torch.tensor([4, 2, 3])
    found = run(layer, inputs, lengths)
    expected = run(layer.float(), inputs.float(), lengths)
    assert {part.dtype for part in found} == {dtype}
    torch.testing.assert_close(found, [part.to(dtype) for part in expected], atol=1e-2, rtol=1e-2)


@EVERY_CELL
def test_ensemble_under_vmap_equals_its_members(cell: str) -> None:
    layers = [new_layer(cell, "arelu", bidirectional=True) for _ in range(3)]
    for layer in layers:
        layer.reset_parameters()
    parameters, buffers = torch.func.stack_module_state(layers)
    inputs, lengths = torch.randn(4, 2, 3, dtype=torch.float64), torch.tensor([4, 2])

    def loss(parameters: Any, buffers: Any, inputs: Tensor) -> Tensor:
        state = (parameters, buffers)
        output, _ = functional_call(layers[0], state, (inputs,), {"lengths": lengths})
        result: Tensor = output.square().sum()
        return result

    both = torch.func.grad_and_value(loss)
    found, values = torch.func.vmap(both, in_dims=(0, 0, None))(parameters, buffers, inputs)
    for i, layer in enumerate(layers):
        alone = layer(inputs, lengths=lengths)[0].square().sum()
        torch.testing.assert_close(values[i], alone, atol=1e-10, rtol=1e-10)
        expected = gradients(alone, dict(layer.named_parameters()))
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name][i], gradient, atol=1e-10, rtol=1e-10)
