"""DAAE: a domain-adversarial autoencoder, fused with a CNN by attention: a reconstruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.models import MODELS
from sercli.models.adversary import discriminator, reverse_gradient
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, CorpusInfo, Criterion, Output
from sercli.models.parts import (
    check_divides,
    check_dropout,
    check_numbers,
    check_sizes,
    check_task_weights,
    check_weight,
    cut,
)
from sercli.nn.convolution import ConvolutionBlock, Maps, MaxPool
from sercli.nn.pooling import ends_of_directions, mean_over_time, valid_steps


@MODELS.register("daae")
class DAAE(nn.Module):
    """A RECONSTRUCTION of the network of Gao, Liu, Wang and Dang (ICASSP 2021).

    A turn is cut into segments of ``steps`` frames. For each segment, the encoder of a
    convolutional autoencoder computes a code R_l, a CNN a vector R_d, and a dense layer of [R_l;
    R_d] a vector R_c. Over the segments of a turn, multi-head attention softmax(Q Kᵀ/√d) V reads
    Q = W_Q R_d, K = W_K R_l and V = W_V R_c; a bidirectional LSTM reads the concatenated heads. It
    has ``cell=lstm activation=tanh``. The losses on R_l:

    - ``reconstruction``: squared error of the decoder;
    - ``code_emotion``: cross entropy of the classes;
    - ``adversary_speaker`` and ``adversary_corpus``: cross entropy of classifiers behind
      a gradient reversal.

    Theirs is L_AE + α (L_emotion − λ (β L_speaker + (1 − β) L_corpus)): α is ``emotion_weight``,
    α λ β is ``speaker_weight`` and α λ (1 − β) ``corpus_weight``. A speaker belongs to one corpus,
    so that one adversary is enough; the corpus needs ``dataset=several``.

    They read log spectra of 25 ms in segments of 265 ms, 32 frames × 129 bins (nearest:
    ``features=spectrogram features.pool=1``, 320 ms), and train with Adadelta and batches of 128.
    The autoencoder and its adversaries are trained first, on SAVEE, EmoDB and EmoV-DB, then the
    autoencoder on IEMOCAP with the adversaries frozen, then the rest. Ours trains everything at
    once; ``init.run`` starts from a run on other corpora. Their 80 % for training and 20 % for
    test are drawn by utterance: speakers are in both.

    Only the parts and the losses are stated. Ours: all sizes and weights; convolutions of 3 × 3
    with batch normalisation, ReLU and max pooling of 2 × 2; a decoder of nearest-neighbour
    upsampling and convolutions; the mean over real values as squared error; classifiers of R_l
    that read its mean over the segments; attention over the segments of a turn; the last states of
    both directions of the LSTM; dropout.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        corpus: Facts of the corpus: numbers of speakers and corpora.
        steps: Steps of a segment (paper: 32); the last of a turn may have fewer.
        channels: Channels of the encoder; each layer halves steps and features.
        filters: Channels of the CNN, likewise.
        code: Features of R_l, R_d and R_c.
        heads: Attention heads, a divisor of ``code``.
        hidden: Hidden size of the recurrent layer per direction.
        adversary_units: Hidden units of each adversary.
        dropout: Dropout probability of R_c and before the classifier.
        reconstruction_weight: Weight of the squared error; 0: no decoder.
        emotion_weight: Weight of the loss of the classes on R_l; 0: none.
        speaker_weight: Factor of the reversed gradient of the speaker; 0: no adversary.
        corpus_weight: Factor of the reversed gradient of the corpus; 0: no adversary.

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), a weight is below 0, the heads
            do not divide the code, or the corpus lacks the column of an adversary.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        corpus: CorpusInfo,
        steps: int = 32,
        channels: list[int] | tuple[int, ...] = (16, 32, 64),
        filters: list[int] | tuple[int, ...] = (16, 32, 48, 64),
        code: int = 128,
        heads: int = 4,
        hidden: int = 128,
        adversary_units: int = 128,
        dropout: float = 0.2,
        reconstruction_weight: float = 1.0,
        emotion_weight: float = 1.0,
        speaker_weight: float = 0.1,
        corpus_weight: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(steps=steps, code=code, heads=heads, hidden=hidden)
        check_sizes(adversary_units=adversary_units)
        check_dropout(dropout)
        check_weight("reconstruction_weight", reconstruction_weight)
        check_weight("emotion_weight", emotion_weight)
        check_divides(heads, code, "code")
        self.steps, self.heads = steps, heads
        self.reconstruction_weight = reconstruction_weight
        self.emotion_weight = emotion_weight
        depth = check_numbers("channels", channels)
        self.encoder = SegmentEncoder(steps, inputs, depth, code)
        self.decoder = Decoder(steps, inputs, depth, code) if reconstruction_weight else None
        self.code_head = nn.Linear(code, classes) if emotion_weight else None
        self.adversaries = Adversaries(
            code, adversary_units, {"speaker": speaker_weight, "corpus": corpus_weight}, corpus
        )
        self.cnn = SegmentEncoder(steps, inputs, check_numbers("filters", filters), code)
        self.fuse = nn.Sequential(nn.Linear(2 * code, code), nn.ReLU(), nn.Dropout(dropout))
        self.query, self.key, self.value = (nn.Linear(code, code, bias=False) for _ in range(3))
        self.recurrent = new_cell(code, hidden, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.recurrent.output_size, classes)

    def forward(self, batch: Batch) -> Output:
        """Classify a batch; in training, return the losses of the code too."""
        segments, counts = cut(batch.current, self.steps)
        sizes, valid = counts.flatten(), counts > 0
        maps = Maps.over_time_and_frequency(segments, sizes)
        codes = self.encoder(maps)
        by_turn = codes.unflatten(0, counts.shape)
        attended = self._attend(by_turn, self.cnn(maps).unflatten(0, counts.shape), valid)
        states, _ = self.recurrent(attended, lengths=valid.sum(dim=1))
        logits = self.head(self.dropout(ends_of_directions(states, valid)))
        if batch.criterion is None:
            return Output(logits)
        losses = self._losses(mean_over_time(by_turn, valid), batch.criterion)
        if self.decoder is not None:
            error = squared_error(self.decoder(codes), segments, sizes)
            losses["reconstruction"] = self.reconstruction_weight * error
        return Output(logits, losses)

    def _attend(self, codes: Tensor, deep: Tensor, valid: Tensor) -> Tensor:
        """Return the heads of each segment, (B, S, code), from R_l and R_d of that shape."""
        fused = self.fuse(torch.cat([codes, deep], dim=-1))
        projected = self.query(deep), self.key(codes), self.value(fused)
        query, key, value = (
            each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in projected
        )
        found = F.scaled_dot_product_attention(query, key, value, valid[:, None, None])
        return found.transpose(1, 2).flatten(2)

    def _losses(self, codes: Tensor, criterion: Criterion) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.adversaries(codes, criterion)
        if self.code_head is not None:
            emotion = criterion("label", self.code_head(codes))
            losses["code_emotion"] = self.emotion_weight * emotion
        return losses


