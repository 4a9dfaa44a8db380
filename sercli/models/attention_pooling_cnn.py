"""Attention-pooling CNN: one map per class, pooled with one attention map."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn

from sercli.models import MODELS
from sercli.models.interface import Batch, Turns
from sercli.models.parts import check_numbers, in_parts
from sercli.nn.attention import masked_softmax, weighted_sum
from sercli.nn.checks import check_at_least, check_one_of
from sercli.nn.convolution import Convolution, ConvolutionBlock, Maps, MaxPool
from sercli.nn.pooling import mean_over_time


@MODELS.register("attention_pooling_cnn")
class AttentionPoolingCNN(nn.Module):
    """The network of Li, Song, McLoughlin, Guo and Dai (Interspeech 2018), without context.

    The input, a spectrogram, is scaled to [−1, 1] and compressed by the μ-law. Two parallel
    convolutions, of 100 Hz × 20 ms and 20 Hz × 80 ms, are followed by four of 3×3 with max pooling
    of 2×2 after the first two of these; all have a bias, batch normalisation and ReLU. A
    convolution of 1×1 computes one "top-down" map t per class, another one the "bottom-up" map of
    all classes. The logit of a class is Σ_p a_p·t_p over all positions p, with a the softmax of the
    bottom-up map. The paper takes the mean of the products, which divides all logits by the number
    of positions; ours is the sum. ``bottom_up: none`` is the mean of the products without a
    softmax, the rank-1 second-order pooling of Girdhar and Ramanan (2017), which
    re-implementations use.

    The channels are those of a re-implementation (lessonxmk/head_fusion): 93 573 parameters with
    four classes. They read 400 bins of 10 Hz (``features=spectrogram features.pool=1
    features.normalise=none``), in segments of 2 s whose scores are averaged, and train with SGD, 64
    in a batch, Nesterov momentum 0.9, weight decay 10⁻⁴ and a rate of 0.05 divided by ten at epochs
    21, 31 and 41 of 50. Ours reads a whole turn of any length and any features, each turn scaled by
    its largest absolute value (the paper does not state the range of its scaling).

    Args:
        classes: Number of classes.
        filters: Channels of each of the two parallel convolutions, and of the four after them
            (re-implementation: 8, 32, 48, 64, 80).
        bottom_up: ``softmax`` or ``none``.
        mu: μ of the μ-law (paper: 255); 0: neither scaling nor compression.

    Raises:
        RequestError: A size is below 1, μ is below 0, or ``bottom_up`` is unknown.
    """

    def __init__(
        self,
        *,
        classes: int,
        filters: list[int] | tuple[int, ...] = (8, 32, 48, 64, 80),
        bottom_up: str = "softmax",
        mu: float = 255.0,
    ) -> None:
        super().__init__()
        check_one_of("model.bottom_up", bottom_up, ("softmax", "none"))
        check_at_least("model.mu", mu, 0)
        self.mu, self.softmax = mu, bottom_up == "softmax"
        self.convolve = ParallelThenSeries(*check_numbers("filters", filters, 5))
        self.top_down = Convolution(self.convolve.channels, classes, (1, 1))
        self.bottom_up = Convolution(self.convolve.channels, 1, (1, 1))

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        return in_parts(self._classify, batch.current, training=self.training)

    def _classify(self, turns: Turns) -> Tensor:
        maps = Maps.over_time_and_frequency(turns.frames, turns.lengths)
        if self.mu:
            maps = mu_law(maps, self.mu)
        maps = self.convolve(maps)
        top_down: Maps = self.top_down(maps)
        bottom_up: Maps = self.bottom_up(maps)
        if self.softmax:
            return top_down.pool(partial(_softmax_pool, bottom_up.values))
        return top_down.map(lambda values: values * bottom_up.values).pool(mean_over_time)


def _softmax_pool(scores: Tensor, values: Tensor, valid: Tensor) -> Tensor:
    """Return the sum of values (B, P, K) weighted by the softmax of scores (B, 1, T, F)."""
    return weighted_sum(masked_softmax(scores.flatten(1), valid), values)


class ParallelThenSeries(nn.Module):
    """Convolutions of 10×2 and 2×8 (frequency × time), joined, then four of 3×3.

    Max pooling of 2×2 follows the first two of the four. The extractor of Li et al. (2018), which
    Xu et al. (2021) use too.

    Args:
        parallel: Channels of each of the first two.
        series: Channels of the others.
        join_frequency: Join the first two along frequency, not channels.

    Attributes:
        channels: Channels of the output.
    """

    def __init__(self, parallel: int, *series: int, join_frequency: bool = False) -> None:
        super().__init__()
        self.axis = 3 if join_frequency else 1
        self.channels = series[-1]
        self.tall = ConvolutionBlock(1, parallel, (2, 10), bias=True)
        self.wide = ConvolutionBlock(1, parallel, (8, 2), bias=True)
        sizes = [parallel if join_frequency else 2 * parallel, *series]
        pools = [MaxPool((2, 2)), MaxPool((2, 2)), *[None] * (len(series) - 2)]
        self.series = nn.Sequential(
            *(
                ConvolutionBlock(before, size, (3, 3), bias=True, pool=pool)
                for before, size, pool in zip(sizes, series, pools, strict=False)
            )
        )

    def forward(self, maps: Maps) -> Maps:
        """Convolve (B, 1, T, F) into (B, channels, ⌈T / 4⌉, ⌈F / 4⌉), or twice as many rows."""
        both = [self.tall(maps).values, self.wide(maps).values]
        found: Maps = self.series(Maps(torch.cat(both, self.axis), maps.lengths))
        return found


def mu_law(maps: Maps, mu: float) -> Maps:
    """Scale each turn to [−1, 1] and compress it: sgn(x)·ln(1 + μ|x|) / ln(1 + μ).

    A turn is divided by its largest absolute value; one of zeros stays as it is.

    >>> maps = Maps(torch.tensor([[[-4.0, 0.0, 2.0, 4.0]]]), torch.tensor([4]))
    >>> mu_law(maps, 255.0).values
    tensor([[[-1.0000,  0.0000,  0.8757,  1.0000]]])
    """
    largest = maps.map(torch.abs).values.flatten(1).amax(dim=1).clamp(min=1e-30)
    scale = largest.view(-1, *[1] * (maps.values.dim() - 1))
    return maps.map(lambda x: x.sign() * torch.log1p(mu * x.abs() / scale) / math.log1p(mu))
