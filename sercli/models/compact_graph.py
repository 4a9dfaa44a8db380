"""Compact graph network: spectral convolutions on line or cycle graphs of frames."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.models import MODELS
from sercli.models.interface import Batch, CorpusInfo, Turns
from sercli.models.parts import check_dropout, check_sizes, check_streams, cut
from sercli.nn.attention import weighted_sum
from sercli.nn.checks import check_at_least, check_one_of
from sercli.nn.convolution import BatchNorm, Maps
from sercli.nn.pooling import mean_over_time

GRAPHS = ("line", "cycle")


@MODELS.register("compact_graph")
class CompactGraph(nn.Module):
    """The graph network of Shirian and Guha (ICASSP 2021, arXiv 2008.02063).

    A turn is cut into graphs of ``nodes`` frames; frame j is a node, linked to its neighbours in
    time, and in a cycle the last to the first. A layer computes H' = ReLU(U·MLP(Uᵀ H)): U holds the
    eigenvectors of the normalised Laplacian, and the MLP (linear, batch normalisation, ReLU,
    linear) acts on each graph frequency. The sum of a graph's nodes is classified.

    They read 33 openSMILE descriptors at 10 ms (nearest here: ``features=IS09
    features.level=lld_delta features.pool=1``) and a one-hot of improvised and scripted speech,
    which is not audio and left out by default: ``streams`` adds it, as an array of one step per
    turn. With all 35 columns this network has their 30 212 parameters, and with ``dense=128
    dropout=0.5`` the 38 916 of their code. They scale features to [−1, 1] with statistics that
    include the test set; here ``features.normalise`` decides.

    Ours:

    - They drop the frames that do not fill a graph; here these are a smaller graph, with the
      eigenvectors of its own size. A turn of any length is classified.
    - They classify graphs, and graphs of one turn are in training and test. Here the logits of a
      turn are the mean of its graphs' logits, weighted by the numbers of nodes.
    - With the ReLU the result depends on the signs of eigenvectors, which a solver leaves open.
      Here they are cosines and sines (`eigenvectors`), in ascending order of frequency.

    The network is not recurrent: ``cell`` and ``activation`` have no effect.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        corpus: Facts of the corpus: features of the further streams.
        streams: Further streams; the mean of each over time is appended to every node.
        graph: ``line`` or ``cycle``.
        nodes: Frames of a graph (paper: 120, which are 1.2 s).
        layers: Number of graph layers (paper: 2).
        hidden: Features of a node after each layer (paper: 64).
        mlp: Features of the hidden layer of each MLP (paper: 128).
        dense: Features of a layer with PReLU before the classifier (code: 128); 0: none (paper).
        dropout: Dropout probability before the classifier, or before the PReLU (code: 0.5).

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), the graph is unknown, or
            a stream is missing.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        corpus: CorpusInfo,
        streams: list[str] | tuple[str, ...] = (),
        graph: str = "line",
        nodes: int = 120,
        layers: int = 2,
        hidden: int = 64,
        mlp: int = 128,
        dense: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_one_of("model.graph", graph, GRAPHS)
        check_sizes(nodes=nodes, layers=layers, hidden=hidden, mlp=mlp)
        check_at_least("model.dense", dense, 0)
        check_dropout(dropout)
        self.graph, self.nodes = graph, nodes
        self.streams = check_streams(streams, least=0)
        columns = inputs + sum(corpus.stream(name) for name in self.streams)
        sizes = [columns] + [hidden] * (layers - 1)
        self.layers = nn.ModuleList(SpectralLayer(size, mlp, hidden) for size in sizes)
        hidden_head = [nn.Linear(hidden, dense)] if dense else []
        activation = [nn.PReLU(dense)] if dense else []
        self.head = nn.Sequential(
            *hidden_head, nn.Dropout(dropout), *activation, nn.Linear(dense or hidden, classes)
        )

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        turns = with_constants(batch.current, [batch.streams[name] for name in self.streams])
        nodes, counts = cut(turns, self.nodes)
        sizes = counts.flatten()
        basis = eigenvectors(self.graph, sizes, self.nodes, nodes.dtype)
        for layer in self.layers:
            nodes = layer(nodes, basis, sizes)
        logits: Tensor = self.head(nodes.sum(dim=1)).unflatten(0, counts.shape)
        shares = counts.to(logits) / turns.lengths.unsqueeze(1)
        return weighted_sum(shares, logits)


