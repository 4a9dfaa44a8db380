from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sercli.nn.masks import reverse_within, valid_steps

lengths_lists = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@given(lengths=lengths_lists, padding=st.integers(0, 3))
@settings(deadline=None)
def test_as_many_steps_are_valid_as_a_sequence_is_long(lengths: list[int], padding: int) -> None:
    steps = max(lengths) + padding
    expected = [[step < length for step in range(steps)] for length in lengths]
    assert valid_steps(torch.tensor(lengths), steps).tolist() == expected


@given(
    lengths=lengths_lists, padding=st.integers(0, 3), features=st.sampled_from([(), (2,), (2, 3)])
)
@settings(deadline=None)
def test_a_sequence_is_reversed_within_its_length(
    lengths: list[int], padding: int, features: tuple[int, ...]
) -> None:
    x = torch.rand(max(lengths) + padding, len(lengths), *features)
    found = reverse_within(x, torch.tensor(lengths))
    for i, length in enumerate(lengths):
        assert torch.equal(found[:length, i], x[:length, i].flip(0))
        assert torch.equal(found[length:, i], x[length:, i])
