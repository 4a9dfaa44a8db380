"""Listener-adaptive network: the posterior of each rater, and their mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, CorpusInfo, Turns
from sercli.models.parts import check_dropout, check_heads, check_numbers, check_sizes
from sercli.nn.checks import check_one_of
from sercli.nn.convolution import BatchNorm, Convolution, ConvolutionBlock, Maps, MaxPool
from sercli.nn.pooling import mean_over_time

ADAPTATIONS = ("bias", "scale", "weighting")
LAYERS = ("convolution", "recurrent", "dense")


@MODELS.register("listener_adaptive")
class ListenerAdaptive(nn.Module):
    """The network of Ando et al. (ICASSP 2021), with layers that are adapted to a listener.

    Three blocks of convolution, batch normalisation, ReLU and 2 × 2 max pooling; a bidirectional
    recurrent layer; self-attention of four heads; the mean over time; two dense layers; a
    classifier. It is theirs with ``cell=lstm activation=tanh``. The layers ``adapt`` also read an
    embedding of the rater: their AFC is ``[dense]``, which they found best, their ALSTM
    ``[recurrent]``, their ACNN ``[convolution]``. In training the model returns the logits of the
    rater of each turn (``trainer.labels=rater``), in evaluation the logarithms of the mean
    posterior of the raters.

    They read a log power spectrum of 400 bins up to 4 kHz, weight classes per listener, and augment
    by speed and SpecAugment.

    Ours: the equations of the adaptive layers (`AdaptiveLinear`, `AdaptiveConvolution`), which our
    source does not give; kernels 3 × 3; pooling over time before the dense layers. The recurrent
    layer is adapted by ``bias``, whichever the adaptation: W x_t + b + U e, an embedding beside
    each step of its input, so that the fused kernel runs it; of a stack, its first layer. The mean
    is over the raters of the training set; a rater without a label there has an untrained embedding
    and is left out. In an untrained model the mean is over all raters. Evaluation with adaptive
    recurrent or convolutional layers takes as many passes as there are raters.

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
        adapt: Adaptive layers, some of ``convolution``, ``recurrent`` and ``dense``.
        dropout: Dropout probability after the recurrence, in attention and after dense layers
            (paper: 0.2).

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), the heads do not divide the
            states, the adaptation or a layer is unknown, or the corpus states no raters.
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
        adapt: list[str] | tuple[str, ...] = ("dense",),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.adapt = _checked(adapt)
        check_sizes(hidden=hidden, heads=heads, dense_units=dense_units, embedding=embedding)
        check_one_of("model.adaptation", adaptation, ADAPTATIONS)
        check_dropout(dropout)
        sizes = check_numbers("channels", channels)
        pairs = list(zip([1, *sizes], sizes, strict=False))
        self.blocks = nn.ModuleList(
            AdaptiveBlock(before, size, embedding, adaptation)
            if "convolution" in self.adapt
            else ConvolutionBlock(before, size, (3, 3), pool=MaxPool((2, 2)))
            for before, size in pairs
        )
        read = sizes[-1] * -(-inputs // 2 ** len(sizes))
        read += embedding if "recurrent" in self.adapt else 0
        self.recurrent = new_cell(read, hidden, bidirectional=True)
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
            if "dense" in self.adapt
            else nn.Linear(before, dense_units)
            for before in (size, dense_units)
        )
        self.head = nn.Linear(dense_units, classes)

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes), of the rater of each turn if there is one."""
        if batch.rater is not None:
            if self.training:
                self.heard.index_fill_(0, batch.rater, 1.0)
            listeners = self.listeners(batch.rater)
            return self._classify(self._pooled(batch.current, listeners), listeners)
        return _mean_posterior(self._of_each(batch.current), self.heard)

    def _of_each(self, turns: Turns) -> Tensor:
        """Return the logits of each rater, (B, raters, classes)."""
        listeners: Tensor = self.listeners.weight
        if self.adapt == ("dense",):
            return self._classify(self._pooled(turns, listeners[:1]).unsqueeze(1), listeners)
        each = [self._classify(self._pooled(turns, one), one) for one in torch.split(listeners, 1)]
        return torch.stack(each, dim=1)

    def _pooled(self, turns: Turns, listeners: Tensor) -> Tensor:
        """Return the vector of each turn, (B, states), for listeners (B, E) or (1, E)."""
        maps = Maps.over_time_and_frequency(turns.frames, turns.lengths)
        for block in self.blocks:
            maps = block(maps, listeners) if isinstance(block, AdaptiveBlock) else block(maps)
        steps = maps.steps
        if "recurrent" in self.adapt:
            beside = listeners.unsqueeze(1).expand(*steps.shape[:2], -1)
            steps = torch.cat([steps, beside.to(steps.dtype)], dim=-1)
        states, _ = self.recurrent(steps, lengths=maps.lengths)
        states = self.dropout(states)
        attended, _ = self.attend(
            states, states, states, key_padding_mask=~maps.valid, need_weights=False
        )
        return mean_over_time(attended, maps.valid)

    def _classify(self, vectors: Tensor, listeners: Tensor) -> Tensor:
        for layer in self.dense:
            adaptive = isinstance(layer, AdaptiveLinear)
            mapped = layer(vectors, listeners) if adaptive else layer(vectors)
            vectors = self.dropout(torch.relu(mapped))
        logits: Tensor = self.head(vectors)
        return logits


class Adaptive(nn.Module):
    """A layer whose outputs are adapted to an embedding e: W x + b without it.

    - ``bias``: W x + b + U e.
    - ``scale``: (1 + Γ e)∘(W x + b) + U e.
    - ``weighting``: Σ_k α_k(e)·(W_k x + b_k) over four layers, with α = softmax(A e); an embedding
      of zeros gives their mean.

    Args:
        build: Function from a number of outputs to the layer.
        outputs: Features of the output.
        embedding: Features of the embedding.
        adaptation: ``bias``, ``scale`` or ``weighting``.
    """

    LAYERS = 4

    def __init__(
        self, build: Callable[[int], nn.Module], outputs: int, embedding: int, adaptation: str
    ) -> None:
        super().__init__()
        self.outputs = outputs
        weighting, scale = adaptation == "weighting", adaptation == "scale"
        layers = self.LAYERS if weighting else 1
        self.linear = build(layers * outputs)
        self.shift = None if weighting else nn.Linear(embedding, outputs, bias=False)
        self.scale = nn.Linear(embedding, outputs, bias=False) if scale else None
        self.weigh = nn.Linear(embedding, layers, bias=False) if weighting else None

    def adapted(self, mapped: Tensor, embeddings: Tensor) -> Tensor:
        """Adapt outputs of the layer to embeddings, (…, E): (…, outputs)."""
        if self.weigh is not None:
            shares: Tensor = self.weigh(embeddings).softmax(dim=-1).unsqueeze(-1)
            layers = mapped.reshape(*mapped.shape[:-1], -1, self.outputs)
            return (shares * layers).sum(dim=-2)
        if self.scale is not None:
            mapped = mapped * (1 + self.scale(embeddings))
        assert self.shift is not None
        shift: Tensor = self.shift(embeddings)
        return mapped + shift


class AdaptiveLinear(Adaptive):
    """A dense layer that is adapted to an embedding.

    >>> layer = AdaptiveLinear(8, 4, embedding=2, adaptation="scale")
    >>> layer(torch.randn(3, 1, 8), torch.randn(5, 2)).shape  # 3 vectors for each of 5 embeddings
    torch.Size([3, 5, 4])

    Args:
        inputs: Features of the input.
        outputs: Features of the output.
        embedding: Features of the embedding.
        adaptation: ``bias``, ``scale`` or ``weighting``.
    """

    def __init__(self, inputs: int, outputs: int, embedding: int, adaptation: str) -> None:
        super().__init__(lambda n: nn.Linear(inputs, n), outputs, embedding, adaptation)

    def forward(self, vectors: Tensor, embeddings: Tensor) -> Tensor:
        """Map (…, inputs) and (…, embedding), which may be broadcast, to (…, outputs)."""
        return self.adapted(self.linear(vectors), embeddings)


class AdaptiveConvolution(Adaptive):
    """A convolution of 3 × 3 without bias, whose channels are adapted to an embedding.

    >>> layer = AdaptiveConvolution(1, 8, embedding=2, adaptation="bias")
    >>> maps = Maps.over_time_and_frequency(torch.randn(3, 5, 40), torch.tensor([5, 2, 1]))
    >>> layer(maps, torch.randn(3, 2)).values.shape
    torch.Size([3, 8, 5, 40])

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        embedding: Features of the embedding.
        adaptation: ``bias``, ``scale`` or ``weighting``.
    """

    def __init__(self, inputs: int, outputs: int, embedding: int, adaptation: str) -> None:
        super().__init__(
            lambda n: Convolution(inputs, n, (3, 3), bias=False), outputs, embedding, adaptation
        )

    def forward(self, maps: Maps, embeddings: Tensor) -> Maps:
        """Convolve (B, inputs, T, F) for embeddings (B, E) or (1, E)."""
        mapped: Maps = self.linear(maps)
        values = self.adapted(mapped.values.movedim(1, -1), embeddings[:, None, None])
        return Maps(values.movedim(-1, 1), mapped.lengths).zeroed()


class AdaptiveBlock(nn.Module):
    """An adaptive convolution, batch normalisation, ReLU and 2 × 2 max pooling.

    Args:
        inputs: Channels of the input.
        channels: Channels of the output.
        embedding: Features of the embedding.
        adaptation: ``bias``, ``scale`` or ``weighting``.
    """

    def __init__(self, inputs: int, channels: int, embedding: int, adaptation: str) -> None:
        super().__init__()
        self.convolution = AdaptiveConvolution(inputs, channels, embedding, adaptation)
        self.norm = BatchNorm(channels)
        self.pool = MaxPool((2, 2))

    def forward(self, maps: Maps, embeddings: Tensor) -> Maps:
        """Map (B, inputs, T, F) to (B, channels, ⌈T / 2⌉, ⌈F / 2⌉)."""
        found: Maps = self.norm(self.convolution(maps, embeddings))
        pooled: Maps = self.pool(found.map(torch.relu_))
        return pooled


def _checked(layers: Sequence[str]) -> tuple[str, ...]:
    if not layers or len(set(layers)) < len(layers) or not set(layers) <= set(LAYERS):
        raise RequestError(
            f"model.adapt=[{','.join(map(str, layers))}]: must be some of {', '.join(LAYERS)}, "
            "each once"
        )
    return tuple(layers)


def _mean_posterior(logits: Tensor, heard: Tensor) -> Tensor:
    """Return log Σ_v p_v / V over the V raters seen in training, or over all in an untrained model.

    Args:
        logits: (B, raters, classes).
        heard: 1 for each rater seen in training, else 0, (raters,).
    """
    used = heard.to(logits) + (heard.sum() == 0)
    shares = (used / used.sum()).log().unsqueeze(-1)
    return (logits.log_softmax(dim=-1) + shares).logsumexp(dim=1)
