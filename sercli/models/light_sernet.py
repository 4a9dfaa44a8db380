"""LIGHT-SERNET: a small convolutional network over time and cepstral axis."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.models import MODELS
from sercli.models.interface import Batch, Output, Turns
from sercli.models.parts import central_crop, check_dropout, check_numbers, in_parts
from sercli.nn.checks import check_at_least
from sercli.nn.convolution import AveragePool, ConvolutionBlock, Maps
from sercli.nn.init import initialise_as_keras
from sercli.nn.pooling import mean_over_time

_PATHS = ((11, 1), (1, 9), (3, 3))
"""Kernels of the parallel paths, over (time, coefficients)."""

_WINDOWS = ((2, 2), (2, 2), (2, 1), (2, 1))
"""Windows of the average pooling after the convolutions in series."""


@MODELS.register("light_sernet")
class LightSERNet(nn.Module):
    """The network of Aftab, Morsali, Ghaemmaghami and Champagne (ICASSP 2022), without context.

    Three parallel convolutions with a bias read the features as a map over time and coefficients:
    11×1 over time, 1×9 over coefficients, 3×3; each is followed by batch normalisation, ReLU and
    average pooling of 2×2. Their concatenated maps pass four convolutions of 3×3, each with batch
    normalisation, ReLU and average pooling (2×2, 2×2, 2×1, 2×1), and one of 1×1 without pooling.
    The mean over all positions passes dropout and the classifier. At the published size it has
    460 740 parameters with four classes. Sizes and training are those of the official code
    (AryaAftab/LIGHT-SERNET).

    They read 40 MFCCs from 128 bands, clipped at ±10, in frames of 64 ms every 16 ms, of the
    central 3 or 7 s of a turn, padded with silence. Ours reads any features; a turn may have any
    length, and padding counts neither in the normalisation nor in the mean. They train with Adam
    at 10⁻⁴ and batches of 32 for 300 epochs, by cross entropy or focal loss with γ = 2
    (``trainer.focal_gamma``), and keep the epoch that is best on the test fold.

    Args:
        classes: Number of classes.
        filters: Channels of each path, of the four convolutions and of the last one
            (paper: 32, 64, 96, 128, 160, 320).
        dropout: Dropout probability before the classifier (paper: 0.3).
        l2: Penalty λ·Σw² on the kernels of the five convolutions in series (code: 10⁻⁶).
        crop: Number of steps to keep in the middle of a turn; 0: all.

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), or the penalty or the crop is
            below 0.
    """

    def __init__(
        self,
        *,
        classes: int,
        filters: list[int] | tuple[int, ...] = (32, 64, 96, 128, 160, 320),
        dropout: float = 0.3,
        l2: float = 1e-6,
        crop: int = 0,
    ) -> None:
        super().__init__()
        path, *series, last = check_numbers("filters", filters, 6)
        check_dropout(dropout)
        check_at_least("model.l2", l2, 0)
        check_at_least("model.crop", crop, 0)
        self.crop, self.l2 = crop, l2
        self.paths = nn.ModuleList(_block(1, path, kernel, (2, 2), bias=True) for kernel in _PATHS)
        sizes = [len(_PATHS) * path, *series]
        self.series = nn.Sequential(
            *(
                _block(before, size, (3, 3), window)
                for before, size, window in zip(sizes, series, _WINDOWS, strict=False)
            ),
            _block(series[-1], last, (1, 1)),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(last, classes)
        initialise_as_keras(self)

    def forward(self, batch: Batch) -> Output:
        """Classify a batch; in training, return the penalty on the kernels too."""
        turns = central_crop(batch.current, self.crop) if self.crop else batch.current
        logits = in_parts(self._classify, turns, training=self.training)
        penalised = self.l2 > 0 and batch.criterion is not None
        return Output(logits, {"l2": self.l2 * self._squares()} if penalised else {})

    def _classify(self, turns: Turns) -> Tensor:
        image = Maps.over_time_and_frequency(turns.frames, turns.lengths)
        paths = [path(image) for path in self.paths]
        joined = Maps(torch.cat([each.values for each in paths], 1), paths[0].lengths)
        maps: Maps = self.series(joined)
        logits: Tensor = self.head(self.dropout(maps.pool(mean_over_time)))
        return logits

    def _squares(self) -> Tensor:
        kernels = [
            block.convolution.weight for block in self.series if isinstance(block, ConvolutionBlock)
        ]
        return torch.stack([kernel.square().sum() for kernel in kernels]).sum()


def _block(
    inputs: int,
    channels: int,
    kernel: tuple[int, int],
    window: tuple[int, int] | None = None,
    *,
    bias: bool = False,
) -> ConvolutionBlock:
    """Return a block with ε and momentum of Keras' batch normalisation."""
    pool = AveragePool(window) if window else None
    return ConvolutionBlock(inputs, channels, kernel, bias=bias, pool=pool, eps=1e-3, momentum=0.01)
