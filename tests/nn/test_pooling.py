from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sercli.nn.pooling import (
    Pooling,
    deviation_over_time,
    ends_of_directions,
    largest_over_time,
    mean_over_time,
    valid_steps,
)

LENGTHS = [4, 1, 6]
VALID = valid_steps(torch.tensor(LENGTHS), 6)
POOLINGS = [mean_over_time, deviation_over_time, largest_over_time, ends_of_directions]


def states(filler: float) -> torch.Tensor:
    random = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return random.masked_fill(~VALID.unsqueeze(-1), filler)


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5), padding=st.integers(0, 3))
@settings(deadline=None)
def test_valid_steps_are_those_before_the_length(lengths: list[int], padding: int) -> None:
    steps = max(lengths) + padding
    expected = [[step < length for step in range(steps)] for length in lengths]
    assert valid_steps(torch.tensor(lengths), steps).tolist() == expected


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_equals_that_of_each_sequence_alone(pooling: Pooling) -> None:
    found = pooling(states(7.0), VALID)
    for i, length in enumerate(LENGTHS):
        real = states(0.0)[i, :length]
        expected: dict[Pooling, torch.Tensor] = {
            mean_over_time: real.mean(0),
            deviation_over_time: real.std(0, correction=0).clamp(min=1e-6),
            largest_over_time: real.max(0).values,
            ends_of_directions: torch.cat([real[-1, :2], real[0, 2:]]),
        }
        torch.testing.assert_close(found[i], expected[pooling])


@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_receives_no_gradient_and_real_steps_a_finite_one(pooling: Pooling) -> None:
    given = states(1e100).requires_grad_()
    (gradient,) = torch.autograd.grad(pooling(given, VALID).sum(), given)
    assert (gradient[~VALID] == 0).all()
    assert gradient.isfinite().all()
