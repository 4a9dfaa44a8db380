"""Parts of networks by their equations: one sequence, one step and one vector at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from sercli.config.compose import compose
from sercli.config.schema import Config
from sercli.models import build_model
from sercli.models.interface import Batch, CorpusInfo, Output, Turns, as_output
from sercli.resources import packaged

CLASSES = 4
INPUTS = 6
LENGTHS = {"current": [7, 2, 4], "own": [3, 5, 1], "interlocutor": [1, 2, 6]}
STREAMS = {"text": 5, "vector": 4}
"""Name of a further stream → features of its steps; a model reads those that it names."""
STREAM_LENGTHS = {"text": [3, 5, 1], "vector": [1, 1, 1]}
VALUES = {
    "speaker": ("s1", "s2", "s3", "s4", "s5"),
    "gender": ("female", "male"),
    "rater": ("r1", "r2", "r3"),
}

Weights = Mapping[str, Tensor]
Cell = Callable[[Weights, str, str, Tensor], list[Tensor]]
"""Runs over frames (T, I) with the weights of a layer and the suffix of a direction."""

sigmoid = torch.sigmoid


def toy_corpus(inputs: int = INPUTS, streams: Sequence[str] = ()) -> CorpusInfo:
    names = [f"{'fa' if i < 2 else 'fb'}{i}" for i in range(inputs)]
    sizes = {name: STREAMS[name] for name in streams if name in STREAMS}
    return CorpusInfo(
        "toy", "tiny", lambda column: VALUES.get(column, ()), lambda: names, streams=sizes
    )


def reads_streams(choice: str) -> bool:
    """Return True if a choice of ``conf/model`` reads further streams."""
    file = packaged("conf") / "model" / f"{choice.removesuffix('_small')}.yaml"
    return bool(yaml.safe_load(file.read_text(encoding="utf-8")).get("streams"))


@cache
def _composed(*overrides: str) -> Config:
    """The same configuration for all tests of a model: composing takes longer than most of them."""
    return compose(overrides)


def tiny(
    *overrides: str,
    inputs: int = INPUTS,
    cell: Mapping[str, Any] | None = None,
    activation: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A model in double precision, ready to predict, whose weights are all of some size.

    ``cell`` and ``activation`` replace the nodes of the configuration.
    """
    config = _composed(*overrides)
    torch.manual_seed(0)
    model = build_model(
        config.model,
        cell or config.cell,
        activation or config.activation,
        inputs=inputs,
        classes=CLASSES,
        corpus=toy_corpus(inputs, config.model.get("streams", ())),
    )
    with torch.no_grad():  # far from zero, so that no term can hide
        for value in model.parameters():
            value.mul_(2)
    return model.double().eval()


def count_parameters(*overrides: str, inputs: int, classes: int, **streams: int) -> int:
    """The number of trainable parameters of a model, whose weights are not made."""
    config = _composed(*overrides)
    with torch.device("meta"):
        model = build_model(
            *(config.model, config.cell, config.activation),
            inputs=inputs,
            classes=classes,
            corpus=CorpusInfo(streams=streams),
        )
    return sum(value.numel() for value in model.parameters() if value.requires_grad)


def random_batch(padding: int = 0, filler: float = 0.0, inputs: int = INPUTS) -> Batch:
    """Three examples with turns and streams of different lengths."""
    random = torch.Generator().manual_seed(0)

    def padded(lengths: list[int], features: int) -> Turns:
        frames = torch.full((3, max(lengths) + padding, features), filler, dtype=torch.float64)
        for i, n in enumerate(lengths):
            frames[i, :n] = torch.randn(n, features, generator=random, dtype=torch.float64)
        return Turns(frames, torch.tensor(lengths))

    turns = [padded(LENGTHS[name], inputs) for name in ("current", "own", "interlocutor")]
    streams = {name: padded(STREAM_LENGTHS[name], size) for name, size in STREAMS.items()}
    return Batch(*turns, streams=streams)


