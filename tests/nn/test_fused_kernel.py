"""The fused CPU kernel against the eager loop, which the tests of cells hold to the equations."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vjp, vmap

from sercli.errors import RequestError, SercliError
from sercli.nn import GRU, LSTM, run_parallel, use_backend
from sercli.nn.activations import ACTIVATIONS, Activation
from sercli.nn.cells import CELLS
from sercli.nn.recurrence import backend
from sercli.nn.recurrence.cpp import build, workspace
from sercli.nn.recurrence.cpp.build import NoKernelError
from sercli.nn.recurrence.cpp.generate import source
from sercli.nn.recurrence.cpp.launch import kernel


def _can_compile() -> bool:
    try:
        kernel()
    except NoKernelError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not _can_compile(), reason="no C++ compiler")

FUSED = [
    ("gru", {}),
    ("gru", {"reset": "before"}),
    ("li_gru", {}),
    ("li_gru", {"norm": "none"}),
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


def results(layer: nn.Module, inputs: Tensor, lengths: Tensor | None, name: str) -> list[Tensor]:
    """Outputs, final states and all gradients in one backend."""
    use_backend(name)
    given = inputs.clone().requires_grad_()
    output, final = layer(given, lengths=lengths)
    finals = list(final) if isinstance(final, tuple) else [final]
    weights = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view_as(output)
    loss = (weights * output).sum() + sum(
        (part.sin().sum() for part in finals), output.new_zeros(())
    )
    wanted = [given, *(each for each in layer.parameters() if each.requires_grad)]
    return [output, *finals, *torch.autograd.grad(loss, wanted, materialize_grads=True)]


@needs_compiler
@EVERY_FUSED_CELL
@pytest.mark.parametrize("activation", ACTIVATIONS.names())
def test_every_activation_gives_what_the_eager_loop_gives(
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
@settings(deadline=None, max_examples=25)
def test_any_shape_and_lengths_give_what_the_eager_loop_gives(
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
        torch.testing.assert_close(
            results(layer, x, fitting, "cpp"),
            results(layer, x, fitting, "eager"),
            atol=tolerance,
            rtol=tolerance,
        )
    finally:
        torch.set_num_threads(before)


@needs_compiler
def test_coefficients_of_each_unit_and_of_each_sequence_reach_the_right_ones() -> None:
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
def test_an_ensemble_trains_as_its_members_do(kind: type[GRU] | type[LSTM]) -> None:
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
def test_several_gradients_can_be_taken_back_at_once() -> None:
    torch.manual_seed(0)
    use_backend("cpp")
    layer, x = GRU(3, 5), torch.randn(4, 2, 3)
    output, pull, *_ = vjp(lambda given: layer(given)[0], x)
    directions = torch.randn(3, *output.shape)
    expected = torch.stack([pull(each)[0] for each in directions])
    torch.testing.assert_close(vmap(pull)(directions)[0], expected)


@needs_compiler
def test_the_way_back_can_be_gone_twice_and_a_second_derivative_is_refused() -> None:
    use_backend("cpp")
    x = torch.randn(4, 2, 3, requires_grad=True)
    output, _ = GRU(3, 5)(x)
    first = torch.autograd.grad(output.sum(), x, retain_graph=True)
    second = torch.autograd.grad(output.sum(), x, create_graph=True)
    torch.testing.assert_close(first, second)
    with pytest.raises(SercliError, match=r"no second derivative.*eager"):
        torch.autograd.grad(second[0].sum(), x)


@needs_compiler
def test_runs_with_the_same_threads_are_equal_to_the_bit() -> None:
    torch.manual_seed(0)
    layer, x = GRU(7, 33, bidirectional=True, activation="pau"), torch.randn(9, 13, 7)
    first, second = (results(layer, x, None, "cpp") for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@needs_compiler
@pytest.mark.parametrize("instructions", ["as here", "without bfloat16", "plain"])
def test_in_bfloat16_products_round_their_numbers_and_nothing_else(
    instructions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the processor has: what lacks the instruction computes the same products."""
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


def test_what_is_kept_for_the_way_back_uses_its_memory_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workspace, "_free", [])
    first, second = (workspace.take(10_000, torch.float32) for _ in range(2))
    address = first.data_ptr()
    assert second.data_ptr() != address
    del first
    smaller = workspace.take(9_000, torch.float32)
    assert smaller.data_ptr() == address


def test_no_more_memory_is_kept_than_was_in_use_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "_free", [])
    for size in (100, 300, 200, 400):
        held = [workspace.take(size, torch.float64), workspace.take(size // 2, torch.float64)]
        del held
    assert sorted(block.nbytes for block in workspace._free) == [1600, 3200]


@needs_compiler
def test_threads_do_not_get_each_others_memory() -> None:
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
def test_modules_of_torch_without_parameters_are_compiled_too() -> None:
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
def test_roots_logarithms_and_signs_are_compiled_with_their_derivatives(dtype: torch.dtype) -> None:
    layer = GRU(3, 5, activation=Composed(), dtype=dtype)
    assert not backend.why_not_fused(layer)
    x = torch.randn(4, 2, 3, dtype=dtype)
    torch.testing.assert_close(results(layer, x, None, "cpp"), results(layer, x, None, "eager"))


class Branching(Activation):
    """It asks for the value of a tensor."""

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        return x if bool((x > 0).all()) else -x


class Unknown(Activation):
    """It uses a function without a rule."""

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        return torch.digamma(x)


@needs_compiler
@pytest.mark.parametrize(
    ("activation", "reason"),
    [
        (Branching(), "Branching cannot be traced"),
        (Unknown(), "'digamma', which an activation uses, has no rule"),
    ],
)
def test_a_formula_that_cannot_be_compiled_runs_in_eager_and_says_so(
    activation: nn.Module, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    layer, x = GRU(3, 5, activation=activation), torch.rand(4, 2, 3)
    backend._reported.clear()
    with caplog.at_level(logging.WARNING, "sercli"):
        found, _ = layer(x)
        layer(x)
    assert [reason in record.message for record in caplog.records] == [True]
    use_backend("eager")
    torch.testing.assert_close(found, layer(x)[0])
    use_backend("cpp")
    with pytest.raises(RequestError, match=r"recurrence\.backend=cpp"):
        layer(x)


def test_the_generated_derivative_uses_the_value_where_it_can() -> None:
    text = source(ACTIVATIONS["tanh"](), 0)
    assert "v0.store(value + j);" in text
    assert "(V(T(1.0)) - v0 * v0)" in text


def test_an_unknown_backend_is_refused_with_the_nearest() -> None:
    with pytest.raises(RequestError, match="Did you mean 'eager'"):
        use_backend("eagre")


SCRIPT = """
import torch
from sercli.nn import GRU, use_backend
torch.manual_seed(0)
layer, x = GRU(3, 5), torch.randn(4, 2, 3)
found = layer(x)[0]
use_backend("eager")
assert torch.equal(found, layer(x)[0])
use_backend("cpp")
layer(x)
"""


def test_without_a_compiler_it_runs_in_eager_with_one_line_of_notice(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"CXX": "no-such-compiler", "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    notice, *traceback = done.stderr.splitlines()
    reason = "no C++ compiler 'no-such-compiler': install one, or set CXX"
    assert notice == f"recurrence runs in eager: {reason}"
    assert f"recurrence.backend=cpp: {reason}" in traceback[-1]
    assert not list(tmp_path.rglob("*.so"))
