"""IAAN, the interaction-aware attention network, its ablations, and what its official code runs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, Output, Turns
from sercli.models.parts import check_dropout, check_sizes, check_weight
from sercli.nn import run_parallel
from sercli.nn.attention import InteractionAttention, SelfAttention
from sercli.nn.checks import check_one_of
from sercli.nn.layer import RecurrentLayer

CONTEXTS = ("full", "steer", "none")
"""Uses of the context turns; see `IAAN`."""


@MODELS.register("iaan")
class IAAN(nn.Module):
    """Interaction-aware attention network (Yeh, Lin, Lee, ICASSP 2019).

    Three recurrent encoders with separate parameters: one for the current turn, and one each for
    the last turn of the same speaker and of the interlocutor. The two context turns are pooled
    by attention and steer the attention over the current turn. A head classifies the three
    vectors together. Rajamani et al. (2021) put AReLU into all three encoders.

    The defaults are what papers describe. The last commit of the official code
    (30stomercury/Interaction-aware_Attention_Network) runs something else, which the options
    can be set to (``model=iaan_repo``): a unidirectional current encoder of 512, no mask over
    the context turns, L2 on the head, no dropout, LayerNorm with TensorFlow's ε; and TensorFlow's
    ``GRUCell``, which is a matter of the cell (``cell=gru_tf``).

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        hidden: Features of the current encoder in each direction (paper: 256; code: 512).
        context_hidden: Features of a context encoder (paper and code: 512).
        attention: Features of the attention spaces (official code: 16).
        head: Features of the hidden layer of the head (official code: 64).
        dropout: Dropout probability in the head (official code: 0.1 in the first commit, 0 in the
            last).
        bidirectional: Read the current turn backwards as well (paper: yes; code: no).
        context: ``full``: as above. ``steer``: the context turns steer the attention, but the
            head sees the current turn alone (the ablation BiGRU+IAA, by our reading of its
            name). ``none``: there are no context encoders, and the attention over the current
            turn is steered by nothing (the ablation BiGRU+ATT).
        mask_context: Keep padding out of the context encoders. The official code does not: zero
            frames move the state and receive attention, so that an example depends on the lengths
            of the others in its batch.
        head_l2: λ of the penalty λ·½‖·‖² on weights and biases of the head (code: 1e-3).
        norm_eps: ε that the LayerNorm of the head adds to the variance (torch's default; code:
            1e-12).

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), the penalty or ε is negative,
            or the use of context unknown.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        hidden: int = 256,
        context_hidden: int = 512,
        attention: int = 16,
        head: int = 64,
        dropout: float = 0.1,
        bidirectional: bool = True,
        context: str = "full",
        mask_context: bool = True,
        head_l2: float = 0.0,
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden, context_hidden=context_hidden, attention=attention, head=head)
        check_dropout(dropout)
        check_one_of("model.context", context, CONTEXTS)
        check_weight("head_l2", head_l2)
        check_weight("norm_eps", norm_eps)
        self.classifies_context = context == "full"
        self.uses_context = context != "none"
        self.mask_context, self.head_l2 = mask_context, head_l2
        self.current = new_cell(inputs, hidden, bidirectional=bidirectional)
        size = self.current.output_size
        self.attention: InteractionAttention | SelfAttention
        if self.uses_context:
            self.own = ContextEncoder(new_cell(inputs, context_hidden), attention)
            self.interlocutor = ContextEncoder(new_cell(inputs, context_hidden), attention)
            context_sizes = self.own.output_size, self.interlocutor.output_size
            self.attention = InteractionAttention(size, *context_sizes, attention)
        else:
            self.attention = SelfAttention(size, attention)
        self.head = nn.Sequential(
            nn.Linear(size + (sum(context_sizes) if self.classifies_context else 0), head),
            nn.Dropout(dropout),
            nn.LayerNorm(head, eps=norm_eps),
            nn.ReLU(),
            nn.Linear(head, classes),
        )
        initialise_head(self.head)

    def forward(self, batch: Batch) -> Tensor | Output:
        """Classify a batch: logits (B, classes), with the penalty on the head if there is one."""
        states, context = self._encode(batch)
        pooled = self.attention(states, batch.current.valid, *context)
        vectors = [pooled, *context] if self.classifies_context else [pooled]
        logits: Tensor = self.head(torch.cat(vectors, dim=-1))
        return Output(logits, {"head_l2": self._penalty()}) if self.head_l2 else logits

    def _encode(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """The states of the current turn (B, T, H), and a vector of each context turn."""
        used = self._context_turns(batch)
        layers = [self.current, *(encoder.cell for encoder, _ in used)]
        turns = [batch.current, *(each for _, each in used)]
        (states, _), *others = run_parallel(
            [
                layer.stack_pass(x.frames, lengths=x.lengths)
                for layer, x in zip(layers, turns, strict=True)
            ]
        )
        return states, [
            encoder.pool(found, each.valid)
            for (encoder, each), (found, _) in zip(used, others, strict=True)
        ]

    def _context_turns(self, batch: Batch) -> list[tuple[ContextEncoder, Turns]]:
        """The context turns in use, each with its encoder."""
        if not self.uses_context:
            return []
        used = [(self.own, batch.own), (self.interlocutor, batch.interlocutor)]
        if self.mask_context:
            return used
        return [(encoder, _unmasked(turns)) for encoder, turns in used]

    def _penalty(self) -> Tensor:
        """λ·½‖·‖² on the linear layers of the head (not on LayerNorm, as in the code)."""
        squares = [
            parameter.square().sum()
            for layer in self.head
            if isinstance(layer, nn.Linear)
            for parameter in layer.parameters()
        ]
        return self.head_l2 / 2 * torch.stack(squares).sum()


def _unmasked(turns: Turns) -> Turns:
    """Take zeros after the end of a turn for frames of it."""
    frames = turns.real_frames
    return Turns(frames, torch.full_like(turns.lengths, frames.shape[1]))


class ContextEncoder(nn.Module):
    """A recurrent layer and the attention that makes one vector of what it returns."""

    def __init__(self, cell: RecurrentLayer, attention: int) -> None:
        super().__init__()
        self.cell = cell
        self.output_size = cell.output_size
        self.pool = SelfAttention(cell.output_size, attention)


def initialise_head(head: nn.Module) -> None:
    """Weights from a truncated normal (0.1) and biases 0.1, as in IAAN's code."""
    for layer in head.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.1, a=-0.2, b=0.2)
            nn.init.constant_(layer.bias, 0.1)
