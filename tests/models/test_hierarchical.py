from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    both_directions,
    gru,
    linear,
    random_batch,
    sequences,
    softmax_sum,
    tiny,
)
from torch import Tensor

from sercli.errors import RequestError
from sercli.models.hierarchical import Hierarchical, segments_between_pauses, silent_steps
from sercli.models.interface import Batch, Turns

SILENCE = 0.5
TINY = (
    *("model=hierarchical", "cell=gru", "activation=tanh", "model.hidden=3", "model.attention=2"),
    *("model.loudness=fa", f"model.silence={SILENCE}", "model.pause=1", "model.steps=3"),
)


def between_pauses(frames: Tensor) -> list[list[int]]:
    """Steps of each segment, where a pause has one silent step or more."""
    loudness = frames[:, :2].mean(1)
    limit = loudness.min() + SILENCE * (loudness.max() - loudness.min())
    marks = "".join("." if each < limit else "x" for each in loudness.tolist())
    pauses = {t for run in re.finditer(r"\.+", marks) for t in range(*run.span())}
    segments: list[list[int]] = []
    for t in range(len(marks)):
        if t not in pauses:
            segments += [[]] if t == 0 or t - 1 in pauses else []
            segments[-1].append(t)
    return segments


def fixed(frames: Tensor) -> list[list[int]]:
    return [list(range(t, min(t + 3, len(frames)))) for t in range(0, len(frames), 3)]


def slow(find: Callable[[Tensor], list[list[int]]], w: Weights, frames: Tensor) -> Tensor:
    def pooled(name: str, vectors: list[Tensor]) -> Tensor:
        u = w[f"pool.{name}.2.weight"][0]
        return softmax_sum(
            [u @ torch.tanh(linear(w, f"pool.{name}.0", h)) for h in vectors], vectors
        )

    states = both_directions(gru, w, "recurrent", frames)
    vectors = [pooled("of_steps", [states[t] for t in segment]) for segment in find(frames)]
    return linear(w, "head.1", pooled("of_segments", vectors))


@pytest.mark.parametrize(("split", "find"), [("pauses", between_pauses), ("fixed", fixed)])
def test_logits_are_those_of_the_equations_computed_step_by_step(
    split: str, find: Callable[[Tensor], list[list[int]]]
) -> None:
    assert max(len(find(frames)) for frames in sequences(random_batch().current)) > 1
    model = tiny(*TINY, f"model.split={split}")
    assert_logits(model, partial(slow, find), padding=3, filler=-9.0)


def segments_of(marks: str, pause: int, padding: int = 0) -> list[str]:
    silent = torch.tensor([[mark == "." for mark in marks] + [False] * padding])
    valid = torch.tensor([[True] * len(marks) + [False] * padding])
    found = segments_between_pauses(silent, valid, pause)[0]
    texts = ["".join(m for m, each in zip(marks, row, strict=False) if each) for row in found]
    return [text for text in texts if text]


@pytest.mark.parametrize("padding", [0, 4])
def test_segments_lie_between_pauses_that_are_long_enough(padding: int) -> None:
    assert segments_of("ab..cd", 2, padding) == ["ab", "cd"]
    assert segments_of("ab.cd", 2, padding) == ["ab.cd"]
    assert segments_of("..ab....c.", 2, padding) == ["ab", "c."]
    assert segments_of("a.b.c", 1, padding) == ["a", "b", "c"]
    assert segments_of("a", 6, padding) == ["a"]


def test_silence_does_not_depend_on_level_and_scale_and_a_constant_turn_is_loud() -> None:
    loudness, valid = torch.tensor([[0.0, 3.0, 10.0, 1.0]]), torch.ones(1, 4, dtype=torch.bool)
    expected = [[True, False, False, True]]
    for level in (loudness, 5 - loudness.neg() / 7):
        assert silent_steps(level, valid, 0.2).tolist() == expected
    assert not silent_steps(torch.ones(1, 4), valid, 0.2).any()


def test_what_lies_in_a_pause_has_no_weight() -> None:
    model = tiny(*TINY)
    assert isinstance(model, Hierarchical)
    frames = torch.zeros(1, 6, 6, dtype=torch.float64)
    frames[0, [0, 5], :2] = 1.0
    turns = Turns(frames, torch.tensor([6]))
    members = model._segments(turns)
    weights = model.pool.weights(model.recurrent(frames)[0], members)[0]
    assert weights[1:5].abs().max() == 0
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0, dtype=torch.float64))
    assert model(Batch(turns, turns, turns)).isfinite().all()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "model.loudness=null",
            "model.loudness=null: no feature has loudness or energy or log_mel",
        ),
        ("model.loudness=pitch", "model.loudness=pitch: no feature has pitch in its name"),
        ("model.split=words", "model.split=words: must be one of pauses, fixed"),
        ("model.silence=1", "model.silence=1: must be between 0 and 1"),
        ("model.pause=0", "model.pause=0: must be 1 or more"),
    ],
)
def test_settings_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny(*TINY, override)
