"""CA-MSER: co-attention of spectrogram and MFCCs to the frames of an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, CorpusInfo, Turns
from sercli.models.parts import check_dropout, check_numbers, check_sizes, check_streams
from sercli.models.segments import over_segments, segments_per_turn
from sercli.nn.attention import masked_softmax, weighted_sum
from sercli.nn.checks import check_one_of

_GRID = 6
"""Rows and columns of the maps after AlexNet's adaptive pooling."""


@MODELS.register("ca_mser")
class CoAttention(nn.Module):
    """The network of Zou, Si, Chen, Rajan and Chng (ICASSP 2022) on a frozen encoder.

    It classifies segments of 3 s and averages their log-probabilities. The spectrogram of a
    segment, resized, goes through the convolutions of AlexNet; a recurrent layer reads the MFCCs,
    and its states are flattened; a dense layer makes a vector of each. From both vectors, a dense
    layer with ReLU computes a weight of each frame of the encoder in the segment; a dense layer
    reads the weighted sum. Three dense layers classify the three vectors. All dense layers but the
    last have ReLU; there is dropout before all but the last two. Sizes are those of the official
    code (Vincent-ZHQ/CA-MSER), with ``cell=lstm cell.layers=2 cell.dropout=0.5 activation=tanh``.
    It has no softmax over the weights; ``frame_weights: softmax`` is the variant with one.

    They read log spectra of 200 bins (window 40 ms, hop 10 ms, up to 4 kHz), 40 MFCCs and
    wav2vec2-base-960h, which is trained too; with AdamW at 1e-5, 64 segments in a batch, until WA +
    UA has not risen for 8 epochs. Published (WA/UA): 69.80/71.05 over five sessions, 71.64/72.70
    over ten speakers. Their code evaluates on the test fold, so that the epoch is selected on it.

    Different here: the encoder is frozen and reads the whole turn; theirs reads each padded
    segment, 149 frames instead of 150. The convolutions start from random weights, not from
    ImageNet, whose weights would need another library; expect less of a small corpus. They read one
    map, not three equal ones of 8 bits. Padding is masked in the recurrent layer. The loss is that
    of the averaged log-probabilities of a turn; theirs is that of each segment.

    Args:
        inputs: Bins of the spectrogram.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        corpus: Features of a step of each further stream.
        streams: Names of the streams of MFCCs and of the encoder.
        segments: Steps of a segment in the spectrogram and in both streams.
        image: Steps and bins to which a spectrogram is resized.
        filters: Channels of the five convolutions.
        hidden: Hidden size per direction.
        dense: Features of the dense layers.
        frame_weights: ``relu`` or ``softmax``.
        dropout: Dropout probability before dense layers.

    Raises:
        RequestError: The configuration lacks a stream, a list has another length or a value below
            1, a size is below 1, ``frame_weights`` is unknown, or dropout is not in [0, 1).
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        corpus: CorpusInfo,
        streams: list[str] | tuple[str, ...] = ("mfcc", "w2v2"),
        segments: list[int] | tuple[int, ...] = (300, 300, 150),
        image: list[int] | tuple[int, ...] = (384, 256),
        filters: list[int] | tuple[int, ...] = (64, 192, 384, 256, 256),
        hidden: int = 256,
        dense: int = 128,
        frame_weights: str = "relu",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.streams = check_streams(streams, 2, 2)
        self.segments = check_numbers("segments", segments, 3)
        self.image = check_numbers("image", image, 2)
        check_sizes(hidden=hidden, dense=dense)
        check_one_of("model.frame_weights", frame_weights, ("relu", "softmax"))
        check_dropout(dropout)
        self.softmax = frame_weights == "softmax"
        cepstra, encoded = (corpus.stream(name) for name in self.streams)
        _, steps, frames = self.segments
        self.convolve = alexnet(check_numbers("filters", filters, 5))
        self.recurrent = new_cell(cepstra, hidden, bidirectional=True)
        self.of_spectrum = _dense(filters[-1] * _GRID**2, dense, dropout)
        self.of_cepstra = _dense(steps * self.recurrent.output_size, dense, dropout)
        self.weigh = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * dense, frames))
        self.of_encoder = _dense(encoded, dense, dropout)
        self.head = nn.Sequential(
            _dense(3 * dense, dense, dropout),
            _dense(dense, dense, dropout),
            nn.Linear(dense, classes),
        )

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: mean log-probabilities of its segments, (B, classes)."""
        return over_segments(self._classify, self._turns(batch), self.segments)

    def segments_per_turn(self, batch: Batch) -> Tensor:
        """Return the number of segments of each turn, (B,)."""
        return segments_per_turn(self._turns(batch), self.segments)

    def _turns(self, batch: Batch) -> list[Turns]:
        return [batch.current, *(batch.streams[name] for name in self.streams)]

    def _classify(self, spectrum: Turns, cepstra: Turns, encoded: Turns) -> Tensor:
        """Return the logits of segments, (N, classes)."""
        image = F.interpolate(spectrum.frames.unsqueeze(1), self.image, mode="bilinear")
        states, _ = self.recurrent(cepstra.frames, lengths=cepstra.lengths)
        heard = torch.cat(
            [self.of_spectrum(self.convolve(image)), self.of_cepstra(states.flatten(1))], dim=-1
        )
        scores = self.weigh(heard)
        weights = masked_softmax(scores, encoded.valid) if self.softmax else scores.relu()
        summed = self.of_encoder(weighted_sum(weights, encoded.frames))
        logits: Tensor = self.head(torch.cat([heard, summed], dim=-1))
        return logits


def alexnet(filters: Sequence[int]) -> nn.Sequential:
    """Return the convolutions of AlexNet (Krizhevsky 2014, arXiv 1404.5997), for one map.

    Kernels of 11, 5, 3, 3 and 3, the first with a stride of 4; ReLU; max pooling of 3 with a stride
    of 2 after the first two and the last; the mean on a grid of 6×6, flattened.

    >>> alexnet([2, 2, 2, 2, 3])(torch.ones(1, 1, 300, 200)).shape
    torch.Size([1, 108])

    Args:
        filters: Channels of the five convolutions.
    """
    layers: list[nn.Module] = [nn.Conv2d(1, filters[0], 11, stride=4, padding=2)]
    for i, (before, size) in enumerate(pairwise(filters)):
        layers += [nn.ReLU(), nn.MaxPool2d(3, 2)] if i < 2 else [nn.ReLU()]
        kernel = 3 if i else 5
        layers.append(nn.Conv2d(before, size, kernel, padding=kernel // 2))
    ending = [nn.ReLU(), nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d(_GRID), nn.Flatten()]
    return nn.Sequential(*layers, *ending)


def _dense(inputs: int, size: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, size), nn.ReLU())
