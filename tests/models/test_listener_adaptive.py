from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.reference_models import (
    Weights,
    attended,
    both_directions,
    convolved,
    in_windows,
    linear,
    lstm,
    normalised,
    random_averages,
    random_batch,
    sequences,
    tiny,
    weights_of,
)
from torch import Tensor

from sercli.errors import RequestError
from sercli.models import build_model
from sercli.models.listener_adaptive import (
    ADAPTATIONS,
    LAYERS,
    AdaptiveConvolution,
    AdaptiveLinear,
)
from sercli.nn.convolution import Maps

Layers = tuple[str, ...]

TINY = (
    *("model=listener_adaptive", "cell=lstm", "activation=tanh", "model.channels=[2,3]"),
    *("model.hidden=2", "model.heads=2", "model.dense_units=3", "model.embedding=2"),
)


ADAPTED = [
    *((each, ("dense",)) for each in ADAPTATIONS),
    *(("bias", LAYERS), ("scale", ("convolution",)), ("weighting", ("convolution", "recurrent"))),
]


def adapted(w: Weights, name: str, plain: Tensor, e: Tensor, adaptation: str) -> Tensor:
    """Adapt the outputs of a layer, along the first axis."""

    def of(part: str) -> Tensor:
        return (w[f"{name}.{part}.weight"] @ e).view(-1, *[1] * (plain.dim() - 1))

    if adaptation == "weighting":
        shares = of("weigh").exp()
        layers = plain.chunk(4)
        total = torch.zeros_like(layers[0])
        return sum((shares[k] / shares.sum() * layers[k] for k in range(4)), total)
    if adaptation == "scale":
        plain = plain * (1 + of("scale"))
    return plain + of("shift")


def posterior(w: Weights, frames: Tensor, e: Tensor, adaptation: str, adapt: Layers) -> Tensor:
    """The posterior of a rater for one turn."""
    maps = frames.unsqueeze(0)
    for number in range(2):
        name = f"blocks.{number}.convolution"
        if "convolution" in adapt:
            maps = adapted(w, name, convolved(w, f"{name}.linear", maps), e, adaptation)
        else:
            maps = convolved(w, name, maps)
        maps = normalised(w, f"blocks.{number}.norm", maps).clamp(min=0)
        maps = in_windows(maps, 2, 2, lambda window: window.amax(dim=1))
    steps = maps.transpose(0, 1).flatten(1)
    if "recurrent" in adapt:
        steps = torch.stack([torch.cat([step, e]) for step in steps])
    states = both_directions(lstm, w, "recurrent", steps)
    x = torch.stack(attended(w, "attend", states, heads=2)).mean(0)
    for number in range(2):
        name = f"dense.{number}"
        if "dense" in adapt:
            x = adapted(w, name, linear(w, f"{name}.linear", x), e, adaptation)
        else:
            x = linear(w, name, x)
        x = x.clamp(min=0)
    return linear(w, "head", x).softmax(dim=0)


@pytest.mark.parametrize(("adaptation", "adapt"), ADAPTED)
def test_posteriors_are_those_of_the_equations_and_their_mean(
    adaptation: str, adapt: Layers
) -> None:
    layers = f"model.adapt=[{','.join(adapt)}]"
    model = random_averages(tiny(*TINY, f"model.adaptation={adaptation}", layers))
    w, batch = weights_of(model), random_batch(padding=2)
    expected = torch.stack(
        [
            torch.stack([posterior(w, x, e, adaptation, adapt) for e in w["listeners.weight"]])
            for x in sequences(batch.current)
        ]
    )
    torch.testing.assert_close(model(batch).exp(), expected.mean(1), atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(model(batch).exp().sum(dim=1), torch.ones(3).double())
    raters = torch.tensor([2, 0, 2])
    asked = model(replace(batch, rater=raters)).softmax(dim=1)
    chosen = expected[range(3), raters]
    torch.testing.assert_close(asked, chosen, atol=1e-9, rtol=1e-9)
    model.get_buffer("heard")[[0, 2]] = 1.0  # rater 1 never was
    heard = expected[:, [0, 2]].mean(1)
    torch.testing.assert_close(model(batch).exp(), heard, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("adaptation", ADAPTATIONS)
def test_an_embedding_of_zeros_gives_the_layer_that_is_not_adapted(adaptation: str) -> None:
    layer, x = AdaptiveLinear(5, 3, 2, adaptation), torch.randn(4, 5)
    plain = layer.linear(x).unflatten(1, (-1, 3)).mean(dim=1)
    torch.testing.assert_close(layer(x, torch.zeros(2)), plain)
    convolution = AdaptiveConvolution(1, 3, 2, adaptation)
    maps = Maps.over_time_and_frequency(x.unsqueeze(0), torch.tensor([3]))
    mean = convolution.linear(maps).values.unflatten(1, (-1, 3)).mean(dim=1)
    torch.testing.assert_close(convolution(maps, torch.zeros(1, 2)).values, mean)


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
    for wrong in ("[]", "[dense,dense]", "[head]"):
        with pytest.raises(RequestError, match="must be some of convolution, recurrent, dense"):
            tiny(*TINY, f"model.adapt={wrong}")
    settings = {"system": "listener_adaptive"}
    with pytest.raises(RequestError, match="the corpus unknown does not state them"):
        build_model(settings, {"name": "gru"}, {"name": "tanh"}, inputs=4, classes=2)
