"""Several stacks of layers run in parallel, and the states of their levels observed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.layers import flat
from torch import Tensor

from sercli.nn import GRU, run_parallel
from sercli.nn.cells import CELLS
from sercli.nn.stack_pass import StackPass

pytestmark = pytest.mark.usefixtures("backend")


def calls(cells: list[str], shapes: list[tuple[int, int, int, int]]) -> Any:
    """Layers with two levels and their batches: of (T, B, I, H) each."""
    torch.manual_seed(0)
    for i, (cell, (steps, batch, features, hidden)) in enumerate(zip(cells, shapes, strict=True)):
        layer = CELLS[cell](
            features, hidden, 1 + i % 2, bidirectional=i != 1, activation="arelu", batch_first=True
        )
        inputs = torch.randn(batch, steps, features, requires_grad=True)
        lengths = torch.randint(1, steps + 1, (batch,)) if i != 2 else None
        yield layer.eval(), inputs, lengths


@pytest.mark.parametrize(
    ("cells", "shapes"),
    [
        (["gru"] * 4, [(6, 3, 2, 4)] * 4),
        (["gru"] * 3, [(6, 3, 2, 4), (4, 3, 2, 4), (6, 3, 2, 5)]),
        (["gru", "lstm", "gru", "li_gru"], [(6, 3, 2, 4)] * 4),
        (["a_lstm", "a_lstm"], [(6, 3, 2, 4)] * 2),
    ],
)
def test_layers_in_parallel_equal_each_alone(cells: list[str], shapes: Any) -> None:
    results = []
    for together in (True, False):
        given = list(calls(cells, shapes))
        if together:
            found = run_parallel(
                [layer.stack_pass(inputs, lengths=lengths) for layer, inputs, lengths in given]
            )
        else:
            found = [layer(inputs, lengths=lengths) for layer, inputs, lengths in given]
        parts = [part for result in found for part in flat(result)]
        torch.stack([part.square().sum() for part in parts]).sum().backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for layer, x, _ in given for p in (x, *layer.parameters())]
        results.append((parts, gradients))
    torch.testing.assert_close(results[0], results[1], atol=1e-6, rtol=1e-5)


def test_passes_of_different_depth_finish_each_at_its_level() -> None:
    layers = [GRU(3, 4, num_layers=depth, bidirectional=depth < 3) for depth in (1, 3, 2)]
    x = torch.randn(5, 2, 3)
    for found, layer in zip(run_parallel([e.stack_pass(x) for e in layers]), layers, strict=True):
        torch.testing.assert_close(found, layer(x))


def test_pass_without_levels_returns_its_input() -> None:
    x = torch.randn(5, 2, 3)
    nothing = StackPass(GRU(3, 4).cell, [], x, lambda steps, finals: (steps, finals))
    assert run_parallel([nothing]) == [(x, [])]


def test_hooks_receive_the_states_of_every_level_and_direction() -> None:
    layer = GRU(3, 4, num_layers=2, bidirectional=True)
    seen: list[Tensor] = []
    layer.on_states.append(seen.append)
    output, _ = layer(torch.randn(5, 2, 3))
    assert [tuple(states.shape) for states in seen] == [(5, 2, 4)] * 4
    torch.testing.assert_close(torch.cat(seen[2:], dim=-1), output)
