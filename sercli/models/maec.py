"""MAEC: dilated convolutions and recurrences on three turns, regularised by an adversary."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, CorpusInfo, Output, Turns
from sercli.models.parts import TaskHeads, check_dropout, check_sizes, check_weight
from sercli.nn import run_parallel
from sercli.nn.attention import BottleneckAttention, SelfAttention
from sercli.nn.layer import RecurrentLayer


@MODELS.register("maec")
class MAEC(nn.Module):
    """The system of Fu et al. (2021), as far as our notes describe it, on IAAN's three turns.

    What the notes say: the input is IAAN's (45 descriptors of the current turn and of the last
    turn of each speaker); dilated convolutions, bidirectional GRUs, bottleneck attention on the
    three turns, adversarial regularisation, gender as a second task. All else is our choice:

    - each turn has an encoder of its own: convolutions of width 3 with ReLU, whose dilation is
      listed in ``dilations``, a bidirectional recurrent layer, and IAAN's self-attention;
    - the three vectors, side by side, are gated by a `BottleneckAttention` (Park et al. 2018);
    - a dense layer makes the code, which classifies emotion and gender, and which
      `PriorAdversary` presses towards N(0, I) in training.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        new_cell: Makes a recurrent layer.
        corpus: Facts of the corpus: number of genders.
        channels: Features of the convolutions.
        dilations: Dilation of each convolution.
        hidden: Features of a recurrent layer in each direction.
        attention: Features of the self-attention spaces (IAAN: 16).
        bottleneck: Features of the narrow layer of the gate.
        code: Features of the code.
        dropout: Share dropped after each convolution and of the gated vector.
        gender_weight: Weight of the gender's loss; 0: not learned.
        adversary_weight: Weight of the adversary's loss; 0: no adversary.

    Raises:
        RequestError: A size or dilation is below 1, dropout is not in [0, 1), a weight is below
            0, or the corpus states no gender and it has a weight.
    """

    uses_context = True

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        corpus: CorpusInfo,
        channels: int = 128,
        dilations: list[int] | tuple[int, ...] = (1, 2, 4),
        hidden: int = 128,
        attention: int = 16,
        bottleneck: int = 48,
        code: int = 64,
        dropout: float = 0.1,
        gender_weight: float = 0.3,
        adversary_weight: float = 0.1,
    ) -> None:
        super().__init__()
        check_sizes(channels=channels, hidden=hidden, attention=attention)
        check_sizes(bottleneck=bottleneck, code=code)
        check_dropout(dropout)
        check_weight("adversary_weight", adversary_weight)
        self.current, self.own, self.interlocutor = (
            TurnEncoder(
                DilatedConvolutions(inputs, channels, dilations, dropout),
                new_cell(channels, hidden, bidirectional=True),
                attention,
            )
            for _ in range(3)
        )
        size = 3 * self.current.output_size
        self.gate = BottleneckAttention(size, bottleneck)
        self.encode = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, code))
        self.head = nn.Linear(code, classes)
        self.tasks = TaskHeads(code, {"gender": gender_weight}, corpus)
        self.adversary_weight = adversary_weight
        self.adversary = PriorAdversary(code, code) if adversary_weight else None

    def forward(self, batch: Batch) -> Output:
        """Classify a batch; in training the losses are those of the adversary and the gender."""
        pairs = (
            (self.current, batch.current),
            (self.own, batch.own),
            (self.interlocutor, batch.interlocutor),
        )
        states = run_parallel(
            [x.recurrent.stack_pass(x.convolve(turns), lengths=turns.lengths) for x, turns in pairs]
        )
        pooled = [
            each.pool(found, turns.valid)
            for (each, turns), (found, _) in zip(pairs, states, strict=True)
        ]
        code = self.encode(self.gate(torch.cat(pooled, dim=-1)))
        logits, tasks = self.head(code), self.tasks(code, batch.criterion)
        losses = {}
        if self.adversary is not None and batch.criterion is not None:
            losses["adversary"] = self.adversary_weight * self.adversary(code)
        return Output(logits, losses | tasks)


class TurnEncoder(nn.Module):
    """Convolutions, a recurrent layer, and the attention that makes one vector of its states."""

    def __init__(
        self, convolve: DilatedConvolutions, recurrent: RecurrentLayer, attention: int
    ) -> None:
        super().__init__()
        self.convolve = convolve
        self.recurrent = recurrent
        self.output_size = recurrent.output_size
        self.pool = SelfAttention(recurrent.output_size, attention)


class DilatedConvolutions(nn.Module):
    """Convolutions over time of width 3 with growing reach, each with ReLU and dropout.

    The ends of a turn are padded with zeros at every layer, and padding of the batch is zero
    too, so that a turn gives the same in any batch.

    Args:
        inputs: Features of a step.
        channels: Features of each layer.
        dilations: Distance of the taps of each layer, in steps.
        dropout: Share dropped after each layer.

    Raises:
        RequestError: There is no layer, or a dilation is no number from 1 up.
    """

    def __init__(
        self, inputs: int, channels: int, dilations: Sequence[object], dropout: float
    ) -> None:
        super().__init__()
        real = [each for each in dilations if isinstance(each, int) and each > 0]
        if not real or len(real) < len(dilations):
            raise RequestError(f"model.dilations={list(dilations)}: must be numbers from 1 up")
        sizes = [inputs] + [channels] * len(real)
        self.layers = nn.ModuleList(
            nn.Conv1d(size, channels, 3, padding=dilation, dilation=dilation)
            for size, dilation in zip(sizes, real, strict=False)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, turns: Turns) -> Tensor:
        """Convolve turns of (B, T, inputs) into (B, T, channels)."""
        padding = ~turns.valid.unsqueeze(1)
        frames = turns.real_frames.transpose(1, 2)
        for layer in self.layers:
            frames = self.dropout(torch.relu(layer(frames))).masked_fill(padding, 0.0)
        return frames.transpose(1, 2)


class PriorAdversary(nn.Module):
    """A judge that tells codes from draws of N(0, I), and that the codes learn to mislead.

    The idea is that of the adversarial autoencoder (Makhzani et al. 2015, arXiv 1511.05644).
    There the judge and the encoder take steps in turn; here one step does both, because the
    gradient that the judge's loss sends into the codes is reversed (Ganin and Lempitsky 2015,
    arXiv 1409.7495): our choice, so that a model needs one optimiser. The noise comes from
    torch's generator.

    Args:
        size: Features of a code.
        units: Features of the judge's hidden layer.
    """

    def __init__(self, size: int, units: int) -> None:
        super().__init__()
        self.judge = nn.Sequential(nn.Linear(size, units), nn.ReLU(), nn.Linear(units, 1))

    def forward(self, codes: Tensor) -> Tensor:
        """Return the judge's cross entropy on codes (B, size) and as many draws: a scalar."""
        reversed_codes = 2 * codes.detach() - codes  # the codes, with the slope −1
        scores = self.judge(torch.cat([torch.randn_like(codes), reversed_codes])).squeeze(-1)
        drawn = torch.arange(len(scores), device=scores.device) < len(codes)
        return F.binary_cross_entropy_with_logits(scores, drawn.to(scores))
