"""MAEC: multi-instance attention over three turns, with an adversarial prior on the code."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.models import MODELS
from sercli.models.adversary import discriminator, reverse_gradient
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, CorpusInfo, Output, Turns
from sercli.models.parts import TaskHeads, check_dropout, check_sizes, check_weight
from sercli.nn import run_parallel
from sercli.nn.convolution import Convolution, Maps
from sercli.nn.pooling import mean_over_time


@MODELS.register("maec")
class MAEC(nn.Module):
    """The multi-instance adversarial classifier of Fu, Liu, Ishi and Ishiguro (ICASSP 2021).

    It reads the current turn, the previous one of the same speaker and that of the interlocutor,
    by one encoder (our reading). A window of five frames around each frame is an instance:

    - `DilatedBlock` maps each instance to h_i; from these, a dense layer computes the queries BT
      and a bidirectional layer the keys;
    - HF = pool(A) ∘ pool(Key), where A is the attention of BT over the keys;
    - Z = [HF_cur ∘ PI; HF_cur] with PI = softmax(HF_own ∘ HF_int) over the features;
    - a dense layer of Z classifies the emotion, another the gender, and in training
      `PriorAdversary` draws Z towards N(0, I). There is no decoder. ``adversary_weight=0`` is their
      ablation MEC.

    They read IAAN's 45 descriptors unpooled (``features.pool=1``), so that an instance is 50 ms;
    with the default of five pooled frames it is 250 ms. They count frustration as sadness
    (``dataset=iemocap_sad_fru``), divide at random, so that speakers are in train and test, and
    train by Adam with ``optim.lr=1e-4 trainer.batch_size=32``. It is theirs with ``cell=gru
    activation=tanh``.

    Our choices, where our source is silent: scaled products as attention scores; the mean over
    time as pooling; ReLU; zero padding of instances at the ends of a turn; dropout, 0 by default;
    the width of the adversary.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        corpus: Facts of the corpus: number of genders.
        filters: Features of the first two convolutions (paper: 512).
        channels: Features of h_i (paper: 128).
        hidden: Features of the recurrent layer in each direction (paper: 256); the queries have
            those of both (paper: 512).
        adversary_units: Hidden units of the adversary.
        dropout: Dropout probability on h_i.
        gender_weight: Weight of the gender loss (paper: 1); 0: not learned.
        adversary_weight: Weight of the adversarial loss (paper: 1); 0: no adversary.

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), a weight is below 0, or the
            corpus states no gender while ``gender_weight`` is above 0.
    """

    uses_context = True

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        corpus: CorpusInfo,
        filters: int = 512,
        channels: int = 128,
        hidden: int = 256,
        adversary_units: int = 512,
        dropout: float = 0.0,
        gender_weight: float = 1.0,
        adversary_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_sizes(filters=filters, channels=channels, hidden=hidden)
        check_sizes(adversary_units=adversary_units)
        check_dropout(dropout)
        check_weight("adversary_weight", adversary_weight)
        self.convolve = DilatedBlock(inputs, filters, channels)
        self.dropout = nn.Dropout(dropout)
        self.keys = new_cell(channels, hidden, bidirectional=True)
        size = self.keys.output_size
        self.queries = nn.Linear(channels, size)
        self.head = nn.Linear(2 * size, classes)
        self.tasks = TaskHeads(2 * size, {"gender": gender_weight}, corpus)
        self.adversary_weight = adversary_weight
        self.prior = PriorAdversary(2 * size, adversary_units) if adversary_weight else None

    def forward(self, batch: Batch) -> Output:
        """Classify a batch; in training, return the adversarial and the gender loss too."""
        current, own, interlocutor = self._encode(batch.current, batch.own, batch.interlocutor)
        interaction = (own * interlocutor).softmax(dim=-1)
        code = torch.cat([current * interaction, current], dim=-1)
        losses = {}
        if self.prior is not None and batch.criterion is not None:
            losses["adversary"] = self.adversary_weight * self.prior(code)
        return Output(self.head(code), losses | self.tasks(code, batch.criterion))

    def _encode(self, *turns: Turns) -> list[Tensor]:
        """Return the vector HF of each turn, (B, 2·hidden)."""
        instances = [
            self.convolve(Maps.over_time(each.frames, each.lengths)).map(self.dropout)
            for each in turns
        ]
        passes = [self.keys.stack_pass(each.steps, lengths=each.lengths) for each in instances]
        return [
            self._attend(self.queries(each.steps), keys, each.valid)
            for each, (keys, _) in zip(instances, run_parallel(passes), strict=True)
        ]

    @staticmethod
    def _attend(queries: Tensor, keys: Tensor, valid: Tensor) -> Tensor:
        query, key = queries.unsqueeze(1), keys.unsqueeze(1)  # one head: less memory
        attended = F.scaled_dot_product_attention(query, key, key, valid[:, None, None])
        return mean_over_time(attended.squeeze(1), valid) * mean_over_time(keys, valid)


class DilatedBlock(nn.Module):
    """Three convolutions over time with a convolutional shortcut, ReLU after each.

    The kernels are 1, 3 and 1; the middle one has a dilation of 2, so that the receptive field is
    five steps. The shortcut has kernel 1 (our choice) and is added before the last ReLU.

    Args:
        inputs: Features of a step.
        filters: Features of the first two layers.
        channels: Features of the output.
    """

    def __init__(self, inputs: int, filters: int, channels: int) -> None:
        super().__init__()
        self.first = Convolution(inputs, filters, 1)
        self.dilated = Convolution(filters, filters, 3, dilation=2)
        self.last = Convolution(filters, channels, 1)
        self.shortcut = Convolution(inputs, channels, 1)

    def forward(self, maps: Maps) -> Maps:
        """Convolve (B, inputs, T) into (B, channels, T)."""
        inner = self.first(maps).map(torch.relu)
        outer = self.last(self.dilated(inner).map(torch.relu))
        return Maps(outer.values + self.shortcut(maps).values, maps.lengths).map(torch.relu)


class PriorAdversary(nn.Module):
    """A discriminator between codes Z and samples E of N(0, I), trained against the encoder.

    The discriminator minimises −E[log D(E)] − E[log(1 − D(Z))], the encoder E[log(1 − D(Z))]. The
    authors alternate between the two; here a gradient reversal (Ganin and Lempitsky 2015, arXiv
    1409.7495) on the codes does both in one step, so that a model needs one optimiser (our
    choice). Samples are drawn with torch's global generator.

    Args:
        size: Features of a code.
        units: Features of the hidden layer.
    """

    def __init__(self, size: int, units: int) -> None:
        super().__init__()
        self.discriminator = discriminator(size, units, 1)

    def forward(self, codes: Tensor) -> Tensor:
        """Return the loss of the discriminator on codes (B, size) and as many samples: a scalar."""
        samples = self.discriminator(torch.randn_like(codes))
        found = self.discriminator(reverse_gradient(codes, 1.0))
        return F.softplus(-samples).mean() + F.softplus(found).mean()
