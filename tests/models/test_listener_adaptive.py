from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.reference_models import (
    Weights,
    attended,
    block,
    both_directions,
    in_windows,
    linear,
    lstm,
    random_averages,
    random_batch,
    sequences,
    tiny,
    weights_of,
)
from torch import Tensor

from sercli.errors import RequestError
from sercli.models import build_model
from sercli.models.listener_adaptive import ADAPTATIONS, AdaptiveLinear

TINY = (
    *("model=listener_adaptive", "cell=lstm", "activation=tanh", "model.channels=[2,3]"),
    *("model.hidden=2", "model.heads=2", "model.dense_units=3", "model.embedding=2"),
)


def adapted(w: Weights, name: str, x: Tensor, e: Tensor, adaptation: str) -> Tensor:
    plain = linear(w, f"{name}.linear", x)
    if adaptation == "weighting":
        shares = (w[f"{name}.weigh.weight"] @ e).exp()
        layers = plain.view(4, -1)
        return sum((shares[k] / shares.sum() * layers[k] for k in range(4)), torch.zeros(3))
    if adaptation == "scale":
        plain = plain * (1 + w[f"{name}.scale.weight"] @ e)
    return plain + w[f"{name}.shift.weight"] @ e


def posteriors(w: Weights, frames: Tensor, adaptation: str) -> list[Tensor]:
    """The posterior of each rater for one turn."""
    maps = frames.unsqueeze(0)
    for number in range(2):
        maps = block(w, f"blocks.{number}", maps)
        maps = in_windows(maps, 2, 2, lambda window: window.amax(dim=1))
    states = both_directions(lstm, w, "recurrent", maps.transpose(0, 1).flatten(1))
    pooled = torch.stack(attended(w, "attend", states, heads=2)).mean(0)
    found = []
    for e in w["listeners.weight"]:
        x = pooled
        for number in range(2):
            x = adapted(w, f"dense.{number}", x, e, adaptation).clamp(min=0)
        found.append(linear(w, "head", x).softmax(dim=0))
    return found


@pytest.mark.parametrize("adaptation", ADAPTATIONS)
def test_posteriors_are_those_of_the_equations_and_their_mean(adaptation: str) -> None:
    model = random_averages(tiny(*TINY, f"model.adaptation={adaptation}"))
    w, batch = weights_of(model), random_batch(padding=2)
    expected = [posteriors(w, frames, adaptation) for frames in sequences(batch.current)]
    whole = torch.stack([torch.stack(each).mean(0) for each in expected])
    torch.testing.assert_close(model(batch).exp(), whole, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(model(batch).exp().sum(dim=1), torch.ones(3).double())
    raters = torch.tensor([2, 0, 2])
    asked = model(replace(batch, rater=raters)).softmax(dim=1)
    chosen = torch.stack([each[r] for each, r in zip(expected, raters, strict=True)])
    torch.testing.assert_close(asked, chosen, atol=1e-9, rtol=1e-9)
    heard = torch.stack([(each[0] + each[2]) / 2 for each in expected])  # rater 1 never was
    torch.testing.assert_close(model(batch).exp(), heard, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("adaptation", ADAPTATIONS)
def test_an_embedding_of_zeros_gives_the_layer_that_is_not_adapted(adaptation: str) -> None:
    layer, x = AdaptiveLinear(5, 3, 2, adaptation), torch.randn(4, 5)
    plain = layer.linear(x).unflatten(1, (-1, 3)).mean(dim=1)
    torch.testing.assert_close(layer(x, torch.zeros(2)), plain)


def test_the_model_of_the_paper_has_its_sizes() -> None:
    published = ("model=listener_adaptive", "cell=lstm", "activation=tanh")
    w = weights_of(tiny(*published, inputs=400))
    assert [len(w[f"blocks.{i}.convolution.convolve.weight"]) for i in range(3)] == [16, 24, 32]
    assert w["recurrent.weight_ih_l0"].shape == (4 * 128, 32 * 50)
    assert w["listeners.weight"].shape == (3, 8)
    assert w["dense.0.linear.weight"].shape == (64, 256)
    assert w["dense.1.shift.weight"].shape == (64, 8)


def test_a_corpus_without_raters_and_wrong_settings_are_refused() -> None:
    with pytest.raises(RequestError, match="adaptation=none: must be one of bias, scale, weig"):
        tiny(*TINY, "model.adaptation=none")
    settings = {"system": "listener_adaptive"}
    with pytest.raises(RequestError, match="the corpus unknown does not state them"):
        build_model(settings, {"name": "gru"}, {"name": "tanh"}, inputs=4, classes=2)
