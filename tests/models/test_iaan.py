from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sercli.config.compose import compose
from sercli.errors import RequestError
from sercli.models import build_model
from sercli.models.interface import Batch, Turns
from sercli.nn import AReLU

INPUTS, CLASSES = 6, 4
LENGTHS = {"current": [7, 2, 4], "own": [3, 5, 1], "interlocutor": [1, 2, 6]}


def new_model(*overrides: str, inputs: int = INPUTS) -> nn.Module:
    config = compose(overrides)
    return build_model(config.model, config.cell, config.activation, inputs=inputs, classes=CLASSES)


def tiny(*overrides: str) -> nn.Module:
    """An IAAN of a few units in double precision, without dropout."""
    torch.manual_seed(0)
    sizes = ("model.hidden=3", "model.context_hidden=5", "model.attention=4", "model.head=8")
    return new_model(*sizes, *overrides).double().eval()


def batch(padding: int = 0, seed: int = 0, filler: float = 0.0) -> Batch:
    """Three examples with turns of different lengths."""
    random = torch.Generator().manual_seed(seed)
    turns = {}
    for name, lengths in LENGTHS.items():
        frames = torch.full((3, max(lengths) + padding, INPUTS), filler, dtype=torch.float64)
        for i, length in enumerate(lengths):
            frames[i, :length] = torch.randn(length, INPUTS, generator=random, dtype=torch.float64)
        turns[name] = Turns(frames, torch.tensor(lengths))
    return Batch(turns["current"], turns["own"], turns["interlocutor"])


def select(whole: Batch, rows: list[int]) -> Batch:
    parts = (whole.current, whole.own, whole.interlocutor)
    return Batch(*(Turns(turns.frames[rows], turns.lengths[rows]) for turns in parts))


class Slow:
    """IAAN by its equations: one example, one step and one vector at a time.

    The GRU is that of Cho et al. (2014) with the reset after the product; the attention and
    the head are those of Yeh et al. (2019).
    """

    def __init__(self, model: nn.Module) -> None:
        self.weights = {name: value.detach() for name, value in model.state_dict().items()}

    def __call__(self, examples: Batch) -> Tensor:
        rows = range(len(examples.current.lengths))
        return torch.stack([self.example(select(examples, [row])) for row in rows])

    def example(self, one: Batch) -> Tensor:
        frames = {
            name: getattr(one, name).frames[0, : int(getattr(one, name).lengths[0])]
            for name in LENGTHS
        }
        h_p, h_r = self.context("own", frames), self.context("interlocutor", frames)
        ahead = self.gru("current", "_l0", frames["current"])
        back = self.gru("current", "_l0_reverse", frames["current"].flip(0))[::-1]
        states = [torch.cat(pair) for pair in zip(ahead, back, strict=True)]
        w = self.weights
        steering = (
            w["attention.project_own.weight"] @ h_p
            + w["attention.project_interlocutor.weight"] @ h_r
        )
        h_c = self.attend("attention", states, steering)
        return self.head(torch.cat([h_c, h_p, h_r]))

    def context(self, name: str, frames: dict[str, Tensor]) -> Tensor:
        return self.attend(f"{name}.pool", self.gru(f"{name}.cell", "_l0", frames[name]), 0.0)

    def gru(self, name: str, suffix: str, frames: Tensor) -> list[Tensor]:
        w, u, b, d = (
            self.weights[f"{name}.{part}{suffix}"]
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        h = torch.zeros(u.shape[1], dtype=torch.float64)
        states = []
        for x in frames:
            (x_r, x_z, x_c), (h_r, h_z, h_c) = (w @ x + b).chunk(3), (u @ h + d).chunk(3)
            r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
            h = z * h + (1 - z) * self.arelu(name, x_c + r * h_c)
            states.append(h)
        return states

    def arelu(self, name: str, x: Tensor) -> Tensor:
        alpha = self.weights[f"{name}.activations.l0.alpha"].clamp(0.01, 0.99)
        beta = self.weights[f"{name}.activations.l0.beta"]
        out: Tensor = torch.relu(x) * (1 + torch.sigmoid(beta)) - torch.relu(-x) * alpha
        return out

    def attend(self, name: str, states: list[Tensor], steering: Tensor | float) -> Tensor:
        w, b = self.weights[f"{name}.project.weight"], self.weights[f"{name}.project.bias"]
        u = self.weights[f"{name}.score.weight"][0]
        shares = torch.stack([(u @ torch.tanh(w @ h + steering + b)).exp() for h in states])
        return torch.stack([s * h for s, h in zip(shares / shares.sum(), states, strict=True)]).sum(
            0
        )

    def head(self, x: Tensor) -> Tensor:
        w = self.weights
        x = w["head.0.weight"] @ x + w["head.0.bias"]
        x = (x - x.mean()) / (x.var(unbiased=False) + 1e-5).sqrt()
        x = (x * w["head.2.weight"] + w["head.2.bias"]).relu()
        logits: Tensor = w["head.4.weight"] @ x + w["head.4.bias"]
        return logits


def test_logits_are_those_of_the_equations_computed_step_by_step() -> None:
    model = tiny("activation=arelu", "arelu.alpha=0.3", "arelu.beta=-0.5")
    with torch.no_grad():  # so that each encoder has an activation of its own
        for number, module in enumerate(m for m in model.modules() if isinstance(m, AReLU)):
            module.alpha.add_(0.1 * number)
            module.beta.add_(number)
    torch.testing.assert_close(model(batch()), Slow(model)(batch()), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("filler", [0.0, 1e150])
def test_padding_changes_neither_logits_nor_gradients(filler: float) -> None:
    model = tiny()
    found = []
    for examples in (batch(), batch(padding=5, filler=filler)):
        logits = model(examples)
        found.append((logits, torch.autograd.grad(logits.square().sum(), list(model.parameters()))))
    torch.testing.assert_close(found[0], found[1], atol=1e-10, rtol=1e-10)


def test_an_example_does_not_see_the_others_of_its_batch() -> None:
    model, whole = tiny(), batch()
    for row in range(3):
        alone = model(select(whole, [row]))[0]
        torch.testing.assert_close(model(whole)[row], alone, atol=1e-10, rtol=1e-10)


def test_every_parameter_receives_a_gradient() -> None:
    model = tiny("activation=arelu", "arelu.alpha=0.5")
    model(batch()).square().sum().backward()
    assert not [
        name for name, p in model.named_parameters() if p.grad is None or (p.grad == 0).all()
    ]


def test_the_two_context_turns_have_encoders_of_their_own() -> None:
    model, one = tiny(), batch()
    swapped = Batch(current=one.current, own=one.interlocutor, interlocutor=one.own)
    assert not torch.allclose(model(one), model(swapped), atol=1e-4)


def test_the_activation_is_learned_by_each_of_the_three_encoders_alone() -> None:
    names = [name for name, _ in tiny("activation=arelu").named_parameters() if "alpha" in name]
    assert names == [
        "current.activations.l0.alpha",
        "own.cell.activations.l0.alpha",
        "interlocutor.cell.activations.l0.alpha",
    ]


def test_dropout_acts_in_training_only() -> None:
    model = tiny("model.dropout=0.5")
    assert torch.equal(model(batch()), model(batch()))
    model.train()
    assert not torch.equal(model(batch()), model(batch()))


def test_the_head_starts_as_in_the_official_code() -> None:
    torch.manual_seed(0)
    model = new_model("model=iaan")
    state = model.state_dict()
    weights = state["head.0.weight"]
    assert (state["head.0.bias"] == 0.1).all()
    assert (state["head.4.bias"] == 0.1).all()
    assert weights.abs().max() <= 0.2
    assert weights.std().item() == pytest.approx(0.088, abs=0.001)  # N(0, 0.1) cut at two σ


def test_the_model_of_the_paper_has_its_sizes() -> None:
    state = new_model("model=iaan", "activation=arelu", inputs=45).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    expected: dict[str, Any] = {
        "current.weight_ih_l0": (3 * 256, 45),
        "current.weight_hh_l0_reverse": (3 * 256, 256),
        "own.cell.weight_ih_l0": (3 * 512, 45),
        "own.cell.weight_hh_l0": (3 * 512, 512),
        "own.pool.project.weight": (16, 512),
        "interlocutor.cell.weight_hh_l0": (3 * 512, 512),
        "interlocutor.pool.project.weight": (16, 512),
        "attention.project.weight": (16, 512),
        "attention.project_own.weight": (16, 512),
        "attention.project_interlocutor.weight": (16, 512),
        "head.0.weight": (64, 512 + 512 + 512),
        "head.4.weight": (4, 64),
    }
    assert {name: shapes[name] for name in expected} == expected
    assert not [name for name in shapes if name.startswith("own.cell") and "reverse" in name]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.hidden=0", "model.hidden=0: must be 1 or more"),
        ("model.context_hidden=-1", "model.context_hidden=-1: must be 1 or more"),
        ("model.attention=0", "model.attention=0: must be 1 or more"),
        ("model.head=0", "model.head=0: must be 1 or more"),
        ("model.dropout=1", r"model.dropout=1: must be in \[0, 1\)"),
        ("model.dropout=-0.1", r"model.dropout=-0.1: must be in \[0, 1\)"),
        ("model.context=some", "model.context=some: must be one of full, steer, none"),
        ("model.head_l2=-1", "model.head_l2=-1: must be 0 or more"),
    ],
)
def test_sizes_and_shares_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        new_model(override)


