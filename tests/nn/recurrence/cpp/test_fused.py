"""The fused CPU kernel against the eager loop, whose cells are tested against their equations."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from helpers.layers import needs_compiler, results
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vjp, vmap

from sercli.errors import SercliError
from sercli.nn import GRU, LSTM, run_parallel, use_backend
from sercli.nn.activations import ACTIVATIONS, Activation
from sercli.nn.cells import CELLS
from sercli.nn.recurrence import backend
from sercli.nn.recurrence.cpp import build
from sercli.nn.recurrence.cpp.launch import kernel

FEW = ("tanh", "arelu")
FUSED = [
    ("gru", {}),
    ("gru", {"reset": "before"}),
    ("li_gru", {}),
    ("li_gru", {"norm": "none"}),
    ("lstm", {}),
    ("lstm_at", {}),
    ("rnn", {}),
]
IDS = [" ".join([name, *map(str, options.values())]) for name, options in FUSED]
EVERY_FUSED_CELL = pytest.mark.parametrize(("cell", "options"), FUSED, ids=IDS)
CELLS_BY_ACTIVATIONS = pytest.mark.parametrize(
    ("cell", "options", "activation"),
    [
        pytest.param(
            *(cell, options, activation),
            id=f"{name}-{activation}",
            marks=[] if name == "gru" or activation in FEW else pytest.mark.exhaustive,
        )
        for (cell, options), name in zip(FUSED, IDS, strict=True)
        for activation in ACTIVATIONS.names()
    ],
)
"""Every activation in a GRU, a few in the other cells; the full product is exhaustive."""


@pytest.fixture(autouse=True)
def _automatic() -> Iterator[None]:
    yield
    use_backend("auto")


@needs_compiler
@CELLS_BY_ACTIVATIONS
def test_every_activation_equals_the_eager_loop(
    cell: str, options: dict[str, str], activation: str
) -> None:
    torch.manual_seed(0)
    layer = CELLS[cell](3, 5, bidirectional=True, activation=activation, **options)
    layer = layer.double().eval()
    if reasons := backend.why_not_fused(layer):
        pytest.skip("; ".join(reasons))
    inputs = torch.randn(4, 3, 3, dtype=torch.float64)
    lengths = torch.tensor([4, 1, 3])
    expected = results(layer, inputs, lengths, "eager")
    torch.testing.assert_close(
        results(layer, inputs, lengths, "cpp"), expected, atol=1e-10, rtol=1e-10
    )


@needs_compiler
@EVERY_FUSED_CELL
@given(
    steps=st.integers(1, 9),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=11),
    inputs=st.integers(1, 20),
    hidden=st.integers(1, 40),
    threads=st.sampled_from([1, 2]),
    single=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=6)
def test_any_shape_and_lengths_equal_the_eager_loop(
    cell: str,
    options: dict[str, str],
    steps: int,
    lengths: list[int],
    inputs: int,
    hidden: int,
    threads: int,
    single: bool,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        layer = CELLS[cell](inputs, hidden, bidirectional=True, activation="arelu", **options)
        layer = layer.eval() if single else layer.double().eval()
        x = torch.randn(steps, len(lengths), inputs, dtype=layer.weight_hh_l0.dtype)
        fitting = torch.tensor(lengths).clamp(max=steps)
        tolerance = 1e-4 if single else 1e-10
        expected = results(layer, x, fitting, "eager")
        largest = max(1.0, *(part.abs().max().item() for part in expected))
        torch.testing.assert_close(
            results(layer, x, fitting, "cpp"), expected, atol=tolerance * largest, rtol=tolerance
        )
    finally:
        torch.set_num_threads(before)


@needs_compiler
def test_coefficients_may_differ_by_unit_and_by_sequence() -> None:
    class Scaled(Activation):
        def __init__(self) -> None:
            super().__init__()
            self.unit = nn.Parameter(torch.linspace(0.5, 1.5, 5, dtype=torch.float64))
            self.sequence = nn.Parameter(torch.linspace(-1, 1, 3, dtype=torch.float64))

        def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
            return self.unit, self.sequence.unsqueeze(1), self.sequence.outer(self.unit)

        def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
            unit, sequence, both = coefficients
            return torch.tanh(unit * x + sequence) + both

    layer = GRU(3, 5, activation=Scaled()).double()
    x = torch.randn(4, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(results(layer, x, None, "cpp"), results(layer, x, None, "eager"))


@needs_compiler
def test_layers_of_different_sizes_run_in_one_call() -> None:
    torch.manual_seed(0)
    layers = [GRU(3, 4, bidirectional=True), GRU(5, 9), GRU(2, 33, activation="mish")]
    inputs = [torch.randn(7, 2, 3), torch.randn(4, 3, 5), torch.randn(1, 1, 2)]
    lengths = [torch.tensor([7, 3]), None, None]
    use_backend("cpp")
    calls = zip(layers, inputs, lengths, strict=True)
    together = run_parallel([layer.stack_pass(x, lengths=n) for layer, x, n in calls])
    for layer, x, each, (output, final) in zip(layers, inputs, lengths, together, strict=True):
        expected = layer(x, lengths=each)
        torch.testing.assert_close((output, final), expected, atol=0, rtol=0)


@needs_compiler
@pytest.mark.parametrize("kind", [GRU, LSTM])
def test_ensemble_trains_like_its_members(kind: type[GRU] | type[LSTM]) -> None:
    torch.manual_seed(0)
    use_backend("cpp")
    models: list[nn.Module] = [kind(3, 5, bidirectional=True, activation="arelu") for _ in "abc"]
    parameters, _ = stack_module_state(models)
    x, lengths = torch.randn(6, 4, 3), torch.tensor([6, 3, 1, 5])

    def loss(own: dict[str, Tensor], x: Tensor) -> Tensor:
        output: Tensor = functional_call(models[0], own, (x,), {"lengths": lengths})[0]
        return output.square().sum()

    alone = [grad(loss)(dict(model.named_parameters()), x) for model in models]
    expected = {name: torch.stack([each[name] for each in alone]) for name in parameters}
    inside = vmap(grad(loss), in_dims=(0, None))(parameters, x)
    outside = grad(lambda all_: vmap(loss, in_dims=(0, None))(all_, x).sum())(parameters)
    torch.testing.assert_close(inside, expected)
    torch.testing.assert_close(outside, expected)


@needs_compiler
def test_several_backward_passes_run_under_vmap() -> None:
    torch.manual_seed(0)
    use_backend("cpp")
    layer, x = GRU(3, 5), torch.randn(4, 2, 3)
    output, pull, *_ = vjp(lambda given: layer(given)[0], x)
    directions = torch.randn(3, *output.shape)
    expected = torch.stack([pull(each)[0] for each in directions])
    torch.testing.assert_close(vmap(pull)(directions)[0], expected)


@needs_compiler
def test_backward_runs_twice_and_refuses_a_second_derivative() -> None:
    use_backend("cpp")
    x = torch.randn(4, 2, 3, requires_grad=True)
    output, _ = GRU(3, 5)(x)
    first = torch.autograd.grad(output.sum(), x, retain_graph=True)
    second = torch.autograd.grad(output.sum(), x, create_graph=True)
    torch.testing.assert_close(first, second)
    with pytest.raises(SercliError, match=r"no second derivative.*eager"):
        torch.autograd.grad(second[0].sum(), x)


@needs_compiler
def test_results_are_bit_identical_from_run_to_run() -> None:
    torch.manual_seed(0)
    layer, x = GRU(7, 33, bidirectional=True, activation="pau"), torch.randn(9, 13, 7)
    first, second = (results(layer, x, None, "cpp") for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@needs_compiler
@pytest.mark.parametrize("instructions", ["as here", "without bfloat16", "plain"])
def test_bfloat16_rounds_the_operands_of_products_and_nothing_else(
    instructions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A processor without the instruction computes the same products."""
    if instructions != "as here":
        flags = [flag for flag in build._flags() if flag != "-mavx512bf16"]
        if instructions == "plain":
            flags = [flag for flag in flags if not flag.startswith(("-m", "-DCPU"))]
            flags.append("-DCPU_CAPABILITY=DEFAULT")
        monkeypatch.setattr(build, "_flags", lambda: tuple(flags))
        monkeypatch.setattr("sercli.nn.recurrence.cpp.launch.kernel", kernel.__wrapped__)
        build._load.cache_clear()
    torch.manual_seed(0)
    layer = nn.RNN(6, 8, nonlinearity="relu")
    own = CELLS["rnn"](6, 8, activation="relu")
    own.load_state_dict(layer.state_dict(), strict=False)
    x = torch.randn(5, 3, 6)
    use_backend("cpp")
    with torch.autocast("cpu", torch.bfloat16):
        output, final = own(x)
    assert output.dtype is final.dtype is torch.float32

    def rounded(tensor: Tensor) -> Tensor:
        return tensor.bfloat16().double()

    weights = dict(layer.named_parameters())
    h = torch.zeros(3, 8, dtype=torch.float64)
    for t in range(5):
        product = rounded(x[t]) @ rounded(weights["weight_ih_l0"]).t()
        product = product + rounded(h.float()) @ rounded(weights["weight_hh_l0"]).t()
        h = torch.relu(product + weights["bias_ih_l0"] + weights["bias_hh_l0"])
        torch.testing.assert_close(output[t].double(), h, atol=2e-3, rtol=1e-3)
    build._load.cache_clear()


