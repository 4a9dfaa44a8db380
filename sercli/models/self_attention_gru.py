"""Self-attention GRU: a bidirectional recurrence and multi-head self-attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch
from sercli.models.parts import check_dropout, check_heads, check_sizes
from sercli.nn.checks import check_at_least
from sercli.nn.convolution import Convolution, Maps
from sercli.nn.pooling import mean_over_time


@MODELS.register("self_attention_gru")
class SelfAttentionGRU(nn.Module):
    """The audio branch of Rajan, Brutti and Cavallaro (ICASSP 2022).

    A convolution shortens the turn, a bidirectional recurrent layer reads it, multi-head
    self-attention without residual or normalisation mixes its states, and their mean over time goes
    through two linear layers without an activation. It is theirs with ``cell=gru activation=tanh``.

    They read 40 MFCCs with Δ and ΔΔ, cut or padded to 1 000 frames at 10 ms; their code takes the
    1 000 frames as the channels of a convolution of width 1, which mixes positions in time and
    sees padding (``mix_steps: 1000``), and does not mask attention and mean, because all 500
    mixed positions are real. Their statistical pooling is over modalities; with audio alone it is
    the mean.

    Ours: by default the convolution runs over time (width 3, stride 2, as many channels as
    features), so that a turn may have any length, padding masked. Their dropout of 0.3 in a GRU of
    one layer has no effect and is left out. They classify seven emotions in folds of random
    utterances, and call accuracy unweighted and recall weighted.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        hidden: Hidden size per direction (paper: 60).
        heads: Attention heads, a divisor of 2·hidden (paper: 6).
        dense: Features of the first linear layer (paper: 60).
        dropout: Dropout probability on attention weights (paper: 0.1).
        mix_steps: Number of steps to which turns are cut or padded for `Mixing` (paper: 1000); 0:
            the convolution over time.

    Raises:
        RequestError: A size is below 1, the heads do not divide the states, dropout is not in
            [0, 1), or ``mix_steps`` is 1 or below 0.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        hidden: int = 60,
        heads: int = 6,
        dense: int = 60,
        dropout: float = 0.1,
        mix_steps: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden, heads=heads, dense=dense)
        check_dropout(dropout)
        check_at_least("model.mix_steps", mix_steps, 0)
        if mix_steps == 1:
            raise RequestError("model.mix_steps=1: must be 2 or more, or 0 for no mixing")
        self.shorten = Mixing(mix_steps) if mix_steps else Convolution(inputs, inputs, 3, stride=2)
        self.recurrent = new_cell(inputs, hidden, bidirectional=True)
        size = self.recurrent.output_size
        check_heads(heads, size)
        self.attend = nn.MultiheadAttention(size, heads, dropout, batch_first=True)
        self.head = nn.Sequential(nn.Linear(size, dense), nn.Linear(dense, classes))

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        turns = batch.current
        maps: Maps = self.shorten(Maps.over_time(turns.frames, turns.lengths))
        states, _ = self.recurrent(maps.steps, lengths=maps.lengths)
        attended, _ = self.attend(
            states, states, states, key_padding_mask=~maps.valid, need_weights=False
        )
        logits: Tensor = self.head(mean_over_time(attended, maps.valid))
        return logits


class Mixing(nn.Module):
    """A linear layer over time, from ``steps`` to ``steps // 2`` positions of each feature.

    Args:
        steps: Number of steps to which turns are cut or padded with zeros.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.mix = nn.Linear(steps, steps // 2)

    def forward(self, maps: Maps) -> Maps:
        """Map (B, features, T) to (B, features, steps // 2), all of them real."""
        missing = self.steps - maps.values.shape[2]  # negative: cut
        mixed: Tensor = self.mix(F.pad(maps.values, (0, missing)))
        return Maps(mixed, torch.full_like(maps.lengths, mixed.shape[2]))
