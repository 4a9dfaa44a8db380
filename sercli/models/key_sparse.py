"""Key-sparse Transformer: attention between two streams to the keys that matter most."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.interface import Batch, CorpusInfo, Turns
from sercli.models.parts import (
    check_divides,
    check_dropout,
    check_numbers,
    check_sizes,
    check_streams,
    dense,
)
from sercli.nn.pooling import mean_over_time
from sercli.nn.transformer import TransformerLayer


@MODELS.register("key_sparse")
class KeySparse(nn.Module):
    """The key-sparse Transformer of Chen, Xing, Xu, Yang and Pang (ICASSP 2022), after its code.

    Each of two streams, at its own width, passes 5 Transformer layers and then 3 cross-attention
    blocks. A block is a layer that attends to the other stream after its 5 layers, and a layer of
    self-attention. Both are key-sparse: a head sets the weights of half its keys, those with the
    smallest sums over all queries, to 0 (`sercli.nn.multi_head`). The input of the blocks is added
    twice to their output, and 2 key-sparse layers follow. The means over time of both streams pass
    two dense layers, of a half and a quarter of their 1 536 features, and the classifier. Layer
    normalisation precedes each group of layers; sinusoids are added to queries and keys of every
    layer.

    They read wav2vec 1.0 large (its context network, 512 features every 10 ms, the first 4.6 s) and
    RoBERTa-large (1 024 features, the first 20 tokens with ``<s>`` and ``</s>``), both frozen, with
    SGD of momentum 0.9 at 5e-4, batches of 32, and a cosine schedule over 120 epochs (in the paper,
    halved every 30). 85.3 M parameters. Four classes, five sessions, no dev fold: the epoch and the
    share of keys are the best on test.

    Different here: padding is masked everywhere, and the share is of the real keys; their last
    layers, and the self-attention of the blocks, attend to padding and average over it, and they
    take the share of the padded length, so that a turn below 2.3 s is not sparse at all. Turns have
    any length (theirs: ``features.max_frames=460 features.pool=1``).

    Args:
        inputs: Features of a step of the main stream, the audio.
        classes: Number of classes.
        corpus: Features of a step of the other stream.
        streams: The name of the other stream, the words.
        widths: Features of a step of both streams inside (published: 512, 1024), multiples of
            ``heads``. A stream of another width passes a linear layer first (our choice).
        feedforward: Hidden units of the feed-forward networks of both (published: 256, 512).
        heads: Attention heads (published: 8).
        layers: Number of plain layers, of cross-attention blocks and of last layers (published:
            5, 3, 2).
        keep: Share of the keys that is kept (published: 0.5).
        dropout: Dropout probability in the layers (published: 0.1).
        head_dropout: Dropout probability in the classifier (published: 0.5).

    Raises:
        RequestError: The configuration lacks the stream, a size is below 1, the heads do not
            divide a width, or a probability or the share is out of range.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        corpus: CorpusInfo,
        streams: list[str] | tuple[str, ...] = ("text",),
        widths: list[int] | tuple[int, ...] = (512, 1024),
        feedforward: list[int] | tuple[int, ...] = (256, 512),
        heads: int = 8,
        layers: list[int] | tuple[int, ...] = (5, 3, 2),
        keep: float = 0.5,
        dropout: float = 0.1,
        head_dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_sizes(heads=heads)
        check_dropout(dropout)
        check_dropout(head_dropout, "head_dropout")
        if not 0 < keep <= 1:
            raise RequestError(f"model.keep={keep:g}: must be above 0, and 1 or less")
        self.streams = check_streams(streams, most=1)
        numbers = check_numbers("layers", layers, 3)
        audio, words = check_numbers("widths", widths, 2)
        for width in (audio, words):
            check_divides(heads, width, "widths")
        units = check_numbers("feedforward", feedforward, 2)
        make = partial(_Branch, numbers=numbers, heads=heads, keep=keep, dropout=dropout)
        self.audio = make(inputs, audio, words, units[0])
        self.words = make(corpus.stream(self.streams[0]), words, audio, units[1])
        pooled = audio + words
        self.head = nn.Sequential(
            dense(pooled, pooled // 2, pooled // 4, dropout=head_dropout),
            nn.Linear(pooled // 4, classes),
        )

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        turns, other = batch.current, batch.streams[self.streams[0]]
        audio, words = self.audio.read(turns), self.words.read(other)
        pooled = [
            self.audio(audio, turns.valid, words, other.valid),
            self.words(words, other.valid, audio, turns.valid),
        ]
        logits: Tensor = self.head(torch.cat(pooled, dim=-1))
        return logits


class _Branch(nn.Module):
    """The layers of one stream."""

    def __init__(
        self,
        inputs: int,
        width: int,
        other: int,
        feedforward: int,
        *,
        numbers: Sequence[int],
        heads: int,
        keep: float,
        dropout: float,
    ) -> None:
        super().__init__()
        group = partial(_Group, width, heads=heads, feedforward=feedforward, dropout=dropout)
        plain, crossed, last = numbers
        self.enter = nn.Identity() if inputs == width else nn.Linear(inputs, width)
        self.plain = group(plain)
        self.across = nn.ModuleList(group(1, other=other, keep=keep) for _ in range(crossed))
        self.within = nn.ModuleList(group(1, keep=keep) for _ in range(crossed))
        self.last = group(last, keep=keep)

    def read(self, turns: Turns) -> Tensor:
        """Return the steps of the stream after the plain layers, (B, T, width)."""
        found: Tensor = self.plain(self.enter(turns.real_frames), turns.valid)
        return found

    def forward(self, x: Tensor, valid: Tensor, y: Tensor, valid_y: Tensor) -> Tensor:
        """Attend from own steps x to those of the other stream, and pool: (B, width)."""
        h = x
        for across, within in zip(self.across, self.within, strict=True):
            h = within(across(h, valid, y, valid_y), valid)
        return mean_over_time(self.last(x + (h + x), valid), valid)


class _Group(nn.Module):
    """Layer normalisation of the inputs, and Transformer layers."""

    def __init__(
        self,
        width: int,
        number: int,
        *,
        heads: int,
        feedforward: int,
        dropout: float,
        other: int | None = None,
        keep: float = 1.0,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.norm_other = nn.LayerNorm(other) if other else None
        self.layers = nn.ModuleList(
            TransformerLayer(
                *(width, heads, feedforward),
                other=other,
                dropout=dropout,
                keep=keep,
                positions=True,
            )
            for _ in range(number)
        )

    def forward(
        self, x: Tensor, valid: Tensor, y: Tensor | None = None, valid_y: Tensor | None = None
    ) -> Tensor:
        x = self.norm(x)
        if y is not None and self.norm_other is not None:
            y = self.norm_other(y)
        for layer in self.layers:
            x = layer(x, valid, y, valid_y)
        return x
