"""A fold result on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import SafetensorError

from sercli.results.fold_result import FoldResult, read_fold_result, write_fold_result


def test_a_unit_is_read_as_it_was_written(
    make_result: Callable[..., FoldResult], tmp_path: Path
) -> None:
    result = make_result(["ang", "sad"], ["ang", "ang"], seed=3, fold="Ses01")

    write_fold_result(tmp_path / "fold", result)
    again = read_fold_result(tmp_path / "fold")

    assert (again.seed, again.fold, again.diverged_at) == (3, "Ses01", None)
    assert (again.selected_step, again.oracle_step) == (10, 20)
    pd.testing.assert_frame_equal(again.history, result.history)
    pd.testing.assert_frame_equal(again.predictions, result.predictions)
    assert list(again.weights) == ["w"]
    np.testing.assert_array_equal(again.weights["w"], result.weights["w"])
    assert again.weights["w"].dtype == np.float32


def test_a_unit_that_cannot_be_written_leaves_nothing(
    make_result: Callable[..., FoldResult], tmp_path: Path
) -> None:
    result = replace(make_result(["ang"], ["ang"]), weights={"w": np.array(["no", "number"])})

    with pytest.raises(SafetensorError):
        write_fold_result(tmp_path / "fold", result)
    assert list(tmp_path.iterdir()) == []
