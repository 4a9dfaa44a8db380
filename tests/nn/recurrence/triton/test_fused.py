"""The Triton kernels, in Triton's interpreter, against the eager loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.layers import results
from helpers.triton_interpreter import let_bfloat16_multiply, let_programs_wait
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from sercli.errors import RequestError, SercliError
from sercli.nn import GRU, run_parallel, use_backend
from sercli.nn.activations import ACTIVATIONS, Activation
from sercli.nn.cells import CELLS
from sercli.nn.recurrence.cpp.build import NoKernelError
from sercli.nn.recurrence.triton import fused, layout

pytest.importorskip("triton")

FUSED: list[tuple[str, dict[str, str]]] = [
    ("gru", {}),
    ("gru", {"reset": "before"}),
    ("li_gru", {}),
    ("lstm", {}),
    ("rnn", {}),
]
EVERY_FUSED_CELL = pytest.mark.parametrize(
    ("cell", "options"), FUSED, ids=[" ".join([name, *map(str, s.values())]) for name, s in FUSED]
)


@pytest.fixture(autouse=True)
def _automatic() -> Iterator[None]:
    yield
    use_backend("auto")


def check(layer: nn.Module, x: Tensor, lengths: Tensor | None = None) -> None:
    """Compare both backends, in float32."""
    expected = results(layer, x, lengths, "eager")
    found = results(layer, x, lengths, "triton")
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


@EVERY_FUSED_CELL
def test_every_cell_gives_what_the_eager_loop_gives(cell: str, options: dict[str, str]) -> None:
    torch.manual_seed(0)
    layer = CELLS[cell](3, 5, activation="arelu", **options).eval()
    check(layer, torch.randn(3, 3, 3), torch.tensor([3, 1, 2]))


@pytest.mark.parametrize("activation", ["eelu", "mish", "selu"])
def test_activations_give_what_the_eager_loop_gives(activation: str) -> None:
    torch.manual_seed(0)
    check(CELLS["rnn"](2, 3, activation=activation).eval(), 2 * torch.randn(2, 5, 2))


@pytest.mark.exhaustive
@EVERY_FUSED_CELL
@pytest.mark.parametrize("activation", ACTIVATIONS.names())
def test_every_cell_with_every_activation(
    cell: str, options: dict[str, str], activation: str
) -> None:
    torch.manual_seed(0)
    layer = CELLS[cell](3, 5, bidirectional=True, activation=activation, **options).eval()
    check(layer, torch.randn(4, 3, 3), torch.tensor([4, 1, 3]))


@pytest.mark.exhaustive
@given(
    cell=st.sampled_from(FUSED),
    steps=st.integers(1, 5),
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    hidden=st.integers(1, 20),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=20)
def test_any_shape_and_lengths_give_what_the_eager_loop_gives(
    cell: tuple[str, dict[str, str]], steps: int, lengths: list[int], hidden: int, seed: int
) -> None:
    torch.manual_seed(seed)
    name, options = cell
    layer = CELLS[name](3, hidden, bidirectional=True, activation="arelu", **options).eval()
    x = torch.randn(steps, len(lengths), 3)
    check(layer, x, torch.tensor(lengths).clamp(max=steps))


def cut(monkeypatch: pytest.MonkeyPatch, **sizes: Any) -> None:
    """Set the sizes of programs, which may wait for each other."""
    from sercli.nn.recurrence.triton import launch

    let_programs_wait(monkeypatch)
    monkeypatch.setattr(fused, "_INTERPRETER_WAITS", True)

    def fixed(*problem: Any) -> layout.Layout:
        usual = layout.choose(*problem)
        return replace(usual, **sizes)

    monkeypatch.setattr(launch, "choose", fixed)


def check_slices(
    cell: str,
    options: dict[str, str],
    parts: int,
    patch: pytest.MonkeyPatch,
    *,
    bidirectional: bool,
) -> None:
    torch.manual_seed(0)
    cut(patch, width=32, units=16, rows=4, parts=parts)
    layer = CELLS[cell](3, 20, bidirectional=bidirectional, activation="arelu", **options).eval()
    check(layer, torch.randn(3, 5, 3), torch.tensor([3, 1, 3, 2, 2]))


def test_slices_of_units_exchange_their_states(monkeypatch: pytest.MonkeyPatch) -> None:
    check_slices("gru", {"reset": "before"}, 2, monkeypatch, bidirectional=False)


@pytest.mark.exhaustive
@pytest.mark.parametrize("parts", [0, 1, 2])
@EVERY_FUSED_CELL
def test_slices_of_units_exchange_their_states_in_every_cell(
    cell: str, options: dict[str, str], parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_slices(cell, options, parts, monkeypatch, bidirectional=True)


def test_more_recurrences_than_fit_run_one_launch_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    cut(monkeypatch, at_once=1, rows=2)
    check(GRU(3, 5, bidirectional=True), torch.randn(3, 3, 3), torch.tensor([3, 1, 2]))


def test_what_stands_in_the_padding_reaches_nothing() -> None:
    torch.manual_seed(0)
    layer = GRU(3, 5, bidirectional=True, activation="softplus")
    x, lengths = torch.randn(3, 3, 3), torch.tensor([3, 1, 2])
    expected = results(layer, x, lengths, "eager")
    x[1:, 1] = torch.nan
    found = results(layer, x, lengths, "triton")
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def test_states_at_the_start_and_their_gradients() -> None:
    torch.manual_seed(0)
    layer, x = CELLS["lstm"](3, 5, bidirectional=True), torch.randn(2, 2, 3)
    start = [torch.randn(2, 2, 5, requires_grad=True) for _ in "hc"]

    def found(name: str) -> list[Tensor]:
        use_backend(name)
        output, _ = layer(x, tuple(start), lengths=torch.tensor([2, 1]))
        wanted = [*start, *layer.parameters()]
        return [output, *torch.autograd.grad(output.square().sum(), wanted)]

    torch.testing.assert_close(found("triton"), found("eager"), atol=2e-5, rtol=1e-4)


def test_coefficients_of_each_unit_and_of_each_sequence_reach_the_right_ones() -> None:
    class Scaled(Activation):
        def __init__(self) -> None:
            super().__init__()
            self.unit = nn.Parameter(torch.linspace(0.5, 1.5, 5))
            self.sequence = nn.Parameter(torch.linspace(-1, 1, 3))

        def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
            return self.unit, self.sequence.unsqueeze(1), self.sequence.outer(self.unit)

        def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
            unit, sequence, both = coefficients
            return torch.tanh(unit * x + sequence) + both

    check(GRU(3, 5, activation=Scaled()), torch.randn(2, 3, 3))


def test_every_operation_that_has_a_rule() -> None:
    class Long(Activation):
        def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
            positive = x.square() + 0.5
            first = positive.sqrt() + positive.rsqrt() + positive.log() + positive.reciprocal()
            second = (
                torch.atan(3 * x) + torch.sign(x) + x**3 + torch.minimum(x, -x) + positive**-0.5
            )
            third = torch.log1p(positive) + torch.cos(x) + torch.erf(x)
            return torch.tanh(0.1 * (first - second + third))

    check(CELLS["rnn"](2, 3, activation=Long()), torch.randn(2, 5, 2))


def test_layers_of_different_sizes_run_in_one_call() -> None:
    torch.manual_seed(0)
    layers = [GRU(3, 4, bidirectional=True), GRU(3, 4), GRU(2, 17, activation="mish")]
    inputs = [torch.randn(3, 2, 3), torch.randn(3, 2, 3), torch.randn(1, 1, 2)]
    use_backend("triton")
    parallel = run_parallel([e.stack_pass(x) for e, x in zip(layers, inputs, strict=True)])
    use_backend("eager")
    for layer, x, (output, final) in zip(layers, inputs, parallel, strict=True):
        torch.testing.assert_close((output, final), layer(x))


@pytest.mark.exhaustive
def test_an_ensemble_trains_as_its_members_do() -> None:
    torch.manual_seed(0)
    use_backend("triton")
    models: list[nn.Module] = [GRU(3, 2, activation="arelu") for _ in "ab"]
    parameters, _ = stack_module_state(models)
    x = torch.randn(2, 1, 3)

    def loss(own: dict[str, Tensor], x: Tensor) -> Tensor:
        output: Tensor = functional_call(models[0], own, (x,))[0]
        return output.square().sum()

    alone = [grad(loss)(dict(model.named_parameters()), x) for model in models]
    expected = {name: torch.stack([each[name] for each in alone]) for name in parameters}
    inside = vmap(grad(loss), in_dims=(0, None))(parameters, x)
    outside = grad(lambda all_: vmap(loss, in_dims=(0, None))(all_, x).sum())(parameters)
    torch.testing.assert_close(inside, expected)
    torch.testing.assert_close(outside, expected)


def test_in_bfloat16_products_round_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    let_bfloat16_multiply(monkeypatch)
    layer, x = GRU(3, 5, activation="arelu"), torch.randn(3, 2, 3)
    exact = results(layer, x, None, "eager")
    with torch.autocast("cpu", torch.bfloat16):
        expected = results(layer, x, None, "eager")
        found = results(layer, x, None, "triton")
    assert all(each.dtype is torch.float32 for each in found)
    assert not torch.equal(found[0], exact[0])
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)


def test_non_finite_states_come_out_as_they_are() -> None:
    use_backend("triton")
    layer = GRU(3, 5, activation="relu")
    x = torch.randn(3, 2, 3)
    x[1, 0, 0] = torch.nan
    output, _ = layer(x)
    assert output[1:, 0].isnan().all()
    assert output[:, 1].isfinite().all()


def test_a_second_derivative_is_refused() -> None:
    use_backend("triton")
    x = torch.randn(2, 2, 3, requires_grad=True)
    output, _ = GRU(3, 5)(x)
    first = torch.autograd.grad(output.sum(), x, retain_graph=True)
    second = torch.autograd.grad(output.sum(), x, create_graph=True)
    torch.testing.assert_close(first, second)
    with pytest.raises(SercliError, match=r"no second derivative.*eager"):
        torch.autograd.grad(second[0].sum(), x)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (CELLS["a_lstm"](3, 5), "the kernel has no cell 'a_lstm'"),
        (GRU(3, 5).double(), "the kernel has no torch.float64"),
        (GRU(3, 513), "the kernel takes 512 units, not 513"),
    ],
    ids=["cell", "dtype", "size"],
)
def test_what_the_kernel_lacks_is_refused_by_name(layer: nn.Module, reason: str) -> None:
    use_backend("triton")
    with pytest.raises(RequestError, match=rf"recurrence\.backend=triton: {reason}"):
        layer(torch.randn(2, 2, 3, dtype=next(layer.parameters()).dtype))


def test_without_a_gpu_it_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET")
    monkeypatch.setattr(fused, "_obstacle", fused._obstacle.__wrapped__)
    use_backend("triton")
    with pytest.raises(RequestError, match="the kernel is for NVIDIA GPUs, not for cpu"):
        GRU(3, 5)(torch.randn(2, 2, 3))


@pytest.mark.parametrize("gates", [1, 2, 3, 4])
@pytest.mark.parametrize("precision", ["tf32x3", "tf32", "bf16"])
def test_every_layout_fits_the_gpu(gates: int, precision: str) -> None:
    limit = 232_448
    for hidden in range(1, 513):
        for recurrences, batch in ((1, 1), (1, 64), (2, 64), (64, 32), (3, 128)):
            found = layout.choose(recurrences, batch, hidden, gates, precision, 132, limit)
            assert found.width >= hidden
            if found.parts:
                sizes = found.rows, found.width, found.units
                assert layout.needed(*sizes, gates, found.precision) <= limit
            if found.slices > 1:  # programs that wait for each other run at the same time
                assert found.at_once * -(-batch // found.rows) * found.slices <= 132


@pytest.mark.parametrize(
    ("rows", "width", "units", "gates", "measured"),
    [
        (32, 512, 16, 3, 262_144),
        (64, 512, 16, 3, 327_680),
        (16, 128, 128, 3, 409_600),
        (16, 512, 16, 4, 294_912),
        (16, 128, 64, 4, 270_336),
    ],
)
def test_shared_memory_is_counted_as_triton_does(
    rows: int, width: int, units: int, gates: int, measured: int
) -> None:
    assert layout.needed(rows, width, units, gates, "tf32x3") == measured


def test_without_room_for_high_and_low_parts_products_are_in_float32() -> None:
    assert layout.choose(1, 64, 512, 3, "tf32x3", 132, 232_448).precision == "tf32x3"
    assert layout.choose(1, 64, 512, 4, "tf32x3", 132, 232_448).precision == "ieee"


def test_more_sequences_than_fit_are_refused() -> None:
    with pytest.raises(NoKernelError, match="no room for 1000 sequences of 512 units"):
        layout.choose(1, 1000, 512, 3, "tf32x3", 132, 232_448)


def test_a_kernel_that_does_not_fit_is_refused_by_name() -> None:
    from triton.runtime.errors import OutOfResources

    from sercli.nn.recurrence.triton import launch

    class Kernel:
        def __getitem__(self, grid: object) -> Any:
            def start(*_: object, **__: object) -> None:
                raise OutOfResources(294_912, 232_448, "shared memory")

            return start

    with pytest.raises(NoKernelError, match=r"does not fit the GPU .*294912"):
        launch._start(Kernel(), (1, 1, 1), [torch.zeros(1)], {}, {})


def test_slices_that_do_not_make_up_the_units_are_refused() -> None:
    for units in (12, 32):
        with pytest.raises(RequestError, match=f"slices of {units} units do not make up 16"):
            layout.Layout(
                rows=1, width=16, units=units, parts=0, warps=1, at_once=1, precision="tf32"
            )
