"""Convolutions, batch normalisation and pooling over padded turns, unaffected by the padding.

Each layer maps `Maps` to `Maps`, so that ``nn.Sequential`` stacks them. The values after the end of
a turn are zero at the input and output of each layer, as is the padding of a convolution over a
single turn. A turn therefore has the same output alone and in any batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.nn.pooling import Pooling, valid_steps

Kernel = int | tuple[int, int]
"""Size over time; or over time and frequency."""


@dataclass(frozen=True)
class Maps:
    """Feature maps of a padded batch of turns, zero after the end of a turn.

    >>> import torch
    >>> frames, lengths = torch.ones(2, 3, 40), torch.tensor([3, 1])
    >>> Maps.over_time(frames, lengths).values.shape
    torch.Size([2, 40, 3])
    >>> Maps.over_time_and_frequency(frames, lengths).values.shape
    torch.Size([2, 1, 3, 40])

    Attributes:
        values: (B, C, T) or (B, C, T, F).
        lengths: Number of real steps of each turn, (B,), each 1 or more.
    """

    values: Tensor
    lengths: Tensor

    @classmethod
    def over_time(cls, frames: Tensor, lengths: Tensor) -> Maps:
        """Return frames (B, T, features) as maps over time, (B, features, T)."""
        return cls(frames.transpose(1, 2), lengths).zeroed()

    @classmethod
    def over_time_and_frequency(cls, frames: Tensor, lengths: Tensor) -> Maps:
        """Return frames (B, T, features) as one map over time and frequency, (B, 1, T, F)."""
        return cls(frames.unsqueeze(1), lengths).zeroed()

    @property
    def valid(self) -> Tensor:
        """Boolean (B, T), true where a step is real."""
        return valid_steps(self.lengths, self.values.shape[2])

    @property
    def padding(self) -> Tensor:
        """Boolean (B, 1, T) or (B, 1, T, 1), true after the end of a turn."""
        return self.unsqueezed(~self.valid)

    @property
    def steps(self) -> Tensor:
        """The values of each step, (B, T, C) or (B, T, C·F)."""
        return self.values.transpose(1, 2).flatten(2)

    @property
    def positions(self) -> int:
        """The number of positions per step: F, or 1 for maps over time."""
        return self.values.shape[3] if self.values.dim() == 4 else 1

    def unsqueezed(self, steps: Tensor) -> Tensor:
        """Return one value per step, (B, T), as (B, 1, T) or (B, 1, T, 1), to broadcast to maps."""
        shaped = steps.unsqueeze(1)
        return shaped.unsqueeze(-1) if self.values.dim() == 4 else shaped

    def zeroed(self) -> Maps:
        """Return the maps with zeros after the end of each turn."""
        return Maps(self.values.masked_fill(self.padding, 0.0), self.lengths)

    def map(self, function: Callable[[Tensor], Tensor]) -> Maps:
        """Apply an elementwise function with f(0) = 0, such as ReLU or dropout."""
        return Maps(function(self.values), self.lengths)

    def pool(self, pooling: Pooling) -> Tensor:
        """Pool over all real positions: (B, C).

        >>> from sercli.nn.pooling import mean_over_time
        >>> frames, lengths = torch.ones(2, 3, 40), torch.tensor([3, 1])
        >>> Maps.over_time_and_frequency(frames, lengths).pool(mean_over_time)
        tensor([[1.],
                [1.]])

        Args:
            pooling: A function of `sercli.nn.pooling`, or an attention.
        """
        positions = self.values.flatten(2).transpose(1, 2)
        return pooling(positions, self.valid.repeat_interleave(self.positions, dim=1))


class Convolution(nn.Module):
    """A convolution over time, or over time and frequency, with zeros around each turn.

    An output step is centred on its input step; an even kernel reads one step more after it than
    before it, as TensorFlow's ``same`` does. With a stride of s over time, a turn of L steps has
    ⌈L / s⌉ output steps, those at 0, s, 2s, …, so that it is never empty.

    >>> frames, lengths = torch.ones(2, 5, 40), torch.tensor([5, 2])
    >>> out = Convolution(40, 8, 3, stride=2)(Maps.over_time(frames, lengths))
    >>> out.values.shape, out.lengths
    (torch.Size([2, 8, 3]), tensor([3, 1]))
    >>> maps = Maps.over_time_and_frequency(frames, lengths)
    >>> Convolution(1, 8, (3, 9))(maps).values.shape
    torch.Size([2, 8, 5, 40])

    Args:
        inputs: Channels of the input.
        channels: Channels of the output.
        kernel: Kernel size over time, or (time, frequency).
        stride: Steps between outputs, over time.
        dilation: Steps between the taps, over time.
        groups: Groups of channels; ``inputs``: depth-wise.
        bias: Add a bias.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        kernel: Kernel,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.stride = stride
        sizes = (kernel,) if isinstance(kernel, int) else kernel
        reach = [(sizes[0] - 1) * dilation, *(size - 1 for size in sizes[1:])]
        odd = [each % 2 for each in reach]
        self._after = [n for each in reversed(odd) for n in (0, each)] if any(odd) else []
        ones = [1] * (len(sizes) - 1)
        layer: Any = nn.Conv1d if isinstance(kernel, int) else nn.Conv2d
        self.convolve: nn.Module = layer(
            inputs,
            channels,
            sizes,
            stride=(stride, *ones),
            padding=[each // 2 for each in reach],
            dilation=(dilation, *ones),
            groups=groups,
            bias=bias,
        )

    @property
    def weight(self) -> Tensor:
        """The kernel, (channels, inputs / groups, time[, frequency])."""
        return cast("Tensor", self.convolve.weight)

    def forward(self, maps: Maps) -> Maps:
        """Convolve (B, inputs, T[, F]) into (B, channels, ⌈T / stride⌉[, F])."""
        values = F.pad(maps.values, self._after) if self._after else maps.values
        return _zero(self.convolve(values), shortened(maps.lengths, self.stride))


class BatchNorm(nn.Module):
    """Batch normalisation of each channel, with the statistics of real positions only.

    In evaluation it uses running averages of mean and unbiased variance, as torch's layers do. The
    first n batches have the weight 1/n until that is below ``momentum`` (our choice), so that the
    averages of a short training are its own and not the initial 0 and 1.

    >>> norm = BatchNorm(1).train()
    >>> frames = torch.tensor([[[1.0], [3.0]], [[5.0], [7.0]]])  # the last step is padding
    >>> norm(Maps.over_time(frames, torch.tensor([2, 1]))).values.detach().squeeze(1)
    tensor([[-1.2247,  0.0000],
            [ 1.2247,  0.0000]])
    >>> norm.running_mean, norm.running_var
    (tensor([3.]), tensor([4.]))

    Args:
        channels: Channels C.
        eps: Added to the variance (Keras: 1e-3).
        momentum: Weight of a batch in the running averages (Keras: 0.01, there called 0.99).
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0.0))

    def forward(self, maps: Maps) -> Maps:
        """Normalise (B, C, T[, F])."""
        if maps.values.dtype in (torch.bfloat16, torch.float16):
            maps = maps.map(Tensor.float)
        if self.training:
            return self._by_batch(maps)
        values = F.batch_norm(
            maps.values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )
        return _zero(values, maps.lengths)

    def _by_batch(self, maps: Maps) -> Maps:
        real = maps.lengths.sum() * maps.positions
        share = real.double() / maps.values[:, 0].numel()
        values, mean, variance = _NormaliseByBatch.apply(  # type: ignore[no-untyped-call]
            maps.values, self.weight, self.bias, maps.padding, share, self.eps
        )
        self._average(mean, variance * (real / (real - 1).clamp(min=1)))
        return Maps(values, maps.lengths)

    @torch.no_grad()
    def _average(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked.add_(1)
        weight = self.num_batches_tracked.reciprocal().clamp(min=self.momentum)
        self.running_mean.lerp_(mean.to(weight.dtype), weight)
        self.running_var.lerp_(variance.to(weight.dtype), weight)


class _NormaliseByBatch(torch.autograd.Function):
    """Batch normalisation in training by torch's kernels, with their results corrected for padding.

    The kernels include the zeros of the padding. The mean of the real positions is the mean of all
    divided by the share of real ones; the variance and the gradients, which are divided by the
    number of all positions, are corrected likewise. In plain operations of torch a step of
    LIGHT-SERNET takes 1.3 times as long.
    """

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        weight: Tensor,
        bias: Tensor,
        padding: Tensor,
        share: Tensor,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return normalised values, the mean and the biased variance of real positions."""
        _, of_all, inverse = torch.native_batch_norm(
            values, None, None, None, None, training=True, momentum=0.0, eps=eps
        )
        of_all, inverse = of_all.double(), inverse.double()
        mean = of_all / share
        squares = inverse.pow(-2) - eps + (mean - of_all).square() - (1 - share) * mean.square()
        variance = (squares / share).clamp(min=0)
        mean, variance = mean.to(values.dtype), variance.to(values.dtype)
        ctx.save_for_backward(values, weight, padding, share, mean, (variance + eps).rsqrt())
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        normalised = F.batch_norm(values, mean, variance, weight, bias, eps=eps)
        return normalised.masked_fill_(padding, 0.0), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of values, weight and bias."""
        values, weight, padding, share, mean, inverse = ctx.saved_tensors
        gradient = gradients[0].masked_fill(padding, 0.0)
        of_all, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            *(gradient, values, weight, None, None, mean, inverse, True, ctx.eps),
            (True, True, True),
        )
        factor = ((1 - 1 / share) * weight * inverse).to(values.dtype)
        shape = (1, -1, *[1] * (values.dim() - 2))
        of_values = (of_all / share.to(values.dtype)).addcmul_(gradient, factor.view(shape))
        return of_values, of_weight, of_bias, None, None, None


class AveragePool(nn.Module):
    """The mean of each window over time and frequency; windows do not overlap.

    A turn of L steps has ⌈L / s⌉ output steps for a window of s. The last is the mean of the real
    positions in its window, as in ``AveragePooling2D(padding="same")`` of Keras. With ``whole`` it
    has ⌊L / s⌋, and positions after the last whole window are left out, as in torch's
    ``AvgPool2d``; a turn needs a whole window then.

    >>> maps = Maps.over_time(torch.tensor([[[1.0], [3.0], [5.0], [7.0]]]), torch.tensor([3]))
    >>> pooled = AveragePool(2)(maps)
    >>> pooled.values, pooled.lengths
    (tensor([[[2., 5.]]]), tensor([2]))
    >>> AveragePool(2, whole=True)(maps).values
    tensor([[[2., 0.]]])

    Args:
        window: Window size over time, or (time, frequency).
        whole: Leave out the last window of a turn, and of the frequencies, if it is not whole.
    """

    def __init__(self, window: Kernel, *, whole: bool = False) -> None:
        super().__init__()
        self.window, self.whole = window, whole

    def forward(self, maps: Maps) -> Maps:
        """Pool (B, C, T[, F]) into (B, C, ⌈T / time⌉[, ⌈F / frequency⌉]), or ⌊…⌋ if whole."""
        pool = F.avg_pool1d if isinstance(self.window, int) else F.avg_pool2d
        if self.whole:
            left = torch.div(maps.lengths, _over_time(self.window), rounding_mode="floor")
            return _zero(pool(maps.values, self.window), left)
        values = pool(maps.values, self.window, ceil_mode=True, count_include_pad=False)
        size = _over_time(self.window)
        starts = size * torch.arange(values.shape[2], device=values.device)
        taken = (maps.values.shape[2] - starts).clamp(max=size)
        real = (maps.lengths.unsqueeze(1) - starts).clamp(min=1, max=size)
        left = shortened(maps.lengths, size)
        factor = (taken / real).masked_fill(~valid_steps(left, values.shape[2]), 0.0)
        return Maps(values * maps.unsqueezed(factor.to(values.dtype)), left)


class MaxPool(nn.Module):
    """The largest real value of each window over time and frequency; windows do not overlap.

    >>> maps = Maps.over_time(-torch.tensor([[[1.0], [3.0], [5.0], [7.0]]]), torch.tensor([3]))
    >>> MaxPool(2)(maps).values
    tensor([[[-1., -5.]]])

    Args:
        window: Window size over time, or (time, frequency).
    """

    def __init__(self, window: Kernel) -> None:
        super().__init__()
        self.window = window

    def forward(self, maps: Maps) -> Maps:
        """Pool (B, C, T[, F]) into (B, C, ⌈T / time⌉[, ⌈F / frequency⌉])."""
        pool = F.max_pool1d if isinstance(self.window, int) else F.max_pool2d
        real = maps.values.masked_fill(maps.padding, -torch.inf)
        values = pool(real, self.window, ceil_mode=True)
        return _zero(values, shortened(maps.lengths, _over_time(self.window)))


class ConvolutionBlock(nn.Module):
    """A convolution, batch normalisation, ReLU and optional pooling.

    >>> frames, lengths = torch.ones(2, 5, 40), torch.tensor([5, 2])
    >>> block = ConvolutionBlock(1, 8, (3, 3), pool=MaxPool((2, 2)))
    >>> block(Maps.over_time_and_frequency(frames, lengths)).values.shape
    torch.Size([2, 8, 3, 20])

    Args:
        inputs: Channels of the input.
        channels: Channels of the output.
        kernel: Kernel size over time, or (time, frequency).
        stride: Steps between outputs, over time.
        bias: Add a bias to the convolution.
        pool: The pooling layer, or None.
        eps: Added to the variance by the normalisation.
        momentum: Weight of a batch in the running averages of the normalisation.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        kernel: Kernel,
        *,
        stride: int = 1,
        bias: bool = False,
        pool: nn.Module | None = None,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.convolution = Convolution(inputs, channels, kernel, stride=stride, bias=bias)
        self.norm = BatchNorm(channels, eps=eps, momentum=momentum)
        self.pool = pool

    def forward(self, maps: Maps) -> Maps:
        """Map (B, inputs, T[, F]) to (B, channels, ⌈T / stride⌉[, F]), then pool."""
        found: Maps = self.norm(self.convolution(maps)).map(torch.relu_)
        return found if self.pool is None else self.pool(found)


def shortened(lengths: Tensor, stride: int) -> Tensor:
    """Return ⌈lengths / stride⌉, the lengths after a layer with that stride.

    >>> shortened(torch.tensor([1, 4, 5]), 2)
    tensor([1, 2, 3])
    """
    return (
        lengths if stride == 1 else torch.div(lengths + (stride - 1), stride, rounding_mode="floor")
    )


def _over_time(window: Kernel) -> int:
    return window if isinstance(window, int) else window[0]


def _zero(values: Tensor, lengths: Tensor) -> Maps:
    """Return new values as maps, set to zero in place after the end of each turn."""
    maps = Maps(values, lengths)
    maps.values.masked_fill_(maps.padding, 0.0)
    return maps
