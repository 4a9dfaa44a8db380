"""MCSAN: cross- and self-attention between audio and words."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, CorpusInfo
from sercli.models.parts import check_divides, check_dropout, check_sizes, check_streams, dense
from sercli.nn.convolution import Convolution, Maps, MaxPool
from sercli.nn.pooling import largest_over_time
from sercli.nn.transformer import TransformerLayer, add_sinusoids


@MODELS.register("mcsan")
class MCSAN(nn.Module):
    """The multimodal cross- and self-attention network of Sun, Liu, Tao and Lian (ICASSP 2021).

    Audio: two convolutions over three steps, each followed by max-pooling over three; a
    bidirectional recurrent layer whose directions are averaged. Words: the recurrent layer alone.
    Positions are added to both. Four Transformer layers read them in parallel: audio attends to
    words, words to audio, and each to itself. The maxima over time of the four, 512 numbers at the
    published size, are classified. It is theirs with ``cell=lstm activation=tanh``.

    They read 40 MFCCs (25 ms every 10 ms, at most 1 000 frames, z-normalised) and GloVe vectors of
    the reference transcript, 300 wide, with Adam at 1e-3 in batches of 256 for at most 30 epochs;
    seven classes (inferred), ten folds of random utterances 8:1:1, so that speakers are in train
    and test.

    Our choices, where the paper is silent: channels, ReLU and zeros around the turn in the
    convolutions; sinusoids as positions; 512 units in the feed-forward networks; dropout; the
    classifier, one hidden layer. Different here: padding is masked, and the last window of a
    max-pooling may be smaller, so that a short turn keeps a step.

    Args:
        inputs: Features of a step of audio.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        corpus: Features of a word.
        streams: The name of the stream of words.
        channels: Channels of the convolutions (our choice: 128).
        pool: Steps of a window of max-pooling (published: 3).
        hidden: Hidden size per direction, and features of a step (published: 128).
        heads: Attention heads, a divisor of ``hidden`` (published: 8).
        feedforward: Hidden units of the feed-forward networks (our choice: 512).
        dense_units: Features of the dense layer before the classifier (our choice: 128).
        dropout: Dropout probability in the Transformer layers and after the dense layer (our
            choice: 0.1).

    Raises:
        RequestError: The configuration lacks the stream, a size is below 1, the heads do not
            divide ``hidden``, or dropout is not in [0, 1).
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        corpus: CorpusInfo,
        streams: list[str] | tuple[str, ...] = ("text",),
        channels: int = 128,
        pool: int = 3,
        hidden: int = 128,
        heads: int = 8,
        feedforward: int = 512,
        dense_units: int = 128,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_sizes(
            channels=channels,
            pool=pool,
            hidden=hidden,
            heads=heads,
            feedforward=feedforward,
            dense_units=dense_units,
        )
        check_divides(heads, hidden, "hidden")
        check_dropout(dropout)
        self.streams = check_streams(streams, most=1)
        self.convolutions = nn.ModuleList(
            Convolution(size, channels, 3) for size in (inputs, channels)
        )
        self.shorten = MaxPool(pool)
        self.read_audio = new_cell(channels, hidden, bidirectional=True)
        self.read_words = new_cell(corpus.stream(self.streams[0]), hidden, bidirectional=True)
        self.layers = nn.ModuleDict(
            {
                name: TransformerLayer(hidden, heads, feedforward, dropout=dropout)
                for name in ("audio_to_words", "words_to_audio", "audio", "words")
            }
        )
        self.head = nn.Sequential(
            dense(4 * hidden, dense_units, dropout=dropout), nn.Linear(dense_units, classes)
        )

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        maps = Maps.over_time(batch.current.frames, batch.current.lengths)
        for convolve in self.convolutions:
            maps = self.shorten(convolve(maps).map(torch.relu))
        words = batch.streams[self.streams[0]]
        a = _states(self.read_audio, maps.steps, maps.lengths)
        t = _states(self.read_words, words.frames, words.lengths)
        audio, text = (a, maps.valid), (t, words.valid)
        of = self.layers
        pooled = [
            largest_over_time(of["audio_to_words"](*audio, *text), maps.valid),
            largest_over_time(of["words_to_audio"](*text, *audio), words.valid),
            largest_over_time(of["audio"](*audio), maps.valid),
            largest_over_time(of["words"](*text), words.valid),
        ]
        logits: Tensor = self.head(torch.cat(pooled, dim=-1))
        return logits


def _states(layer: nn.Module, steps: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean of the directions of a layer, with positions, (B, T, hidden)."""
    states, _ = layer(steps, lengths=lengths)
    return add_sinusoids(states.unflatten(-1, (2, -1)).mean(dim=-2))
