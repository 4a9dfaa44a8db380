"""CNN14: the 14-layer network of PANNs, for transfer from audio tagging."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.models import MODELS
from sercli.models.interface import Batch, Turns
from sercli.models.parts import check_dropout, check_numbers, check_sizes, in_parts
from sercli.nn.convolution import AveragePool, BatchNorm, Convolution, Maps
from sercli.nn.init import initialise_as_keras
from sercli.nn.pooling import largest_over_time, mean_over_time

_LEAST = 32
"""Steps and features below which five halvings would leave nothing."""


@MODELS.register("cnn14")
class CNN14(nn.Module):
    """The network of Kong et al. (2020, arXiv 1912.10211) for speech emotion, without context.

    Triantafyllopoulos and Schuller (ICASSP 2021) train it from scratch or from weights of AudioSet,
    of speakers or of another corpus. Each of 64 log-mel bands is normalised over time. Six blocks
    of two convolutions of 3×3 without bias, each with batch normalisation and ReLU, are followed by
    average pooling of 2×2 in all but the last, and by dropout. The mean over frequency is pooled
    over time, as the sum of maximum and mean, and passes dropout, a dense layer with ReLU, dropout
    and the classifier. At the published size it has 79 681 988 parameters with four classes.

    The layers are named as in the official code (qiuqiangkong/audioset_tagging_cnn), so that
    ``init.file`` can load weights in its layout: Cnn14_16k, trained on AudioSet (Zenodo 3987831).
    As there, frames that fill no window of a pooling are left out. Theirs accepts no turn below 32
    frames; ours extends shorter turns, and fewer than 32 features, with zeros after the
    normalisation of the bands. Padding counts neither in the normalisation nor in the pooling over
    time; the paper does not state how the turns of a batch are cropped or padded.

    They train with SGD at 10⁻³ with Nesterov momentum 0.9 and batches of 8 for 60 epochs, by
    cross entropy weighted by inverse class frequency, and keep the best epoch on dev
    (``features=log_mel_panns features.pool=1 features.normalise=none optim=sgd optim.lr=1e-3
    optim.clip_norm=null trainer.batch_size=8 trainer.class_weights=balanced``; momentum is plain
    here). Published: UAR 68.8 % from scratch, on three levels of arousal in MSP-Podcast 1.7; no
    transfer is clearly better.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        filters: Channels of the six blocks (paper: 64, 128, 256, 512, 1024, 2048).
        hidden: Units of the dense layer (paper: 2048).
        block_dropout: Dropout probability after each block (paper: 0.2).
        dropout: Dropout probability before and after the dense layer (paper: 0.5).

    Raises:
        RequestError: A size is below 1, or a dropout is not in [0, 1).
    """

    unused_in_file = ("spectrogram_extractor.", "logmel_extractor.", "fc_audioset.")
    """Name prefixes of published tensors without counterpart: front end and classifier."""

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        filters: list[int] | tuple[int, ...] = (64, 128, 256, 512, 1024, 2048),
        hidden: int = 2048,
        block_dropout: float = 0.2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        sizes = [1, *check_numbers("filters", filters, 6)]
        check_sizes(hidden=hidden)
        check_dropout(block_dropout, "block_dropout")
        check_dropout(dropout)
        self.bn0 = BatchNorm(inputs)
        for i, (before, size) in enumerate(pairwise(sizes), 1):
            self.add_module(f"conv_block{i}", _Block(before, size, halve=i < 6))
        self.block_dropout = nn.Dropout(block_dropout)
        self.dropout = nn.Dropout(dropout)
        self.fc1 = nn.Linear(sizes[-1], hidden)
        self.head = nn.Linear(hidden, classes)
        initialise_as_keras(self)

    @staticmethod
    def name_in_file(name: str) -> str:
        """Return the name of a tensor in the published layout.

        >>> CNN14.name_in_file("conv_block1.conv1.convolve.weight")
        'conv_block1.conv1.weight'
        """
        return name.replace(".convolve.", ".")

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        return in_parts(self._classify, batch.current, training=self.training)

    def _classify(self, turns: Turns) -> Tensor:
        bands: Maps = self.bn0(Maps.over_time(turns.frames, turns.lengths))
        maps = _at_least(bands, _LEAST)
        for i in range(1, 7):
            block: nn.Module = self.get_submodule(f"conv_block{i}")
            maps = block(maps).map(self.block_dropout)
        means = Maps(maps.values.mean(dim=3), maps.lengths)
        pooled = means.pool(largest_over_time) + means.pool(mean_over_time)
        logits: Tensor = self.head(self.dropout(torch.relu(self.fc1(self.dropout(pooled)))))
        return logits


class _Block(nn.Module):
    """Two convolutions of 3×3, each with batch normalisation and ReLU, then the mean of 2×2."""

    def __init__(self, inputs: int, channels: int, *, halve: bool) -> None:
        super().__init__()
        self.conv1 = Convolution(inputs, channels, (3, 3), bias=False)
        self.conv2 = Convolution(channels, channels, (3, 3), bias=False)
        self.bn1 = BatchNorm(channels)
        self.bn2 = BatchNorm(channels)
        self.pool = AveragePool((2, 2), whole=True) if halve else nn.Identity()

    def forward(self, maps: Maps) -> Maps:
        maps = self.bn1(self.conv1(maps)).map(torch.relu_)
        maps = self.bn2(self.conv2(maps)).map(torch.relu_)
        pooled: Maps = self.pool(maps)
        return pooled


def _at_least(bands: Maps, least: int) -> Maps:
    """Return bands (B, F, T) as one map over time and frequency, with zeros up to ``least``."""
    image = bands.values.transpose(1, 2).unsqueeze(1)
    steps, features = (max(least - size, 0) for size in image.shape[2:])
    return Maps(F.pad(image, (0, features, 0, steps)), bands.lengths.clamp(min=least))
