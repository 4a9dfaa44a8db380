"""CPC: contrastive prediction of later steps by a causal recurrence, and a classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, Output, Turns
from sercli.models.parts import check_divides, check_dropout, check_sizes, check_weight, dense
from sercli.nn.contrastive import info_nce
from sercli.nn.pooling import deviation_over_time, mean_over_time


@MODELS.register("cpc")
class CPC(nn.Module):
    """Contrastive predictive coding for emotion of Li et al. (ICASSP 2021, arXiv 2102.06357).

    An encoder computes z_t, a causal recurrence c_t, and a linear predictor for each of 12 future
    steps ẑ_{t+m} = W_m c_t, which is compared with z_{t+m} and 50 negatives of the same turn
    (`sercli.nn.contrastive`). `sercli pretrain` trains this part without labels. The
    classifier reads c: self-attention of eight heads over the turn, mean and standard deviation
    over time, two dense layers.

    Theirs encodes the waveform by four convolutions to a step of 10 ms; ours reads frames by one
    dense layer with ReLU, so that a step is a step of the features: 10 ms with ``features=log_mel
    features.pool=1``. They regress activation, valence and dominance by CCC; this classifies by
    cross entropy. τ = 1, predictors without bias, dropout after both dense layers: our choices, as
    they state none. They train on 10 s of each turn, ours on whole turns.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        new_cell: Factory of recurrent layers (paper: ``cell=gru``).
        units: Features of the encoder (paper: 128).
        hidden: Features of the recurrence (paper: 256).
        future: Number of predicted steps (paper: 12).
        negatives: Negatives of each prediction (paper: 50).
        heads: Attention heads (paper: 8).
        width: Features of all heads together (paper: 512).
        dense_units: Features of the two dense layers (paper: 128).
        dropout: Dropout probability after each of them (paper: 0.2).
        cpc_weight: Weight of the contrastive loss as an auxiliary loss; 0: none.

    Raises:
        RequestError: A size is below 1, the heads do not divide ``width``, dropout is not in
            [0, 1), or the weight is negative.
    """

    pretrained = ("encoder.", "recurrent.", "predictors.")
    """Name prefixes of the tensors trained by the contrastive loss."""

    only_pretraining = ("predictors.",)
    """Name prefixes of the tensors that the classifier does not use."""

    unlabelled = {"cpc_weight": 1.0}  # noqa: RUF012 - a constant
    """Settings that `unlabelled_loss` requires."""

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        units: int = 128,
        hidden: int = 256,
        future: int = 12,
        negatives: int = 50,
        heads: int = 8,
        width: int = 512,
        dense_units: int = 128,
        dropout: float = 0.2,
        cpc_weight: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(units=units, hidden=hidden, future=future, negatives=negatives)
        check_sizes(heads=heads, width=width, dense_units=dense_units)
        check_dropout(dropout)
        check_weight("cpc_weight", cpc_weight)
        check_divides(heads, width, "width")
        self._future, self._negatives, self._weight = future, negatives, cpc_weight
        self.encoder = nn.Sequential(nn.Linear(inputs, units), nn.ReLU())
        self.recurrent = new_cell(units, hidden)
        if cpc_weight:
            self.predictors = nn.Linear(hidden, future * units, bias=False)
        self.attention = _SelfAttention(hidden, heads, width)
        self.dense = dense(2 * hidden, dense_units, dense_units, dropout=dropout)
        self.head = nn.Linear(dense_units, classes)

    def forward(self, batch: Batch) -> Output:
        """Classify a batch: logits (B, classes), and the contrastive loss if it has a weight."""
        turns = batch.current
        steps, states = self.represent(turns)
        attended = self.attention(states, turns.valid)
        pooled = [pool(attended, turns.valid) for pool in (mean_over_time, deviation_over_time)]
        logits: Tensor = self.head(self.dense(torch.cat(pooled, dim=-1)))
        if batch.criterion is None or not self._weight:
            return Output(logits)
        loss, _ = self._contrast(steps, states, turns)
        return Output(logits, {"cpc": self._weight * loss})

    def represent(self, turns: Turns) -> tuple[Tensor, Tensor]:
        """Return z (B, T, units) and c (B, T, hidden); c_t depends on no later step."""
        steps = self.encoder(turns.real_frames)
        states, _ = self.recurrent(steps, lengths=turns.lengths)
        return steps, states

    def unlabelled_loss(self, turns: Turns) -> tuple[Tensor, Tensor]:
        """Return the contrastive loss, and the accuracy of choosing the true step."""
        return self._contrast(*self.represent(turns), turns)

    def _contrast(self, steps: Tensor, states: Tensor, turns: Turns) -> tuple[Tensor, Tensor]:
        predicted = self.predictors(states).unflatten(-1, (self._future, -1))
        return info_nce(predicted, steps, turns.lengths, negatives=self._negatives)


class _SelfAttention(nn.Module):
    """Multi-head self-attention over the real steps, with a width of its own.

    Args:
        size: Features of a step.
        heads: Number of heads.
        width: Features of all heads together.
    """

    def __init__(self, size: int, heads: int, width: int) -> None:
        super().__init__()
        self._heads = heads
        self.project = nn.Linear(size, 3 * width)
        self.output = nn.Linear(width, size)

    def forward(self, states: Tensor, valid: Tensor) -> Tensor:
        """Attend over time.

        Args:
            states: (B, T, size).
            valid: True where a step is real, (B, T).

        Returns:
            (B, T, size).
        """
        parts = self.project(states).unflatten(-1, (3, self._heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind()
        mask = valid[:, None, None, :]
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        out: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return out