class SpectralLayer(nn.Module):
    """A graph convolution: ReLU(U·MLP(Uᵀ H)).

    Args:
        inputs: Features of a node.
        mlp: Features of the hidden layer of the MLP.
        outputs: Features of a node after the layer.
    """

    def __init__(self, inputs: int, mlp: int, outputs: int) -> None:
        super().__init__()
        self.widen = nn.Linear(inputs, mlp)
        self.norm = BatchNorm(mlp)
        self.narrow = nn.Linear(mlp, outputs)

    def forward(self, nodes: Tensor, basis: Tensor, sizes: Tensor) -> Tensor:
        """Apply the convolution to each graph.

        Args:
            nodes: (graphs, n, inputs).
            basis: Eigenvectors in columns, zero outside a graph, (graphs, n, n).
            sizes: Number of nodes of each graph, (graphs,).

        Returns:
            (graphs, n, outputs), zero after the last node of a graph.
        """
        spectrum = Maps.over_time(self.widen(basis.mT @ nodes), sizes)
        hidden = torch.relu(self.norm(spectrum).steps)
        return torch.relu(basis @ self.narrow(hidden))


def with_constants(turns: Turns, streams: Sequence[Turns]) -> Turns:
    """Append the mean of each stream over time to every step of its turn.

    >>> turns = Turns(torch.zeros(1, 2, 1), torch.tensor([2]))
    >>> with_constants(turns, [Turns(torch.ones(1, 1, 1), torch.tensor([1]))]).frames
    tensor([[[0., 1.],
             [0., 1.]]])

    Args:
        turns: The turns.
        streams: Further streams of the same turns, with steps of their own.
    """
    means = [mean_over_time(each.frames, each.valid).unsqueeze(1) for each in streams]
    steps = turns.frames.shape[1]
    constants = [each.expand(-1, steps, -1) for each in means]
    return Turns(torch.cat([turns.frames, *constants], dim=-1), turns.lengths)


def eigenvectors(
    graph: str, sizes: Tensor, nodes: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Return the eigenvectors of the normalised Laplacian I − D^−½ A D^−½ of graphs.

    For a line of n nodes, eigenvector k is √d_j cos(π j k / (n − 1)) at node j, with d_j = 1 at
    both ends and 2 between, and the eigenvalue 1 − cos(π k / (n − 1)): a discrete cosine transform
    of type I. For a cycle it is the real Fourier basis: a constant, and cosine and sine of each
    frequency. Eigenvalues ascend; at node 0, cosines are positive and sines rise.

    >>> import torch
    >>> basis = eigenvectors("line", torch.tensor([3]), nodes=4)[0]
    >>> (basis.T @ basis).diagonal().round(decimals=4)
    tensor([1., 1., 1., 0.])

    Args:
        graph: ``line`` or ``cycle``.
        sizes: Number of nodes of each graph, 0 to ``nodes``, (graphs,).
        nodes: Rows and columns.
        dtype: Type of the result.

    Returns:
        Orthonormal eigenvectors in columns, zero outside of a graph, (graphs, nodes, nodes).
    """
    size = sizes.view(-1, 1, 1)
    index = torch.arange(nodes, device=sizes.device)
    node, column = index.view(-1, 1), index.view(1, -1)
    if graph == "line":
        period = (2 * (size - 1)).clamp(min=1)
        angles = _angles(node * column, period, dtype)
        ends = (node == 0) | (node == size - 1)
        values = angles.cos().where(ends, math.sqrt(2) * angles.cos())
    else:
        angles = _angles(node * ((column + 1) // 2), size.clamp(min=1), dtype)
        values = angles.sin().where((column > 0) & (column % 2 == 0), angles.cos())
    values = values.masked_fill((node >= size) | (column >= size), 0.0)
    return F.normalize(values, dim=1)


def _angles(phase: Tensor, period: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 2π·phase/period modulo 2π; the reduction is exact, on integers."""
    return (phase % period).to(dtype) / period.to(dtype) * (2 * math.pi)
