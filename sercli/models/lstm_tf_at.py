"""LSTM-TF-AT: attention over time and over the features of the states."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, Turns
from sercli.models.parts import check_dropout, check_sizes
from sercli.nn import last_state
from sercli.nn.attention import FeatureAttention, TimeAttention
from sercli.nn.checks import check_one_of


@MODELS.register("lstm_tf_at")
class TimeFeatureAttention(nn.Module):
    """The network of Xie et al. (TASLP 2019), without dialogue context.

    A recurrent layer reads the frames. Its states o_t are pooled twice: along time,
    Σ_t s_t o_t with s = softmax_t(o_last·(W_T o_t)), and along features, Σ_t s_F∘o_t with
    s_F = softmax(V_F tanh(W_F o_t)) over the features of a step. Both vectors together go through
    two dense layers, without activation between them. It is their LSTM-TF-AT with ``cell=lstm_at
    activation=tanh``, LSTM-TF with ``cell=lstm``, and LSTM-T and LSTM-F with one attention.

    They read 93 descriptors in batches of 128, by two unidirectional layers (``cell.layers=2``),
    the second of 256 units, and a dense layer of 128. The width of the first layer, which we take
    equal, and dropout are our choices.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        hidden: Features of the recurrent layer.
        attention: ``time``, ``features`` or ``both``.
        dense: Features of the dense layer before the classifier.
        dropout: Dropout probability on the pooled vector.

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), or the attention is unknown.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        hidden: int = 256,
        attention: str = "both",
        dense: int = 128,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden, dense=dense)
        check_dropout(dropout)
        check_one_of("model.attention", attention, ("time", "features", "both"))
        self.recurrent = new_cell(inputs, hidden)
        size = self.recurrent.output_size
        self.over_time = TimeAttention(size) if attention != "features" else None
        self.over_features = FeatureAttention(size) if attention != "time" else None
        self.dropout = nn.Dropout(dropout)
        pooled = size * (2 if attention == "both" else 1)
        self.head = nn.Sequential(nn.Linear(pooled, dense), nn.Linear(dense, classes))

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        logits: Tensor = self.head(self.dropout(self._pooled(batch.current)))
        return logits

    def _pooled(self, turns: Turns) -> Tensor:
        states, final = self.recurrent(turns.frames, lengths=turns.lengths)
        pooled = []
        if self.over_time is not None:
            last = last_state(self.recurrent, final)
            pooled.append(self.over_time(states, turns.valid, last))
        if self.over_features is not None:
            pooled.append(self.over_features(states, turns.valid))
        return torch.cat(pooled, dim=-1)