@needs_compiler
def test_threads_do_not_share_memory() -> None:
    use_backend("cpp")
    torch.manual_seed(0)
    layer = GRU(3, 5).double()
    inputs = [torch.randn(20, 4, 3, dtype=torch.float64) for _ in range(8)]

    def gradient(x: Tensor) -> Tensor:
        given = x.clone().requires_grad_()
        return torch.autograd.grad(layer(given)[0].square().sum(), given)[0]

    expected = [gradient(x) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            assert all(map(torch.equal, pool.map(gradient, inputs), expected))


@needs_compiler
def test_modules_of_torch_without_parameters_are_compiled() -> None:
    layer = GRU(3, 5, activation=nn.SiLU()).double()
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(results(layer, x, None, "cpp"), results(layer, x, None, "eager"))


class Composed(Activation):
    """It uses the operations that no registered activation uses."""

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        size = 1 + x.square()
        return (
            torch.sqrt(size)
            + torch.rsqrt(size) * torch.atan(x)
            + torch.reciprocal(size) * torch.sign(x)
            - torch.log(size)
        )


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])
def test_operations_of_no_registered_activation_are_compiled(dtype: torch.dtype) -> None:
    layer = GRU(3, 5, activation=Composed(), dtype=dtype)
    assert not backend.why_not_fused(layer)
    x = torch.randn(4, 2, 3, dtype=dtype)
    torch.testing.assert_close(results(layer, x, None, "cpp"), results(layer, x, None, "eager"))
