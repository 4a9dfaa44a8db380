"""Listener-adaptive network: the posterior of each rater, and their mean."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, CorpusInfo
from sercli.models.parts import check_dropout, check_heads, check_numbers, check_sizes
from sercli.nn.checks import check_one_of
from sercli.nn.convolution import ConvolutionBlock, Maps, MaxPool
from sercli.nn.pooling import mean_over_time

ADAPTATIONS = ("bias", "scale", "weighting")


@MODELS.register("listener_adaptive")
class ListenerAdaptive(nn.Module):
    """The network of Ando et al. (ICASSP 2021), with adaptive dense layers.

    Three blocks of convolution, batch normalisation, ReLU and 2 × 2 max pooling; a bidirectional
    recurrent layer; self-attention of four heads; the mean over time; two dense layers that are
    adapted to a listener, by an embedding of the rater; a classifier. It is theirs with ``cell=lstm
    activation=tanh``. In training it returns the logits of the rater of each turn
    (``trainer.labels=rater``), in evaluation the logarithms of the mean posterior of the raters.

    They read a log power spectrum of 400 bins up to 4 kHz, weight classes per listener, and augment
    by speed and SpecAugment. Their adaptive recurrent and convolutional layers, which they found
    weaker, are left out.

    Ours: the equations of the adaptive layers (`AdaptiveLinear`), which our source does not give;
    kernels 3 × 3; pooling over time before the dense layers. The mean is over the raters of the
    training set; a rater without a label there has an untrained embedding and is left out. In an
    untrained model the mean is over all raters.

    Args:
        inputs: Features of a step, the frequency axis.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        corpus: Raters of the corpus.
        channels: Channels of each block (paper: 16, 24, 32).
        hidden: Hidden size per direction (paper: 128 in a BLSTM; per direction is our reading).
        heads: Attention heads, a divisor of 2·hidden (paper: 4).
        dense_units: Features of each dense layer (paper: 64).
        embedding: Features of a rater (paper: 8 on IEMOCAP, 32 on MSP-Podcast).
        adaptation: ``bias``, ``scale`` or ``weighting``.
        dropout: Dropout probability after the recurrence, in attention and after dense layers
            (paper: 0.2).

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), the heads do not divide the
            states, the adaptation is unknown, or the corpus states no raters.
    """

    needs_raters = True
    heard: Tensor

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        corpus: CorpusInfo,
        channels: list[int] | tuple[int, ...] = (16, 24, 32),
        hidden: int = 128,
        heads: int = 4,
        dense_units: int = 64,
        embedding: int = 8,
        adaptation: str = "bias",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden, heads=heads, dense_units=dense_units, embedding=embedding)
        check_one_of("model.adaptation", adaptation, ADAPTATIONS)
        check_dropout(dropout)
        sizes = check_numbers("channels", channels)
        self.blocks = nn.Sequential(
            *(
                ConvolutionBlock(before, size, (3, 3), pool=MaxPool((2, 2)))
                for before, size in zip([1, *sizes], sizes, strict=False)
            )
        )
        bands = -(-inputs // 2 ** len(sizes))
        self.recurrent = new_cell(bands * sizes[-1], hidden, bidirectional=True)
        size = self.recurrent.output_size
        check_heads(heads, size)
        self.dropout = nn.Dropout(dropout)
        self.attend = nn.MultiheadAttention(size, heads, dropout, batch_first=True)
        raters = len(corpus.values("rater"))
        if not raters:
            raise RequestError(
                f"model {corpus.model} learns from single raters, and the corpus {corpus.name} "
                "does not state them (IEMOCAP, MSP-Podcast and CREMA-D do)"
            )
        self.listeners = nn.Embedding(raters, embedding)
        self.register_buffer("heard", torch.zeros(raters))
        self.dense = nn.ModuleList(
            AdaptiveLinear(before, dense_units, embedding, adaptation)
            for before in (size, dense_units)
        )
        self.head = nn.Linear(dense_units, classes)

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes), of the rater of each turn if there is one."""
        turns = batch.current
        maps: Maps = self.blocks(Maps.over_time_and_frequency(turns.frames, turns.lengths))
        states, _ = self.recurrent(maps.steps, lengths=maps.lengths)
        states = self.dropout(states)
        attended, _ = self.attend(
            states, states, states, key_padding_mask=~maps.valid, need_weights=False
        )
        pooled = mean_over_time(attended, maps.valid)
        if batch.rater is not None:
            self.heard.index_fill_(0, batch.rater, 1.0)
            return self._judge(pooled, self.listeners(batch.rater))
        each = self._judge(pooled.unsqueeze(1), self.listeners.weight)
        return _mean_posterior(each, self.heard)

    def _judge(self, vectors: Tensor, listeners: Tensor) -> Tensor:
        for layer in self.dense:
            vectors = self.dropout(torch.relu(layer(vectors, listeners)))
        logits: Tensor = self.head(vectors)
        return logits


class AdaptiveLinear(nn.Module):
    """A dense layer that is adapted to an embedding e: W x + b without it.

    - ``bias``: W x + b + U e.
    - ``scale``: (1 + Γ e)∘(W x + b) + U e.
    - ``weighting``: Σ_k α_k(e)·(W_k x + b_k) over four layers, with α = softmax(A e); an embedding
      of zeros gives their mean.

    >>> layer = AdaptiveLinear(8, 4, embedding=2, adaptation="scale")
    >>> layer(torch.randn(3, 1, 8), torch.randn(5, 2)).shape  # 3 vectors for each of 5 embeddings
    torch.Size([3, 5, 4])

    Args:
        inputs: Features of the input.
        outputs: Features of the output.
        embedding: Features of the embedding.
        adaptation: ``bias``, ``scale`` or ``weighting``.
    """

    LAYERS = 4

    def __init__(self, inputs: int, outputs: int, embedding: int, adaptation: str) -> None:
        super().__init__()
        self.outputs = outputs
        weighting, scale = adaptation == "weighting", adaptation == "scale"
        layers = self.LAYERS if weighting else 1
        self.linear = nn.Linear(inputs, layers * outputs)
        self.shift = None if weighting else nn.Linear(embedding, outputs, bias=False)
        self.scale = nn.Linear(embedding, outputs, bias=False) if scale else None
        self.weigh = nn.Linear(embedding, layers, bias=False) if weighting else None

    def forward(self, vectors: Tensor, embeddings: Tensor) -> Tensor:
        """Map (…, inputs) and (…, embedding), which may be broadcast, to (…, outputs)."""
        mapped: Tensor = self.linear(vectors)
        if self.weigh is not None:
            shares: Tensor = self.weigh(embeddings).softmax(dim=-1).unsqueeze(-1)
            layers = mapped.view(*mapped.shape[:-1], -1, self.outputs)
            return (shares * layers).sum(dim=-2)
        if self.scale is not None:
            mapped = mapped * (1 + self.scale(embeddings))
        assert self.shift is not None
        shift: Tensor = self.shift(embeddings)
        return mapped + shift


def _mean_posterior(logits: Tensor, heard: Tensor) -> Tensor:
    """Return log Σ_v p_v / V over the V raters seen in training, or over all in an untrained model.

    Args:
        logits: (B, raters, classes).
        heard: 1 for each rater seen in training, else 0, (raters,).
    """
    used = heard.to(logits) + (heard.sum() == 0)
    shares = (used / used.sum()).log().unsqueeze(-1)
    return (logits.log_softmax(dim=-1) + shares).logsumexp(dim=1)
