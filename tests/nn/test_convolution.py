from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.nn.convolution import (
    AveragePool,
    BatchNorm,
    Convolution,
    ConvolutionBlock,
    Maps,
    MaxPool,
)
from sercli.nn.pooling import deviation_over_time, largest_over_time, mean_over_time

LENGTHS = [5, 1, 6]
WIDTH = 5
REAL = torch.arange(6) < torch.tensor(LENGTHS).unsqueeze(1)

Make = Callable[[], nn.Module]
LAYERS: dict[str, Make] = {
    "over time": lambda: Convolution(WIDTH, 4, 3),
    "even": lambda: Convolution(WIDTH, 4, 4),
    "dilated": lambda: Convolution(WIDTH, 4, 3, dilation=4),
    "dilated even": lambda: Convolution(WIDTH, 4, 2, dilation=3),
    "strided": lambda: Convolution(WIDTH, 4, 3, stride=2),
    "strided even": lambda: Convolution(WIDTH, 4, 2, stride=3),
    "depth-wise": lambda: Convolution(WIDTH, WIDTH, 31, groups=WIDTH, bias=False),
    "2-D": lambda: Convolution(1, 4, (3, 5)),
    "2-D even": lambda: Convolution(1, 4, (2, 8)),
    "2-D strided": lambda: Convolution(1, 4, (3, 3), stride=2),
    "norm": lambda: BatchNorm(WIDTH),
    "2-D norm": lambda: BatchNorm(1),
    "mean": lambda: AveragePool(2),
    "2-D mean": lambda: AveragePool((3, 2)),
    "2-D mean over time": lambda: AveragePool((2, 1)),
    "max": lambda: MaxPool(2),
    "2-D max": lambda: MaxPool((4, 2)),
    "block": lambda: ConvolutionBlock(1, 4, (3, 2), pool=MaxPool((2, 2))),
    "stack": lambda: nn.Sequential(
        ConvolutionBlock(WIDTH, 4, 3, pool=AveragePool(2), bias=True),
        ConvolutionBlock(4, 3, 2, pool=AveragePool(2)),
        Convolution(3, 2, 3),
    ),
}


def layer_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    layer = LAYERS[name]().double().eval()
    for module in layer.modules():
        if isinstance(module, BatchNorm):
            for value in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(value, 0.5, 1.5)
    return layer


def frames(padding: int = 0, filler: float = 0.0) -> Tensor:
    random = torch.Generator().manual_seed(1)
    real = torch.randn(3, 6, WIDTH, generator=random, dtype=torch.float64)
    return F.pad(real.masked_fill(~REAL.unsqueeze(-1), filler), (0, 0, 0, padding), value=filler)


def maps(name: str, given: Tensor, lengths: list[int]) -> Maps:
    make = Maps.over_time_and_frequency if "2-D" in name or name == "block" else Maps.over_time
    return make(given, torch.tensor(lengths))


@pytest.mark.parametrize("name", LAYERS)
def test_a_turn_gives_the_same_alone_and_in_a_padded_batch(name: str) -> None:
    layer = layer_of(name)
    given = frames(padding=3, filler=1e150).requires_grad_()
    together = layer(maps(name, given, LENGTHS))
    weights = torch.linspace(1, 2, together.values[0].numel(), dtype=torch.float64)
    weights = weights.view_as(together.values[0])
    gradient = torch.autograd.grad((together.values * weights).sum(), given)[0]
    assert (gradient[F.pad(~REAL, (0, 3), value=True)] == 0).all()
    for row, length in enumerate(LENGTHS):
        single = given[row : row + 1, :length].detach().requires_grad_()
        alone = layer(maps(name, single, [length]))
        steps = alone.values.shape[2]
        assert alone.lengths.tolist() == [steps] == [together.lengths[row]]
        assert steps >= 1
        torch.testing.assert_close(together.values[row, :, :steps], alone.values[0])
        assert (together.values[row, :, steps:] == 0).all()
        (own,) = torch.autograd.grad((alone.values * weights[:, :steps]).sum(), single)
        torch.testing.assert_close(gradient[row, :length], own[0])


