from __future__ import annotations

import pytest
import torch
from helpers.reference_models import (
    Weights,
    assert_logits,
    convolved,
    count_parameters,
    linear,
    softmax_sum,
    tiny,
)
from torch import Tensor

from sercli.errors import RequestError

TINY = (
    *("model=mscnn_spu_att", "model.kernels=[2,9]", "model.text_kernels=[1,4]"),
    *("model.filters=3", "model.dense_units=4"),
)


def scales(w: Weights, name: str, steps: Tensor) -> Tensor:
    w = {name: x.unsqueeze(-1) if x.dim() == 3 else x for name, x in w.items()}
    maps = [convolved(w, f"{name}.{i}", steps.T.unsqueeze(-1)).squeeze(-1) for i in range(2)]
    return torch.cat(maps).clamp(min=0)


def statistics(maps: Tensor) -> list[Tensor]:
    mean = maps.mean(dim=1)
    away = (maps - mean.unsqueeze(1)).square().mean(1).clamp(min=1e-12).sqrt()
    return [maps.amax(dim=1), mean, away]


def slow(w: Weights, frames: Tensor, words: Tensor, *vector: Tensor) -> Tensor:
    audio, text = scales(w, "audio", frames), scales(w, "words", words)
    queries = statistics(audio)
    attended = [softmax_sum([query @ h for h in text.T], list(text.T)) for query in queries]
    whole = [*queries, *statistics(text), *attended, words.amax(0), words.mean(0)]
    x = torch.cat([*whole, *(each.mean(0) for each in vector)])
    return linear(w, "head.1", linear(w, "head.0.0", x).clamp(min=0))


@pytest.mark.parametrize("streams", [["text"], ["text", "vector"]])
def test_logits_are_those_of_the_equations_with_an_utterance_vector_too(
    streams: list[str],
) -> None:
    model = tiny(*TINY, f"model.streams=[{','.join(streams)}]")
    assert_logits(model, slow, streams=streams, filler=1e3)


def test_it_has_the_published_sizes() -> None:
    published = ("model=mscnn_spu_att", "model.streams=[text,vector]")
    count = count_parameters(*published, inputs=96, classes=4, text=300, vector=512)
    convolutions = 128 * 96 * (5 + 7 + 9 + 11) + 128 * 300 * (2 + 3 + 4 + 5) + 8 * 128
    assert count == convolutions + (3 * 1536 + 600 + 512 + 1) * 128 + 129 * 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.text_kernels=[1]", r"model.text_kernels=\[1\]: must be 2 numbers, as model.kern"),
        ("model.streams=[]", r"model.streams=\[\]: must be a list of 1 to 2 names of further"),
        ("model.streams=[text,text]", "of further streams, each once"),
    ],
)
def test_settings_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny(*TINY, override)