class SlowAblation(Slow):
    """The ablations: the head reads the current turn alone, with any attention."""

    def example(self, one: Batch) -> Tensor:
        frames = {
            name: getattr(one, name).frames[0, : int(getattr(one, name).lengths[0])]
            for name in LENGTHS
        }
        ahead = self.gru("current", "_l0", frames["current"])
        back = self.gru("current", "_l0_reverse", frames["current"].flip(0))[::-1]
        states = [torch.cat(pair) for pair in zip(ahead, back, strict=True)]
        steering: Tensor | float = 0.0
        if "attention.project_own.weight" in self.weights:
            steering = self.weights["attention.project_own.weight"] @ self.context(
                "own", frames
            ) + self.weights["attention.project_interlocutor.weight"] @ self.context(
                "interlocutor", frames
            )
        return self.head(self.attend("attention", states, steering))


@pytest.mark.parametrize("context", ["steer", "none"])
def test_the_ablations_are_those_of_their_equations(context: str) -> None:
    model = tiny("activation=arelu", f"model.context={context}")
    torch.testing.assert_close(model(batch()), SlowAblation(model)(batch()), atol=1e-9, rtol=1e-9)


def test_without_context_there_is_nothing_to_hear_it_with() -> None:
    model, one = tiny("model.context=none"), batch()
    other = Batch(one.current, own=one.interlocutor, interlocutor=one.own)
    assert torch.equal(model(one), model(other))
    assert {name.partition(".")[0] for name in model.state_dict()} == {
        "current",
        "attention",
        "head",
    }


@pytest.mark.parametrize("context", ["full", "steer", "none"])
def test_every_parameter_of_every_variant_receives_a_gradient(context: str) -> None:
    model = tiny(f"model.context={context}", "model.bidirectional=false", "activation=tanh")
    model(batch()).square().sum().backward()
    assert not [
        name for name, p in model.named_parameters() if p.grad is None or (p.grad == 0).all()
    ]
