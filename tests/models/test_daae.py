from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.reference_models import (
    RecordingCriterion,
    Weights,
    assert_logits,
    block,
    both_directions,
    in_windows,
    linear,
    lstm,
    random_averages,
    random_batch,
    run_with_criterion,
    softmax_sum,
    tiny,
    weights_of,
)
from torch import Tensor
from torch.nn import functional as F

from sercli.errors import RequestError

TINY = (
    *("model=daae", "cell=lstm", "activation=tanh", "model.steps=3", "model.channels=[2,3]"),
    *("model.filters=[2,2]", "model.code=4", "model.heads=2", "model.hidden=3"),
    *("model.adversary_units=5", "model.dropout=0"),
)
COLUMNS = {"label": 4, "speaker": 5}


def encoded(w: Weights, name: str, segment: Tensor) -> Tensor:
    """The vector of a segment (T, F); the steps that a last segment lacks are zeros."""
    maps = segment.unsqueeze(0)
    for layer in ("convolve.0", "convolve.1"):
        maps = block(w, f"{name}.{layer}", maps)
        maps = in_windows(maps, 2, 2, lambda window: window.amax(dim=1))
    whole = F.pad(maps, (0, 0, 0, 1 - maps.shape[1]))  # three steps, halved twice
    return linear(w, f"{name}.dense", whole.flatten()).clamp(0)


def slow(w: Weights, frames: Tensor) -> Tensor:
    """The logits of a turn, segment by segment, head by head."""
    segments = [frames[i : i + 3] for i in range(0, len(frames), 3)]
    codes = [encoded(w, "encoder", each) for each in segments]
    deep = [encoded(w, "cnn", each) for each in segments]
    fused = [
        linear(w, "fuse.0", torch.cat(pair)).clamp(0) for pair in zip(codes, deep, strict=True)
    ]
    queries = [(w["query.weight"] @ each).chunk(2) for each in deep]
    keys = [(w["key.weight"] @ each).chunk(2) for each in codes]
    values = [(w["value.weight"] @ each).chunk(2) for each in fused]
    attended = torch.stack(
        [
            torch.cat(
                [
                    softmax_sum(
                        [query[head] @ key[head] / 2**0.5 for key in keys],
                        [value[head] for value in values],
                    )
                    for head in range(2)
                ]
            )
            for query in queries
        ]
    )
    states = both_directions(lstm, w, "recurrent", attended)
    return linear(w, "head", torch.cat([states[-1][:3], states[0][3:]]))


def test_logits_are_those_of_the_equations_computed_segment_by_segment() -> None:
    assert_logits(random_averages(tiny(*TINY)), slow)


def test_the_losses_are_those_of_the_mean_code_and_of_the_real_frames() -> None:
    model: Any = random_averages(tiny(*TINY, "model.emotion_weight=0.5"))
    output, criterion = run_with_criterion(model, random_batch(padding=4, filler=1e3))
    assert {column: logits.shape[1] for column, logits in criterion.calls} == COLUMNS
    assert list(output.losses) == ["adversary_speaker", "code_emotion", "reconstruction"]
    w, batch = weights_of(model), random_batch()
    codes, errors = [], []
    for frames, length in zip(batch.current.frames, batch.current.lengths.tolist(), strict=True):
        parts = [frames[i : min(i + 3, length)] for i in range(0, length, 3)]
        own = [encoded(w, "encoder", part) for part in parts]
        codes.append(torch.stack(own).mean(0))
        decoded = model.decoder(torch.stack(own))
        errors += [
            (d[: len(p)] - p).square().flatten() for d, p in zip(decoded, parts, strict=True)
        ]
    called = dict(criterion.calls)
    found = output.losses
    for row, code in enumerate(codes):
        torch.testing.assert_close(called["label"][row], linear(w, "code_head", code))
        hidden = linear(w, "adversaries.classifiers.speaker.0", code).clamp(0)
        speakers = linear(w, "adversaries.classifiers.speaker.2", hidden)
        torch.testing.assert_close(called["speaker"][row], speakers)
    torch.testing.assert_close(found["reconstruction"], torch.cat(errors).mean())
    torch.testing.assert_close(found["code_emotion"], 0.5 * called["label"].square().sum())


def test_an_adversary_learns_and_the_encoder_gets_its_gradient_reversed() -> None:
    model: Any = tiny(*TINY, "model.speaker_weight=0.5")
    batch = replace(random_batch(), criterion=RecordingCriterion())
    loss = model(batch).losses["adversary_speaker"]
    classifier = model.adversaries.classifiers["speaker"]
    weights = [classifier[0].weight, model.encoder.dense.weight]
    of_adversary, of_encoder = torch.autograd.grad(loss, weights)
    model.adversaries.weights["speaker"] = -1.0  # reversed twice: the plain gradient
    plain = torch.autograd.grad(model(batch).losses["adversary_speaker"], weights)
    torch.testing.assert_close([of_adversary, of_encoder], [plain[0], -0.5 * plain[1]])


def test_parts_without_a_weight_are_left_out() -> None:
    weights = ("reconstruction", "emotion", "speaker", "corpus")
    model: Any = tiny(*TINY, *(f"model.{name}_weight=0" for name in weights))
    output, criterion = run_with_criterion(model, random_batch())
    assert not output.losses
    assert not criterion.calls
    assert not [name for name in weights_of(model) if "decoder" in name or "advers" in name]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.heads=3", "model.heads=3: must divide model.code=4"),
        ("model.emotion_weight=-1", "model.emotion_weight=-1: must be 0 or more"),
        ("model.corpus_weight=0.1", "'corpus' as an auxiliary task"),
    ],
)
def test_settings_that_cannot_be_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny(*TINY, override)
