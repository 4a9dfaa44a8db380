from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sercli.nn.pooling import valid_steps

lengths_lists = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@given(lengths=lengths_lists, padding=st.integers(0, 3))
@settings(deadline=None)
def test_as_many_steps_are_valid_as_a_sequence_is_long(lengths: list[int], padding: int) -> None:
    steps = max(lengths) + padding
    expected = [[step < length for step in range(steps)] for length in lengths]
    assert valid_steps(torch.tensor(lengths), steps).tolist() == expected
