"""Export of networks as ONNX graphs, which `sercli.inference.graph` runs.

One graph per network, from normalised and pooled time steps to probabilities. Batch size and
number of steps are variable; a recurrence is the operator GRU, LSTM or RNN, else a Scan.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sercli.errors import SercliError, one_line
from sercli.inference.graph import TURNS, OnnxNetwork, import_onnx, input_names
from sercli.models.interface import Batch, Turns, as_output
from sercli.nn.recurrence.backend import exported

TOLERANCE = 1e-5
"""Max |Δp| between torch and ONNX that is accepted at export."""

_EXAMPLE = (3, 150)
"""Batch size and steps of the traced example: long enough for several segments of a turn, because
an axis of size 1 is exported as a constant."""

_SHAPES = ((1, 1), (3, 7), (2, 40))
"""Batch sizes and steps with which an exported graph is compared."""


class Graph(nn.Module):
    """A network from tensors to probabilities.

    Args:
        network: The network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.turns = 3 if getattr(network, "uses_context", False) else 1

    def forward(self, *tensors: Tensor) -> Tensor:
        """Classify: frames (B, T, features) and lengths (B,) of each turn → (B, classes)."""
        return as_output(self.network(_batch(tensors))).logits.softmax(dim=-1)


def export_onnx(network: nn.Module, features: int, path: Path) -> None:
    """Write a network as an ONNX graph, and compare its probabilities with the network's.

    Args:
        network: The network, in evaluation mode, on the CPU.
        features: Features of a time step.
        path: The file.

    Raises:
        RequestError: The packages of the extra ``onnx`` are missing.
        SercliError: The network cannot be exported, or its graph gives other probabilities.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        import_onnx(package)
    graph = Graph(network).eval()
    names = input_names(graph.turns)
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple(
        dims
        for name in TURNS[: graph.turns]
        for dims in ({0: batch, 1: torch.export.Dim(f"{name}_steps", min=1)}, {0: batch})
    )
    example = _example(*_EXAMPLE, features, graph.turns)
    try:
        with exported(network), torch.no_grad(), warnings.catch_warnings(), _silent():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph,
                example,
                dynamo=True,
                dynamic_shapes={"tensors": shapes},
                input_names=names,
                output_names=["probabilities"],
                verbose=False,
            )
        assert program is not None
        program.save(str(path))
    except Exception as error:  # whatever the exporter raises
        raise SercliError(
            f"{type(network).__name__} cannot be exported to ONNX: {one_line(error):.200}"
        ) from error
    _compare(graph, OnnxNetwork(path), features)


def _batch(tensors: tuple[Tensor, ...]) -> Batch:
    """Return the batch of the inputs of a graph: frames and lengths of one turn or three."""
    turns = [Turns(*tensors[i : i + 2]) for i in range(0, len(tensors), 2)]
    return Batch(*(turns if len(turns) == 3 else turns * 3))


def _example(batch: int, steps: int, features: int, turns: int) -> tuple[Tensor, ...]:
    random = torch.Generator().manual_seed(0)
    tensors: list[Tensor] = []
    for turn in range(turns):
        longest = steps + 2 * turn
        lengths = torch.randint(1, longest + 1, (batch,), generator=random)
        lengths[0] = longest
        tensors += [torch.randn(batch, longest, features, generator=random), lengths]
    return tuple(tensors)


def _compare(graph: Graph, other: OnnxNetwork, features: int) -> None:
    for batch, steps in _SHAPES:
        tensors = _example(batch, steps, features, graph.turns)
        with torch.no_grad():
            expected = graph(*tensors)
            try:
                found = other.probabilities([each.numpy() for each in tensors])
            except Exception as error:  # onnxruntime's own types
                raise SercliError(
                    f"{type(graph.network).__name__} cannot be exported to ONNX: its graph does "
                    f"not run with {batch} × {steps} steps: {one_line(error):.200}"
                ) from error
        if not (away := np.abs(found - expected.numpy()).max()) <= TOLERANCE:
            raise SercliError(
                f"{type(graph.network).__name__} in ONNX differs from torch: max |Δp| {away:.1g} "
                f"with {batch} × {steps} steps"
            )


@contextmanager
def _silent() -> Iterator[None]:
    """Silence the exporter, which reports every stage."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
