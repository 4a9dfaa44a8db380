from __future__ import annotations

import pytest
import torch

from sercli.nn.recurrence.cpp import workspace


def test_memory_of_a_freed_tensor_is_reused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workspace, "_free", [])
    first, second = (workspace.take(10_000, torch.float32) for _ in range(2))
    address = first.data_ptr()
    assert second.data_ptr() != address
    del first
    smaller = workspace.take(9_000, torch.float32)
    assert smaller.data_ptr() == address


def test_no_more_memory_is_kept_than_was_in_use_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "_free", [])
    for size in (100, 300, 200, 400):
        held = [workspace.take(size, torch.float64), workspace.take(size // 2, torch.float64)]
        del held
    assert sorted(block.nbytes for block in workspace._free) == [1600, 3200]
