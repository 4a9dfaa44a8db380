from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sercli.features.preprocess import frame_statistics, mean_pool, z_normalise

_VALUES = st.floats(-1e4, 1e4, width=32)


def _turns(features: int = 3) -> st.SearchStrategy[np.ndarray]:
    shapes = st.tuples(st.integers(1, 12), st.just(features))
    return arrays(np.float32, shapes, elements=_VALUES)


def _slow_pool(frames: np.ndarray, size: int) -> list[list[float]]:
    steps = []
    for first in range(0, len(frames), size):
        sums = [0.0] * frames.shape[1]
        for frame in frames[first : first + size]:
            sums = [total + float(value) for total, value in zip(sums, frame, strict=True)]
        steps.append([total / size for total in sums])
    return steps


def _slow_z(turns: list[np.ndarray], feature: int) -> list[float]:
    values = [float(value) for turn in turns for value in turn[:, feature]]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    if len(set(values)) == 1:
        return [0.0] * len(values)
    return [(value - mean) / variance**0.5 for value in values]


@given(frames=_turns(), size=st.integers(1, 7))
def test_pooling_equals_a_slow_mean_with_zeros_at_the_end(frames: np.ndarray, size: int) -> None:
    pooled = mean_pool(frames, size)
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, _slow_pool(frames, size), rtol=1e-5, atol=1e-6)


def test_the_zeros_that_fill_the_last_step_count_in_its_mean() -> None:
    frames = np.full((7, 1), 5.0, np.float32)
    np.testing.assert_array_equal(mean_pool(frames, 5)[:, 0], [5.0, 2.0])


@given(turns=st.lists(_turns(), min_size=1, max_size=4))
def test_normalisation_equals_a_slow_z_score_over_all_turns(turns: list[np.ndarray]) -> None:
    statistics = frame_statistics(turns)
    normalised = np.concatenate([z_normalise(turn, statistics) for turn in turns])
    assert normalised.dtype == np.float32
    for feature in range(3):
        np.testing.assert_allclose(
            normalised[:, feature], _slow_z(turns, feature), rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("value", [0.0, 0.1, -123.456])
def test_a_feature_that_never_changes_becomes_zero(value: float) -> None:
    frames = np.full((1000, 1), value, np.float32)
    np.testing.assert_array_equal(z_normalise(frames, frame_statistics([frames])), 0)
