"""Large-kernel CNN: depth-wise convolutions over half a second and more."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.interface import Batch
from sercli.models.parts import check_dropout, check_numbers
from sercli.nn.convolution import BatchNorm, Convolution, ConvolutionBlock, Maps
from sercli.nn.pooling import mean_over_time

_SMALL = 5
"""Steps of the parallel small kernel."""


@MODELS.register("large_kernel_cnn")
class LargeKernelCNN(nn.Module):
    """Our reading of a vision paper: RepLKNet (Ding et al., CVPR 2022) in one dimension.

    The paper has no figure on speech. Its blocks are taken over, with convolutions over time; the
    channels of the input are the features of a step. A stage is a convolution of width 3 and stride
    2, which halves the number of steps, and blocks of a `LargeKernelBlock` and a `FeedForward`. The
    mean over time is classified. Sizes, the number of stages and the mean are our choices; the
    paper has stages of 2, 2, 18 and 2 blocks with 128 to 1 024 channels, kernels of 31, 29, 27 and
    13, and stochastic depth of up to 0.3.

    It is meant for ``features=log_mel features.pool=1``; it reads any features.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        channels: Channels of each stage.
        blocks: Blocks of each stage.
        kernels: Steps of the large kernel of each stage, odd.
        branch_dropout: Probability of leaving out a branch for a turn (stochastic depth).
        dropout: Dropout probability on the mean.

    Raises:
        RequestError: A size is below 1, a kernel is even, the lists differ in length, or a
            probability is not in [0, 1).
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        channels: list[int] | tuple[int, ...] = (64, 128),
        blocks: list[int] | tuple[int, ...] = (2, 2),
        kernels: list[int] | tuple[int, ...] = (31, 13),
        branch_dropout: float = 0.1,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        check_dropout(dropout)
        check_dropout(branch_dropout, "branch_dropout")
        sizes = check_numbers("channels", channels)
        counts = check_numbers("blocks", blocks, len(sizes))
        reaches = check_numbers("kernels", kernels, len(sizes))
        if even := [each for each in reaches if each % 2 == 0]:
            raise RequestError(f"model.kernels={list(kernels)}: must be odd, and {even[0]} is not")
        self.stages = nn.Sequential(
            *(
                _stage(*each, branch_dropout=branch_dropout)
                for each in zip([inputs, *sizes], sizes, counts, reaches, strict=False)
            )
        )
        self.norm = BatchNorm(sizes[-1])
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(sizes[-1], classes)

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        maps = Maps.over_time(batch.current.frames, batch.current.lengths)
        pooled = self.norm(self.stages(maps)).pool(mean_over_time)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


def _stage(
    inputs: int, channels: int, blocks: int, kernel: int, *, branch_dropout: float
) -> nn.Sequential:
    layers: list[nn.Module] = [ConvolutionBlock(inputs, channels, 3, stride=2)]
    for _ in range(blocks):
        layers += [
            Shortcut(LargeKernelBlock(channels, kernel), branch_dropout),
            Shortcut(FeedForward(channels), branch_dropout),
        ]
    return nn.Sequential(*layers)


class Shortcut(nn.Module):
    """A branch beside a shortcut, left out for some turns in training (stochastic depth).

    Args:
        branch: Layers from maps to maps of the same shape.
        share: Probability that it is left out for a turn; else it is scaled by 1 / (1 − share).
    """

    def __init__(self, branch: nn.Module, share: float) -> None:
        super().__init__()
        self.branch, self.share = branch, share

    def forward(self, maps: Maps) -> Maps:
        """Add the branch to (B, C, T)."""
        values = self.branch(maps).values
        if self.training and self.share:
            kept = torch.rand(len(values), 1, 1, device=values.device) >= self.share
            values = values * (kept / (1 - self.share))
        return Maps(maps.values + values, maps.lengths)


class LargeKernelBlock(nn.Module):
    """Normalisation, 1×1 with ReLU, the large kernel with ReLU, 1×1 (RepLK block).

    Args:
        channels: Channels C.
        kernel: Steps of the large kernel.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.norm = BatchNorm(channels)
        self.before = ConvolutionBlock(channels, channels, 1)
        self.large = LargeKernel(channels, kernel)
        self.after = Convolution(channels, channels, 1, bias=False)
        self.after_norm = BatchNorm(channels)

    def forward(self, maps: Maps) -> Maps:
        """Map (B, C, T) to the same shape."""
        large = self.large(self.before(self.norm(maps))).map(torch.relu)
        found: Maps = self.after_norm(self.after(large))
        return found


class LargeKernel(nn.Module):
    """A depth-wise convolution of ``kernel`` steps and one of five, each normalised, added.

    In evaluation both are merged into one equal convolution of ``kernel`` steps with a bias.

    >>> layer, maps = LargeKernel(8, 31), Maps.over_time(torch.ones(2, 9, 8), torch.tensor([9, 4]))
    >>> layer(maps).values.shape
    torch.Size([2, 8, 9])

    Args:
        channels: Channels C.
        kernel: Steps of the large kernel, odd.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.large = Convolution(channels, channels, kernel, groups=channels, bias=False)
        self.large_norm = BatchNorm(channels)
        size = min(_SMALL, kernel)
        self.small = Convolution(channels, channels, size, groups=channels, bias=False)
        self.small_norm = BatchNorm(channels)

    def forward(self, maps: Maps) -> Maps:
        """Convolve (B, C, T) into the same shape."""
        if self.training:
            large = self.large_norm(self.large(maps))
            small = self.small_norm(self.small(maps))
            return Maps(large.values + small.values, maps.lengths)
        weight, bias = self.merged()
        reach = weight.shape[-1] // 2
        values = F.conv1d(maps.values, weight, bias, padding=reach, groups=len(weight))
        return Maps(values, maps.lengths).zeroed()

    def merged(self) -> tuple[Tensor, Tensor]:
        """Return weight (C, 1, kernel) and bias (C,) of the convolution that equals both."""
        large, large_bias = _folded(self.large, self.large_norm)
        small, small_bias = _folded(self.small, self.small_norm)
        around = (large.shape[-1] - small.shape[-1]) // 2
        return large + F.pad(small, (around, around)), large_bias + small_bias


def _folded(convolution: Convolution, norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """Return the weight and the bias of a convolution, batch normalisation folded in."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return convolution.weight * scale.view(-1, 1, 1), norm.bias - norm.running_mean * scale


class FeedForward(nn.Module):
    """Normalisation, 1×1 to four times the channels with GELU, 1×1 back (ConvFFN).

    Args:
        channels: Channels C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = BatchNorm(channels)
        self.widen = Convolution(channels, 4 * channels, 1, bias=False)
        self.wide_norm = BatchNorm(4 * channels)
        self.narrow = Convolution(4 * channels, channels, 1, bias=False)
        self.narrow_norm = BatchNorm(channels)

    def forward(self, maps: Maps) -> Maps:
        """Map (B, C, T) to the same shape."""
        wide = self.wide_norm(self.widen(self.norm(maps))).map(F.gelu)
        found: Maps = self.narrow_norm(self.narrow(wide))
        return found
