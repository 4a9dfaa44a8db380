from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    linear,
    normalised,
    random_averages,
    random_batch,
    sequences,
    tiny,
    weights_of,
)
from torch import Tensor

from sercli.errors import RequestError
from sercli.models.compact_graph import GRAPHS, SpectralLayer, eigenvectors

TINY = ("model=compact_graph", "model.nodes=3", "model.hidden=4", "model.mlp=5")


def laplacian(graph: str, nodes: int) -> np.ndarray:
    """I − D^−½ A D^−½; of one node, which has no neighbour, I."""
    adjacent = np.eye(nodes, k=1) + np.eye(nodes, k=-1)
    if graph == "cycle" and nodes > 1:
        adjacent[0, -1] = adjacent[-1, 0] = 1
    roots = np.sqrt(adjacent.sum(0).clip(min=1))
    return np.eye(nodes) - adjacent / np.outer(roots, roots)


def basis_of(graph: str, nodes: int, room: int = 0) -> Tensor:
    sizes = torch.tensor([nodes])
    return eigenvectors(graph, sizes, room or nodes, torch.float64)[0]


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 7, 8, 120])
def test_the_basis_diagonalises_the_laplacian_in_ascending_order(graph: str, nodes: int) -> None:
    basis = basis_of(graph, nodes).numpy()
    np.testing.assert_allclose(basis.T @ basis, np.eye(nodes), atol=1e-12)
    inner = basis.T @ laplacian(graph, nodes) @ basis
    np.testing.assert_allclose(inner, np.diag(inner.diagonal()), atol=1e-12)
    assert (np.diff(inner.diagonal()) > -1e-12).all()
    assert (basis[0] > -1e-12).all()


def slow(graph: str, w: Weights, frames: Tensor) -> Tensor:
    """The logits of a turn, graph by graph and frequency by frequency."""
    total = torch.zeros(4, dtype=torch.float64)
    for part in (frames[i : i + 3] for i in range(0, len(frames), 3)):
        nodes, basis = part, basis_of(graph, len(part))
        for layer in ("layers.0", "layers.1"):
            spectrum = []
            for vector in basis.T:
                x = sum(share * node for share, node in zip(vector, nodes, strict=True))
                wide = normalised(w, f"{layer}.norm", linear(w, f"{layer}.widen", x))
                spectrum.append(linear(w, f"{layer}.narrow", wide.clamp(min=0)))
            nodes = (basis @ torch.stack(spectrum)).clamp(min=0)
        total += linear(w, "head.1", nodes.sum(0)) * len(part) / len(frames)
    return total


@pytest.mark.parametrize("graph", GRAPHS)
def test_logits_are_those_of_the_equations_computed_one_by_one(graph: str) -> None:
    model = random_averages(tiny(*TINY, f"model.graph={graph}"))
    assert_logits(model, partial(slow, graph))


def test_normalisation_sees_the_frequencies_of_graphs_and_nothing_else() -> None:
    with_padding, without = tiny(*TINY).train(), tiny(*TINY).train()
    torch.testing.assert_close(
        with_padding(random_batch(padding=7, filler=1e3)), without(random_batch())
    )
    torch.testing.assert_close(weights_of(with_padding), weights_of(without))


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_layer_without_a_nonlinear_part_returns_its_nodes(graph: str) -> None:
    layer = SpectralLayer(3, 3, 3).double().eval()
    with torch.no_grad():
        for part in (layer.widen, layer.narrow):
            part.weight.copy_(torch.eye(3))
            part.bias.zero_()
        layer.norm.bias.fill_(100)  # far from the kink of the ReLU
        layer.narrow.bias.fill_(-100)
    nodes = torch.rand(1, 5, 3, dtype=torch.float64)
    found = layer(nodes, basis_of(graph, 5).unsqueeze(0), torch.tensor([5]))
    torch.testing.assert_close(found, nodes, atol=1e-4, rtol=0)  # 10⁻⁵ in the variance


def test_the_model_of_the_paper_and_that_of_its_code_have_their_sizes() -> None:
    sizes = [
        sum(value.numel() for value in model.parameters())
        for model in (
            tiny("model=compact_graph", inputs=35),
            tiny("model=compact_graph", "model.dense=128", "model.dropout=0.5", inputs=35),
        )
    ]
    assert sizes == [30_212, 38_916]


def test_the_mean_of_a_stream_is_appended_to_every_node() -> None:
    model, batch = random_averages(tiny(*TINY, "model.streams=[text]")), random_batch()
    text = batch.streams["text"]
    rows = []
    for row, frames in enumerate(sequences(batch.current)):
        mean = text.frames[row, : text.lengths[row]].mean(0)
        columns = torch.cat([frames, mean.expand(len(frames), -1)], dim=1)
        rows.append(slow("line", weights_of(model), columns))
    torch.testing.assert_close(model(batch), torch.stack(rows))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.graph=star", "model.graph=star: must be one of line, cycle"),
        ("model.nodes=0", "model.nodes=0: must be 1 or more"),
        ("model.dense=-1", "model.dense=-1: must be 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny(*TINY, override)