conv1d: Any = F.conv1d  # whose types do not allow *weights
conv2d: Any = F.conv2d
TORCH: dict[str, Callable[[Tensor, list[Tensor]], Tensor]] = {
    "over time": lambda x, w: conv1d(x, *w, padding=1),
    "even": lambda x, w: conv1d(F.pad(x, (1, 2)), *w),
    "dilated": lambda x, w: conv1d(x, *w, padding=4, dilation=4),
    "dilated even": lambda x, w: conv1d(F.pad(x, (1, 2)), *w, dilation=3),
    "strided": lambda x, w: conv1d(x, *w, padding=1, stride=2),
    "depth-wise": lambda x, w: conv1d(x, *w, padding=15, groups=WIDTH),
    "2-D": lambda x, w: conv2d(x, *w, padding=(1, 2)),
    "2-D even": lambda x, w: conv2d(F.pad(x, (3, 4, 0, 1)), *w),
    "2-D strided": lambda x, w: conv2d(x, *w, padding=1, stride=(2, 1)),
    "mean": lambda x, w: F.avg_pool1d(x, 2),
    "2-D mean": lambda x, w: F.avg_pool2d(x, (3, 2), ceil_mode=True, count_include_pad=False),
    "max": lambda x, w: F.max_pool1d(x, 2),
    "2-D max": lambda x, w: F.max_pool2d(x, (4, 2), ceil_mode=True),
}


@pytest.mark.parametrize("name", TORCH)
def test_without_padding_a_layer_is_that_of_torch(name: str) -> None:
    layer, given = layer_of(name), maps(name, frames(filler=2.0), [6, 6, 6])
    expected = TORCH[name](given.values, list(layer.parameters()))
    torch.testing.assert_close(layer(given).values, expected)


@pytest.mark.parametrize("name", ["norm", "2-D norm"])
@pytest.mark.parametrize("lengths", [[6, 6, 6], LENGTHS])
def test_batch_norm_in_training_is_that_of_torch_on_the_real_positions(
    name: str, lengths: list[int]
) -> None:
    layer = layer_of(name).train()
    inputs = frames(filler=5.0).requires_grad_()
    given = maps(name, inputs, lengths)
    found = layer(given)
    valid = given.valid.view(-1)
    # (real steps, C, F): torch's layer takes its statistics over the first and the last axis
    real = given.values.transpose(1, 2).flatten(0, 1)[valid].detach().requires_grad_()
    other = nn.BatchNorm1d(real.shape[1], momentum=None, dtype=torch.float64)
    other.load_state_dict(layer.state_dict())
    expected = other(real)
    torch.testing.assert_close(found.values.transpose(1, 2).flatten(0, 1)[valid], expected)
    torch.testing.assert_close(layer.running_mean, other.running_mean)
    torch.testing.assert_close(layer.running_var, other.running_var)
    own = torch.autograd.grad(found.values.pow(3).sum(), (*layer.parameters(), inputs))
    wanted = torch.autograd.grad(expected.pow(3).sum(), (*other.parameters(), real))
    torch.testing.assert_close(own[:2], wanted[:2])
    torch.testing.assert_close(own[2][given.valid], wanted[2].flatten(1))
    assert (own[2][~given.valid] == 0).all()


def test_running_averages_weigh_early_batches_equally_and_then_as_torch_does() -> None:
    layer = BatchNorm(1, momentum=0.25).train()
    means = []
    for value in (1.0, 2.0, 3.0, 4.0, 10.0):
        layer(Maps(torch.full((1, 1, 2), value), torch.tensor([2])))
        means.append(layer.running_mean.item())
    assert means == pytest.approx([1, 1.5, 2, 2.5, 2.5 + 0.25 * 7.5])


def test_one_position_is_normalised_to_the_bias() -> None:
    layer = BatchNorm(2).train()
    assert (layer(Maps(torch.ones(1, 2, 1), torch.tensor([1]))).values == 0).all()
    assert layer.running_var.isfinite().all()


@pytest.mark.parametrize("pooling", [mean_over_time, deviation_over_time, largest_over_time])
def test_pooling_counts_real_positions_only(
    pooling: Callable[[Tensor, Tensor], Tensor],
) -> None:
    given = maps("2-D", frames(padding=2, filler=9.0), LENGTHS)
    for row, length in enumerate(LENGTHS):
        alone = given.values[row : row + 1, 0, :length].reshape(1, -1, 1)
        expected = pooling(alone, torch.ones(1, length * WIDTH, dtype=torch.bool))
        torch.testing.assert_close(given.pool(pooling)[row : row + 1], expected)


def test_steps_are_those_of_the_frames() -> None:
    given = frames()
    for name in ("over time", "2-D"):
        assert torch.equal(maps(name, given, LENGTHS).steps, given)


def test_the_variance_survives_a_large_mean_and_much_padding() -> None:
    values = 100 + torch.randn(8, 1, 500, generator=torch.Generator().manual_seed(0))
    lengths = torch.arange(50, 450, 50)
    layer = BatchNorm(1).train()
    layer(Maps(values, lengths).zeroed())
    real = torch.cat([row[0, :n] for row, n in zip(values, lengths, strict=True)])
    torch.testing.assert_close(layer.running_mean, real.mean().view(1))
    torch.testing.assert_close(
        layer.running_var, real.double().var().float().view(1), rtol=1e-2, atol=0
    )
