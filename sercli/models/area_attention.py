"""Multiscale area attention after a convolutional network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.attention_pooling_cnn import ParallelThenSeries
from sercli.models.interface import Batch, Turns
from sercli.models.parts import check_dropout, check_numbers, in_parts
from sercli.nn.checks import check_one_of
from sercli.nn.convolution import Maps
from sercli.nn.init import initialise_as_keras
from sercli.nn.pooling import mean_over_time


@MODELS.register("area_attention")
class AreaAttention(nn.Module):
    """The network of Xu, Zhang, Cui and Zhang (ICASSP 2021), without context or augmentation.

    The extractor of Li et al. (2018, `ParallelThenSeries`) reads a log-mel spectrogram; its two
    parallel convolutions are joined along frequency. Every position then attends to areas of the
    maps (`AreaPooling`), and the mean of the attended maps is classified.

    As the paper describes it, an area is a rectangle of up to 3×3 positions: ``attend: map``,
    ``max_area: [3, 3]``, ``scale: true``. The released code (lessonxmk/Optimized_attention_for_SER)
    attends within each row of frequency, so that an area is up to 3 steps long and one row high,
    and does not divide the scores by √d: ``attend: rows``, ``max_area: [1, 3]``, ``scale: false``,
    the default here. The published figures are those of the code, in a random split of utterances,
    selected on test, with excited turns in place of happy ones; they do not apply to this network.

    They read 128 bands in frames of 50 ms every 25 ms, in windows of 2 s whose scores are averaged;
    flatten the attended maps into a dense layer; drop half of the attention weights, in the test
    too; and train with Adam at 10⁻⁴, 32 in a batch, on seven copies of each turn. Ours reads a
    whole turn of any length and any features, classifies the mean of the attended maps over real
    positions, drops values of that mean in training only, and has working batch normalisation.

    Args:
        classes: Number of classes.
        filters: Channels of each of the two parallel convolutions, and of the four after them
            (code: 16, 32, 48, 64, 80).
        attend: ``rows`` or ``map``. The memory of ``map`` grows with the square of all positions.
        max_area: Largest height (rows of frequency) and width (steps) of an area.
        scale: Divide scores by √d.
        dropout: Dropout probability on the mean.

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), ``attend`` is unknown, or an area
            of ``rows`` is higher than 1.
    """

    def __init__(
        self,
        *,
        classes: int,
        filters: list[int] | tuple[int, ...] = (16, 32, 48, 64, 80),
        attend: str = "rows",
        max_area: list[int] | tuple[int, ...] = (1, 3),
        scale: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_one_of("model.attend", attend, ("rows", "map"))
        check_dropout(dropout)
        height, width = check_numbers("max_area", max_area, 2)
        if attend == "rows" and height > 1:
            raise RequestError(
                f"model.max_area={list(max_area)}: attend=rows has areas of height 1; set "
                f"model.max_area=[1,{width}] or model.attend=map"
            )
        self.convolve = ParallelThenSeries(
            *check_numbers("filters", filters, 5), join_frequency=True
        )
        self.attend = AreaPooling(height, width, rows=attend == "rows", scale=scale)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.convolve.channels, classes)
        initialise_as_keras(self)

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        return in_parts(self._classify, batch.current, training=self.training)

    def _classify(self, turns: Turns) -> Tensor:
        maps = Maps.over_time_and_frequency(turns.frames, turns.lengths)
        attended = self.attend(self.convolve(maps))
        logits: Tensor = self.head(self.dropout(attended.pool(mean_over_time)))
        return logits


class AreaPooling(nn.Module):
    """Area attention (Li et al. 2019, arXiv 1810.10126) of all positions of maps to themselves.

    Every rectangle of up to ``height`` × ``width`` real positions is an item of the memory: its
    key is the mean of the positions, its value their sum. The positions are the queries.

    >>> maps = Maps.over_time_and_frequency(torch.ones(2, 5, 4), torch.tensor([5, 2]))
    >>> AreaPooling(2, 3)(maps).values.shape
    torch.Size([2, 1, 5, 4])

    Args:
        height: Largest height of an area, in rows of frequency.
        width: Largest width, in steps.
        rows: Attend within each row of frequency; ``height`` is then 1.
        scale: Divide the scores by the square root of the number of channels.
    """

    def __init__(self, height: int, width: int, *, rows: bool = False, scale: bool = False) -> None:
        super().__init__()
        self.height, self.width, self.rows, self.scale = height, width, rows, scale

    def forward(self, maps: Maps) -> Maps:
        """Attend from each position of (B, C, T, F) to all areas; the shape stays."""
        values, lengths = maps.values, maps.lengths
        steps, rows = values.shape[2:]
        padded = F.pad(values, (0, 0, 0, self.width - 1))  # every width has as many areas
        starts = torch.arange(steps, device=lengths.device)
        keys, sums, real = [], [], []
        for width in range(1, self.width + 1):
            inside = starts + width <= lengths.unsqueeze(1)
            for height in range(1, min(self.height, rows) + 1):
                mean = F.avg_pool2d(padded, (width, height), stride=1)[:, :, :steps]
                keys.append(self._items(mean))
                sums.append(self._items(width * height * mean))
                repeats = 1 if self.rows else mean.shape[3]
                real.append(inside.repeat_interleave(repeats, dim=1))
        found = F.scaled_dot_product_attention(
            self._items(values),
            torch.cat(keys, dim=2),
            torch.cat(sums, dim=2),
            attn_mask=torch.cat(real, dim=1)[:, None, None],
            scale=None if self.scale else 1.0,
        )
        return Maps(self._maps(found, values), lengths).zeroed()

    def _items(self, values: Tensor) -> Tensor:
        """Return (B, C, T, F) as (B, F, T, C), or without rows as (B, 1, T·F, C)."""
        if self.rows:
            return values.permute(0, 3, 2, 1)
        return values.flatten(2).transpose(1, 2).unsqueeze(1)

    def _maps(self, items: Tensor, like: Tensor) -> Tensor:
        """Return items as (B, C, T, F)."""
        if self.rows:
            return items.permute(0, 3, 2, 1)
        return items.squeeze(1).transpose(1, 2).view_as(like)
