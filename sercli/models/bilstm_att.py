"""BiLSTM+ATT: dense layers, a bidirectional recurrence, and a choice of pooling."""

from __future__ import annotations

from torch import Tensor, nn

from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch
from sercli.models.parts import check_dropout, check_sizes, dense
from sercli.nn.attention import DotAttention
from sercli.nn.checks import check_one_of
from sercli.nn.pooling import Pooling, ends_of_directions, largest_over_time, mean_over_time

_PLAIN: dict[str, Pooling] = {
    "mean": mean_over_time,
    "max": largest_over_time,
    "last": ends_of_directions,
}


@MODELS.register("bilstm_att")
class BiLSTMAttention(nn.Module):
    """The network of Mirsamadi, Barsoum and Zhang (ICASSP 2017), without dialogue context.

    Two fully connected layers with ReLU and dropout work on each frame; a bidirectional layer
    reads their output; attention α_t = softmax_t(u·y_t) pools it to Σ α_t y_t, which is
    classified. It is theirs with ``cell=lstm activation=tanh``. The other poolings are there to
    compare with: the mean and the largest over time, and the ends of both directions. Where
    dropout acts (after each dense layer) is our choice. They read 32 descriptors; this reads any.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        dense_units: Features of each of the two dense layers (paper: 512).
        hidden: Features of the recurrent layer in each direction (paper: 128).
        pooling: ``attention``, ``mean``, ``max`` or ``last``.
        dropout: Dropout probability after each dense layer (paper: 0.5).

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), or the pooling is unknown.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        dense_units: int = 512,
        hidden: int = 128,
        pooling: str = "attention",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_sizes(dense_units=dense_units, hidden=hidden)
        check_dropout(dropout)
        self.dense = dense(inputs, dense_units, dense_units, dropout=dropout)
        self.recurrent = new_cell(dense_units, hidden, bidirectional=True)
        self.pool = _new_pooling(pooling, self.recurrent.output_size)
        self.head = nn.Linear(self.recurrent.output_size, classes)

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        turns = batch.current
        states, _ = self.recurrent(self.dense(turns.frames), lengths=turns.lengths)
        logits: Tensor = self.head(self.pool(states, turns.valid))
        return logits


def _new_pooling(name: str, size: int) -> Pooling:
    check_one_of("model.pooling", name, ("attention", *_PLAIN))
    if name == "attention":
        return DotAttention(size)
    return _PLAIN[name]