class RecordingCriterion:
    """A criterion that keeps the logits of each call; the loss is the sum of their squares."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Tensor]] = []

    def __call__(self, column: str, logits: Tensor) -> Tensor:
        self.calls.append((column, logits))
        return logits.square().sum()


def run_with_criterion(model: nn.Module, batch: Batch) -> tuple[Output, RecordingCriterion]:
    """Run a model as the trainer does: the batch has a criterion."""
    criterion = RecordingCriterion()
    return as_output(model(replace(batch, criterion=criterion))), criterion


def select(whole: Batch, rows: list[int]) -> Batch:
    def picked(turns: Turns) -> Turns:
        return Turns(turns.frames[rows], turns.lengths[rows])

    return Batch(
        *(picked(turns) for turns in (whole.current, whole.own, whole.interlocutor)),
        streams={name: picked(turns) for name, turns in whole.streams.items()},
    )


def sequences(turns: Turns) -> list[Tensor]:
    """The real frames of each turn."""
    return [frames[:n] for frames, n in zip(turns.frames, turns.lengths.tolist(), strict=True)]


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in model.state_dict().items()}


def assert_logits(
    model: nn.Module,
    expected: Callable[..., Tensor],
    *,
    streams: Sequence[str] = (),
    padding: int = 2,
    filler: float = 0.0,
) -> None:
    """Compare the logits of a padded batch with those of each turn by the equations.

    Args:
        model: The model, in evaluation mode.
        expected: The equations: weights and the frames of a turn (T, inputs), then the steps of
            each further stream (T', features) → its logits.
        streams: Names of the further streams.
        padding: Steps of padding after the longest turn.
        filler: Value of the padding.
    """
    w, batch = weights_of(model), random_batch(padding, filler)
    parts = [batch.current, *(batch.streams[name] for name in streams)]
    turns = zip(*(sequences(part) for part in parts), strict=True)
    wanted = torch.stack([expected(w, *steps) for steps in turns])
    found = as_output(model(batch)).logits
    torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-9)


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return w[f"{name}.weight"] @ x + w[f"{name}.bias"]


def softmax_sum(scores: Sequence[Tensor], vectors: Sequence[Tensor]) -> Tensor:
    """Σ_t softmax_t(scores) vectors_t."""
    stacked = torch.stack(list(scores))
    shares = (stacked - stacked.max()).exp()
    total = shares.sum()
    return torch.stack([s / total * v for s, v in zip(shares, vectors, strict=True)]).sum(0)


def attended(w: Weights, name: str, states: Sequence[Tensor], heads: int) -> list[Tensor]:
    """Multi-head self-attention with the weights of torch's module, one query at a time."""
    size = len(states[0]) // heads
    weight, bias = w[f"{name}.in_proj_weight"], w[f"{name}.in_proj_bias"]
    projected = torch.stack([weight @ x + bias for x in states])
    query, key, value = projected.view(len(states), 3, heads, size).unbind(1)
    rows = []
    for t in range(len(states)):
        parts = [
            softmax_sum([query[t, h] @ each / size**0.5 for each in key[:, h]], list(value[:, h]))
            for h in range(heads)
        ]
        rows.append(linear(w, f"{name}.out_proj", torch.cat(parts)))
    return rows


def multi_head(
    w: Weights,
    name: str,
    queries: Sequence[Tensor],
    keys: Sequence[Tensor],
    values: Sequence[Tensor],
    *,
    heads: int,
    keep: float = 1.0,
) -> list[Tensor]:
    """`sercli.nn.multi_head`, one head and one query at a time."""

    def split(part: str, steps: Sequence[Tensor]) -> Tensor:
        return torch.stack([linear(w, f"{name}.{part}", x).view(heads, -1) for x in steps])

    q, k, v = split("query", queries), split("key", keys), split("value", values)
    found: list[list[Tensor]] = [[] for _ in queries]
    for h in range(heads):
        scores = torch.stack([k[:, h] @ each / q.shape[2] ** 0.5 for each in q[:, h]])
        weights = scores.exp() / scores.exp().sum(1, keepdim=True)
        sums = weights.sum(0).tolist()
        least = sorted(sums, reverse=True)[max(int(keep * len(sums)), 1) - 1]
        for row, each in zip(found, weights, strict=True):
            kept = [a * x for a, x, s in zip(each, v[:, h], sums, strict=True) if s >= least]
            row.append(torch.stack(kept).sum(0))
    return [linear(w, f"{name}.output", torch.cat(row)) for row in found]


def transformer_layer(
    w: Weights,
    name: str,
    x: Sequence[Tensor],
    queries: Sequence[Tensor],
    keys: Sequence[Tensor],
    values: Sequence[Tensor],
    *,
    heads: int,
    keep: float = 1.0,
) -> list[Tensor]:
    """`sercli.nn.transformer.TransformerLayer`, one step at a time."""
    found = multi_head(w, f"{name}.attend", queries, keys, values, heads=heads, keep=keep)
    rows = []
    for old, new in zip(x, found, strict=True):
        h = layer_norm(w, f"{name}.attended", old + new)
        fed = linear(w, f"{name}.feed.3", linear(w, f"{name}.feed.0", h).clamp(min=0))
        rows.append(layer_norm(w, f"{name}.fed", h + fed))
    return rows


def layer_norm(w: Weights, name: str, x: Tensor) -> Tensor:
    away = x - x.mean()
    return w[f"{name}.weight"] * away / (away.square().mean() + 1e-5).sqrt() + w[f"{name}.bias"]


def sinusoids(steps: Sequence[Tensor]) -> list[Tensor]:
    """The position of each step: sin and cos of t / 10000^(2i/size) in turn."""
    size = len(steps[0])
    return [
        torch.tensor(
            [
                (math.cos if j % 2 else math.sin)(t / 10000 ** ((j - j % 2) / size))
                for j in range(size)
            ],
            dtype=torch.float64,
        )
        for t in range(len(steps))
    ]


def convolved(w: Weights, name: str, maps: Tensor) -> Tensor:
    """A convolution of maps (C, T, F) with zeros around them, one position at a time.

    An even kernel reads one position more after its own than before it.
    """
    kernel = w[f"{name}.convolve.weight"]
    time, frequency = kernel.shape[2:]
    before, left = (time - 1) // 2, (frequency - 1) // 2
    around = torch.zeros(len(maps), maps.shape[1] + time, maps.shape[2] + frequency).to(maps)
    around[:, before : before + maps.shape[1], left : left + maps.shape[2]] = maps
    bias = w.get(f"{name}.convolve.bias", 0.0)
    rows = [
        torch.stack(
            [
                (kernel * around[:, t : t + time, f : f + frequency]).sum((1, 2, 3)) + bias
                for f in range(maps.shape[2])
            ],
            dim=1,
        )
        for t in range(maps.shape[1])
    ]
    return torch.stack(rows, dim=1)


def normalised(w: Weights, name: str, maps: Tensor, eps: float = 1e-5) -> Tensor:
    """Batch normalisation in evaluation of maps (C, …), one channel at a time."""
    rows = []
    for c, values in enumerate(maps):
        deviation = (w[f"{name}.running_var"][c] + eps).sqrt()
        away = (values - w[f"{name}.running_mean"][c]) / deviation
        rows.append(w[f"{name}.weight"][c] * away + w[f"{name}.bias"][c])
    return torch.stack(rows)


def block(w: Weights, name: str, maps: Tensor, eps: float = 1e-5) -> Tensor:
    """Convolution, batch normalisation, ReLU."""
    return normalised(w, f"{name}.norm", convolved(w, f"{name}.convolution", maps), eps).clamp(0)


def in_windows(maps: Tensor, time: int, frequency: int, take: Callable[[Tensor], Tensor]) -> Tensor:
    """Reduce windows of maps (C, T, F) to one value per channel; the last may be smaller."""
    steps = [maps[:, t : t + time] for t in range(0, maps.shape[1], time)]
    return torch.stack(
        [
            torch.stack(
                [
                    take(step[:, :, f : f + frequency].flatten(1))
                    for f in range(0, maps.shape[2], frequency)
                ],
                dim=1,
            )
            for step in steps
        ],
        dim=1,
    )


def parallel_then_series(w: Weights, name: str, maps: Tensor, axis: int) -> Tensor:
    """The extractor of Li et al. (2018); ``axis`` is where the first two convolutions join."""
    maps = torch.cat([block(w, f"{name}.{part}", maps) for part in ("tall", "wide")], dim=axis)
    for i in range(4):
        maps = block(w, f"{name}.series.{i}", maps)
        maps = in_windows(maps, 2, 2, lambda window: window.amax(dim=1)) if i < 2 else maps
    return maps


def random_averages(model: nn.Module) -> nn.Module:
    """Set the running averages of batch normalisation to random values, as after training."""
    for name, value in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            nn.init.uniform_(value, 0.5, 1.5)
    return model


def both_directions(cell: Cell, w: Weights, name: str, frames: Tensor) -> list[Tensor]:
    ahead = cell(w, name, "_l0", frames)
    back = cell(w, name, "_l0_reverse", frames.flip(0))[::-1]
    return [torch.cat(pair) for pair in zip(ahead, back, strict=True)]


def gru(w: Weights, name: str, suffix: str, frames: Tensor) -> list[Tensor]:
    """Cho et al. (2014) with the reset after the product, and tanh."""
    h, states = torch.zeros(w[f"{name}.weight_hh{suffix}"].shape[1], dtype=torch.float64), []
    for x in frames:
        x_r, x_z, x_c = _inputs(w, name, suffix, x).chunk(3)
        h_r, h_z, h_c = _recurrent(w, name, suffix, h).chunk(3)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        h = z * h + (1 - z) * torch.tanh(x_c + r * h_c)
        states.append(h)
    return states


def lstm(w: Weights, name: str, suffix: str, frames: Tensor) -> list[Tensor]:
    """Hochreiter and Schmidhuber (1997) with a forget gate, as torch orders it, and tanh."""
    h = c = torch.zeros(w[f"{name}.weight_hh{suffix}"].shape[1], dtype=torch.float64)
    states = []
    for x in frames:
        h, c = lstm_step(w, name, suffix, x, h, c)
        states.append(h)
    return states


def lstm_step(
    w: Weights, name: str, suffix: str, x: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    i, f, g, o = (_inputs(w, name, suffix, x) + _recurrent(w, name, suffix, h)).chunk(4)
    c = sigmoid(f) * c + sigmoid(i) * torch.tanh(g)
    return sigmoid(o) * torch.tanh(c), c


def a_lstm(w: Weights, name: str, suffix: str, frames: Tensor) -> list[Tensor]:
    """Tao and Liu (2018): a softmax over the states 1, 3 and 5 steps ago."""
    score = w[f"{name}.weight_score{suffix}"][:, 0]
    zero = torch.zeros(len(score), dtype=torch.float64)
    hs, cs = [zero] * 5, [zero] * 5
    for x in frames:
        h, c = (
            softmax_sum([score @ past[-lag] for lag in (1, 3, 5)], [past[-1], past[-3], past[-5]])
            for past in (hs, cs)
        )
        h, c = lstm_step(w, name, suffix, x, h, c)
        hs.append(h)
        cs.append(c)
    return hs[5:]


def lstm_at(w: Weights, name: str, suffix: str, frames: Tensor) -> list[Tensor]:
    """Xie et al. (2019): f = σ(V tanh(W c)) mixes; V and W are kept transposed."""
    W, V = (w[f"{name}.weight_{part}{suffix}"].T for part in "WV")
    h = c = torch.zeros(len(W), dtype=torch.float64)
    states = []
    for x in frames:
        g, o = (_inputs(w, name, suffix, x) + _recurrent(w, name, suffix, h)).chunk(2)
        f = sigmoid(V @ torch.tanh(W @ c))
        c = f * c + (1 - f) * torch.tanh(g)
        h = sigmoid(o) * torch.tanh(c)
        states.append(h)
    return states


def _inputs(w: Weights, name: str, suffix: str, x: Tensor) -> Tensor:
    return w[f"{name}.weight_ih{suffix}"] @ x + w[f"{name}.bias_ih{suffix}"]


def _recurrent(w: Weights, name: str, suffix: str, h: Tensor) -> Tensor:
    return w[f"{name}.weight_hh{suffix}"] @ h + w[f"{name}.bias_hh{suffix}"]
