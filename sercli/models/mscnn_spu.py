"""MSCNN-SPU: parallel convolutions over time and statistics pooling, on audio alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.interface import Batch, Turns
from sercli.models.parts import check_dropout, check_numbers, check_sizes, dense
from sercli.nn.checks import check_one_of
from sercli.nn.convolution import Convolution, Maps
from sercli.nn.pooling import Pooling, deviation_over_time, largest_over_time, mean_over_time

STATISTICS: dict[str, Pooling] = {
    "max": largest_over_time,
    "mean": mean_over_time,
    "std": deviation_over_time,
}


@MODELS.register("mscnn_spu")
class MultiscaleStatistics(nn.Module):
    """The audio branch of Peng, Lu, Pan and Liu (ICASSP 2021, arXiv 2106.04133), without context.

    Four parallel convolutions of 5, 7, 9 and 11 frames over all features, each with 128 filters and
    ReLU; the maximum, the mean and the standard deviation of every filter over time, 1 536
    numbers at the published size; dropout; two dense layers. They read 96 MFCCs of 7.5 s (the
    paper does not mention deltas), and train with Adam at 5·10⁻⁴ in batches of 64, with the
    gradient clipped to a norm of 1.

    Ours: any features and any length, padding masked; the size of the dense layer; no x-vector.
    Their text branch and its attention are left out (`MultiscaleAttention` has them), so that no
    figure of the paper applies to this network.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        kernels: Frames of each convolution (paper: 5, 7, 9, 11).
        filters: Filters of each convolution (paper: 128).
        statistics: Among ``max``, ``mean`` and ``std`` over time.
        dense_units: Features of the dense layer before the classifier (our choice: 128).
        dropout: Dropout probability on the statistics (paper: 0.3).

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), or a statistic is unknown.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        kernels: list[int] | tuple[int, ...] = (5, 7, 9, 11),
        filters: int = 128,
        statistics: list[str] | tuple[str, ...] = tuple(STATISTICS),
        dense_units: int = 128,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        check_sizes(filters=filters, dense_units=dense_units)
        check_dropout(dropout)
        self.poolings = check_statistics(statistics)
        self.convolutions = Scales(inputs, filters, check_numbers("kernels", kernels))
        pooled = filters * len(self.convolutions) * len(self.poolings)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Sequential(dense(pooled, dense_units), nn.Linear(dense_units, classes))

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        logits: Tensor = self.head(self.dropout(self._statistics(batch)))
        return logits

    def _statistics(self, batch: Batch) -> Tensor:
        """Return the statistics of all filters, (B, filters · kernels · statistics)."""
        convolved = self.convolutions(batch.current)
        return torch.cat([each.pool(pool) for each in convolved for pool in self.poolings], dim=-1)


class Scales(nn.ModuleList):
    """Parallel convolutions over time and all features, with ReLU.

    Args:
        inputs: Features of a step.
        filters: Filters of each convolution.
        kernels: Steps of each convolution.
    """

    def __init__(self, inputs: int, filters: int, kernels: Sequence[int]) -> None:
        super().__init__(Convolution(inputs, filters, kernel) for kernel in kernels)

    def forward(self, turns: Turns) -> list[Maps]:
        """Return the maps of each convolution, (B, filters, T)."""
        maps = Maps.over_time(turns.frames, turns.lengths)
        return [convolve(maps).map(torch.relu) for convolve in self]


def check_statistics(statistics: Sequence[str]) -> list[Pooling]:
    """Return the poolings of ``model.statistics``, or refuse them.

    Raises:
        RequestError: There is none, one occurs twice, or one is unknown.
    """
    if not statistics or len(set(statistics)) < len(statistics):
        raise RequestError(
            f"model.statistics={list(statistics)}: must be some of {', '.join(STATISTICS)}, "
            "each once"
        )
    for name in statistics:
        check_one_of("model.statistics", name, tuple(STATISTICS))
    return [STATISTICS[name] for name in statistics]
