"""MSCNN-SPU-ATT: parallel convolutions over audio and words, and attention between them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.interface import Batch, CorpusInfo
from sercli.models.mscnn_spu import STATISTICS, Scales, check_statistics
from sercli.models.parts import check_dropout, check_numbers, check_sizes, check_streams, dense
from sercli.nn.attention import masked_softmax, weighted_sum
from sercli.nn.convolution import Maps
from sercli.nn.pooling import largest_over_time, mean_over_time


@MODELS.register("mscnn_spu_att")
class MultiscaleAttention(nn.Module):
    """The network of Peng, Lu, Pan and Liu (ICASSP 2021, arXiv 2106.04133), audio and words.

    The audio branch of `MultiscaleStatistics`, and the same of the words with convolutions of 2, 3,
    4 and 5 words; of each the maximum, the mean and the standard deviation over time. Each of the
    three audio vectors is the query of an attention over the outputs h_t of the word convolutions:
    Σ_t softmax_t(e·h_t) h_t. An x-vector and the maximum and the mean of the word vectors (SWEM)
    are appended. All vectors, 3 × 1 536 + 600 + 512 numbers at the published size, pass dropout and
    a dense layer.

    They read 96 MFCCs of 7.5 s and 128 words as GloVe vectors, 300 wide, with Adam at 5·10⁻⁴ in
    batches of 64 and the gradient clipped to a norm of 1; four classes; reference transcripts, or
    those of a recogniser.

    Our choices, where the paper is silent: h_t are the outputs of all convolutions at a step side
    by side, the only reading in which their size is that of the query; zeros around the turn; the
    place of the dropout; one dense layer. Different here: turns have any length, and padding is
    masked.

    Args:
        inputs: Features of a step of audio.
        classes: Number of classes.
        corpus: Features of a step of each further stream.
        streams: The name of the stream of words; after it, optionally that of an utterance vector
            such as an x-vector (the mean of its steps is taken).
        kernels: Frames of each convolution of audio (paper: 5, 7, 9, 11).
        text_kernels: Words of each convolution of words, as many (paper: 2, 3, 4, 5).
        filters: Filters of each convolution (paper: 128).
        statistics: Among ``max``, ``mean`` and ``std`` over time.
        dense_units: Features of the dense layer before the classifier (our choice: 128).
        dropout: Dropout probability on all vectors (paper: 0.3).

    Raises:
        RequestError: The configuration lacks a stream, the numbers of kernels differ, a size is
            below 1, dropout is not in [0, 1), or a statistic is unknown.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        corpus: CorpusInfo,
        streams: list[str] | tuple[str, ...] = ("text",),
        kernels: list[int] | tuple[int, ...] = (5, 7, 9, 11),
        text_kernels: list[int] | tuple[int, ...] = (2, 3, 4, 5),
        filters: int = 128,
        statistics: list[str] | tuple[str, ...] = tuple(STATISTICS),
        dense_units: int = 128,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        check_sizes(filters=filters, dense_units=dense_units)
        check_dropout(dropout)
        self.poolings = check_statistics(statistics)
        self.streams = check_streams(streams, most=2)
        of_audio = check_numbers("kernels", kernels)
        of_words = check_numbers("text_kernels", text_kernels)
        if len(of_audio) != len(of_words):
            raise RequestError(
                f"model.text_kernels={of_words}: must be {len(of_audio)} numbers, as model.kernels"
            )
        words, *vector = (corpus.stream(name) for name in self.streams)
        self.audio = Scales(inputs, filters, of_audio)
        self.words = Scales(words, filters, of_words)
        pooled = 3 * filters * len(of_audio) * len(self.poolings)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Sequential(
            dense(pooled + 2 * words + sum(vector), dense_units), nn.Linear(dense_units, classes)
        )

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        words, *vector = (batch.streams[name] for name in self.streams)
        audio, text = _joined(self.audio(batch.current)), _joined(self.words(words))
        queries = [audio.pool(pool) for pool in self.poolings]
        vectors = [
            *queries,
            *(text.pool(pool) for pool in self.poolings),
            *(_attend(query, text) for query in queries),
            largest_over_time(words.frames, words.valid),
            mean_over_time(words.frames, words.valid),
            *(mean_over_time(each.frames, each.valid) for each in vector),
        ]
        logits: Tensor = self.head(self.dropout(torch.cat(vectors, dim=-1)))
        return logits


def _joined(maps: list[Maps]) -> Maps:
    """Return the maps of all convolutions side by side, (B, convolutions · filters, T)."""
    return Maps(torch.cat([each.values for each in maps], dim=1), maps[0].lengths)


def _attend(query: Tensor, maps: Maps) -> Tensor:
    """Return Σ_t softmax_t(e·h_t) h_t of e (B, C) and maps h (B, C, T): (B, C)."""
    scores = torch.bmm(query.unsqueeze(1), maps.values).squeeze(1)
    return weighted_sum(masked_softmax(scores, maps.valid), maps.steps)
