"""Cross- or self-attention over the streams of a turn: audio, words, any others."""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, CorpusInfo
from sercli.models.parts import check_dropout, check_heads, check_sizes, check_streams
from sercli.nn.checks import check_one_of
from sercli.nn.multi_head import MultiHeadAttention
from sercli.nn.pooling import mean_over_time


@MODELS.register("cross_attention")
class CrossAttention(nn.Module):
    """The networks of Rajan, Brutti and Cavallaro (ICASSP 2022), over any list of streams.

    A bidirectional recurrent layer reads each stream. ``self``: multi-head attention of each stream
    to itself; ``cross``: of each stream to each other one, with the length of the attending stream;
    both without residual or normalisation. The mean over time of each attention is a vector;
    mean and standard deviation across the vectors go through two linear layers without an
    activation. It is theirs with ``cell=gru activation=tanh``.

    They read 40 MFCCs with Δ and ΔΔ (1 000 frames of 10 ms), GloVe vectors of the words (128) and
    frames of ResNet-101 (32), with Adam at 1e-3, batches of 32, and a tenth of the learning rate
    after 10 epochs without a better validation loss. Seven classes; five folds of random
    utterances, so that their speakers are in training too. Their "weighted" accuracy is the mean
    recall, and their "unweighted" one plain accuracy.

    Different here: their code takes the time steps of audio and video as the channels of a
    convolution, which fixes the length (`SelfAttentionGRU` has it as ``mix_steps``) and is 0.5 of
    1.65 M parameters (cross: 1.82 M); without it, a turn may have any length. Padding is masked,
    theirs is not. Dropout on the inputs acts on every further stream; theirs on the text alone.
    Their dropout of 0.3 in a GRU of one layer has no effect and is left out.

    Args:
        inputs: Features of a step of the main stream, the audio.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        corpus: Features of a step of each further stream.
        streams: Names of the further streams; none: self-attention of the audio alone.
        attention: ``self`` or ``cross``.
        hidden: Hidden size per direction (published: 60).
        heads: Attention heads, a divisor of 2·hidden (published: 6).
        dense: Features of the first linear layer (published: 60).
        dropout: Dropout probability on attention weights (published: 0.1).
        stream_dropout: Dropout probability on the input of further streams (published: 0.25).
        statistics: Mean and standard deviation (of n − 1) across the vectors; of one vector the
            mean only. False: all vectors side by side (our choice).

    Raises:
        RequestError: The configuration lacks a stream, there is none to attend to, a size is below
            1, the heads do not divide the states, or a dropout is not in [0, 1).
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        corpus: CorpusInfo,
        streams: list[str] | tuple[str, ...] = ("text",),
        attention: str = "cross",
        hidden: int = 60,
        heads: int = 6,
        dense: int = 60,
        dropout: float = 0.1,
        stream_dropout: float = 0.25,
        statistics: bool = True,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden, heads=heads, dense=dense)
        check_dropout(dropout)
        check_dropout(stream_dropout, "stream_dropout")
        check_one_of("model.attention", attention, ("self", "cross"))
        self.streams = check_streams(streams, least=0)
        if attention == "cross" and not self.streams:
            raise RequestError(
                "model.attention=cross needs a further stream: set model.streams=[text], or "
                "model.attention=self"
            )
        sizes = [inputs, *(corpus.stream(name) for name in self.streams)]
        size = 2 * hidden
        check_heads(heads, size)
        indices = range(len(sizes))
        crossed = attention == "cross"
        self.pairs = list(permutations(indices, 2)) if crossed else [(i, i) for i in indices]
        self.statistics = statistics
        self.drop = nn.Dropout(stream_dropout)
        self.recurrent = nn.ModuleList(new_cell(each, hidden, bidirectional=True) for each in sizes)
        self.attend = nn.ModuleList(
            MultiHeadAttention(size, heads, dropout=dropout) for _ in self.pairs
        )
        vectors = len(self.pairs)
        joined = size * (min(vectors, 2) if statistics else vectors)
        self.head = nn.Sequential(nn.Linear(joined, dense), nn.Linear(dense, classes))

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        logits: Tensor = self.head(self._joined(self._vectors(batch)))
        return logits

    def _vectors(self, batch: Batch) -> Tensor:
        """Return the mean over time of each attention, (B, attentions, 2·hidden)."""
        turns = [batch.current, *(batch.streams[name] for name in self.streams)]
        frames = [turns[0].frames, *(self.drop(each.frames) for each in turns[1:])]
        states = [
            read(steps, lengths=each.lengths)[0]
            for read, steps, each in zip(self.recurrent, frames, turns, strict=True)
        ]
        vectors = []
        for (own, other), attend in zip(self.pairs, self.attend, strict=True):
            asking, asked = turns[own].valid, turns[other].valid
            attended = attend(states[own], states[other], states[other], asking, asked)
            vectors.append(mean_over_time(attended, asking))
        return torch.stack(vectors, dim=1)

    def _joined(self, vectors: Tensor) -> Tensor:
        if not self.statistics or vectors.shape[1] == 1:
            return vectors.flatten(1)
        deviation = vectors.var(dim=1).clamp(min=1e-12).sqrt()  # the slope of a root at 0
        return torch.cat([vectors.mean(dim=1), deviation], dim=-1)