class SegmentEncoder(nn.Module):
    """Convolutions over time and frequency, then a dense layer, applied to each segment.

    Args:
        steps: Steps of a segment.
        inputs: Features of a step.
        channels: Channels of each convolution, which halves both axes by max pooling.
        size: Features of the output.
    """

    def __init__(self, steps: int, inputs: int, channels: Sequence[int], size: int) -> None:
        super().__init__()
        self.convolve = nn.Sequential(
            *(
                ConvolutionBlock(before, after, (3, 3), pool=MaxPool((2, 2)))
                for before, after in pairwise((1, *channels))
            )
        )
        rows, columns = (halved(axis, len(channels)) for axis in (steps, inputs))
        self.dense = nn.Linear(channels[-1] * rows * columns, size)

    def forward(self, maps: Maps) -> Tensor:
        """Map N segments, (N, 1, steps, inputs), to (N, size)."""
        vectors: Tensor = self.dense(self.convolve(maps).values.flatten(1))
        return vectors.relu()


class Decoder(nn.Module):
    """A dense layer, then an upsampling by two and a 3 × 3 convolution per layer of the encoder.

    Args:
        steps: Steps of a segment.
        inputs: Features of a step.
        channels: Channels of each convolution of the encoder.
        size: Features of a code.
    """

    def __init__(self, steps: int, inputs: int, channels: Sequence[int], size: int) -> None:
        super().__init__()
        self.steps, self.inputs = steps, inputs
        rows, columns = (halved(axis, len(channels)) for axis in (steps, inputs))
        self.shape = channels[-1], rows, columns
        self.dense = nn.Linear(size, channels[-1] * rows * columns)
        backward = [*reversed(channels), 1]
        self.convolve = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(backward)
        )

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes (N, size) to segments (N, steps, inputs)."""
        maps: Tensor = self.dense(codes).unflatten(-1, self.shape)
        for layer in self.convolve:
            maps = layer(F.interpolate(maps.relu(), scale_factor=2))
        return maps[:, 0, : self.steps, : self.inputs]


class Adversaries(nn.Module):
    """Classifiers of columns behind gradient reversals, as in `sercli.models.adversary`.

    Args:
        size: Features of a vector.
        units: Hidden units of each classifier.
        weights: Column → factor of its reversed gradient; a column with 0 has no classifier.
        corpus: Number of values of each column.

    Raises:
        RequestError: A weight is below 0, or the corpus does not state a column.
    """

    def __init__(
        self, size: int, units: int, weights: Mapping[str, float], corpus: CorpusInfo
    ) -> None:
        super().__init__()
        self.weights = check_task_weights(weights)
        self.classifiers = nn.ModuleDict(
            {column: discriminator(size, units, corpus.count(column)) for column in self.weights}
        )

    def forward(self, vectors: Tensor, criterion: Criterion) -> dict[str, Tensor]:
        """Return the loss of each classifier on vectors (B, size)."""
        return {
            f"adversary_{column}": criterion(
                column, self.classifiers[column](reverse_gradient(vectors, weight))
            )
            for column, weight in self.weights.items()
        }


def squared_error(found: Tensor, frames: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean of (found − frames)² over the real steps.

    >>> frames = torch.ones(1, 3, 2)
    >>> squared_error(torch.zeros(1, 3, 2), frames, torch.tensor([2]))
    tensor(1.)

    Args:
        found: (N, T, features).
        frames: (N, T, features).
        lengths: Number of real steps, (N,).
    """
    real = valid_steps(lengths, frames.shape[1]).unsqueeze(-1)
    errors = (found - frames).masked_fill(~real, 0.0).square()
    return errors.sum() / (real.sum() * frames.shape[2])


def halved(size: int, times: int) -> int:
    """Return ⌈size / 2^times⌉.

    >>> halved(129, 3)
    17
    """
    return -(-size // (1 << times))
