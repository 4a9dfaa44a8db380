"""IAAN, the interaction-aware attention network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.models import MODELS, MakeCell
from sercli.models.batch import Batch, Turns
from sercli.models.check import check_dropout, check_sizes
from sercli.nn.attention import InteractionAttention, SelfAttention
from sercli.nn.cells import Recurrent


@MODELS.register("iaan")
class IAAN(nn.Module):
    """Interaction-aware attention network (Yeh, Lin, Lee, ICASSP 2019), as papers describe it.

    Three recurrent encoders with separate parameters: a bidirectional one for the current
    turn, and one each for the last turn of the same speaker and of the interlocutor. The two
    context turns are pooled by attention and steer the attention over the current turn. A
    head classifies the three vectors together. Rajamani et al. (2021) put AReLU into all
    three encoders.

    Padding is masked everywhere; the official code leaves it in its context encoders. Its
    other differences (a unidirectional current encoder, TensorFlow's cell and initial
    values, L2 on the head) are not in this class.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        new_cell: Makes a recurrent layer.
        hidden: Features of the current encoder in each direction (paper: 256).
        context_hidden: Features of a context encoder (paper: 512).
        attention: Features of the attention spaces (official code: 16).
        head: Features of the hidden layer of the head (official code: 64).
        dropout: Share dropped in the head (first commit of the official code: keep 0.9).

    Raises:
        RequestError: A size is below 1, or dropout is not in [0, 1).
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: MakeCell,
        hidden: int = 256,
        context_hidden: int = 512,
        attention: int = 16,
        head: int = 64,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden, context_hidden=context_hidden, attention=attention, head=head)
        check_dropout(dropout)
        self.current = new_cell(inputs, hidden, bidirectional=True)
        self.own = ContextEncoder(new_cell(inputs, context_hidden), attention)
        self.interlocutor = ContextEncoder(new_cell(inputs, context_hidden), attention)
        current_size = self.current.output_size
        context_sizes = self.own.output_size, self.interlocutor.output_size
        self.attention = InteractionAttention(current_size, *context_sizes, attention)
        self.head = nn.Sequential(
            nn.Linear(current_size + sum(context_sizes), head),
            nn.Dropout(dropout),
            nn.LayerNorm(head),
            nn.ReLU(),
            nn.Linear(head, classes),
        )
        initialise_head(self.head)

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        own = self.own(batch.own)
        interlocutor = self.interlocutor(batch.interlocutor)
        states, _ = self.current(batch.current.frames, batch.current.lengths)
        current = self.attention(states, batch.current.valid, own, interlocutor)
        logits: Tensor = self.head(torch.cat([current, own, interlocutor], dim=-1))
        return logits


class ContextEncoder(nn.Module):
    """A recurrent layer and attention pooling: a context turn becomes one vector."""

    def __init__(self, cell: Recurrent, attention: int) -> None:
        super().__init__()
        self.cell = cell
        self.output_size = cell.output_size
        self.pool = SelfAttention(cell.output_size, attention)

    def forward(self, turns: Turns) -> Tensor:
        """Encode turns into (B, output_size)."""
        states, _ = self.cell(turns.frames, turns.lengths)
        pooled: Tensor = self.pool(states, turns.valid)
        return pooled


def initialise_head(head: nn.Module) -> None:
    """Weights from a truncated normal (0.1) and biases 0.1, as in IAAN's code."""
    for layer in head.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.1, a=-0.2, b=0.2)
            nn.init.constant_(layer.bias, 0.1)
