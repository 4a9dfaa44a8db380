"""IAAN's official code, re-computed in NumPy as that code writes it, against ``iaan_repo``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from helpers.toy import batch_of

from sercli.config.compose import compose
from sercli.config.schema import Config
from sercli.models import build_model
from sercli.models.iaan import IAAN
from sercli.models.interface import Output, as_output
from sercli.training.batches import CUT_TO_LAST
from sercli.training.data import Data
from sercli.training.loss import TrainingLoss

Array = np.ndarray[Any, np.dtype[np.float64]]
CPU = torch.device("cpu")
TINY = ("model.hidden=3", "model.context_hidden=3", "model.attention=4", "model.head=6")
NAMES = ["s1a0", "s2b3", "s1a3", "s4a5", "s1a1"]
"""Turns of the toy corpus, among them some without context; the last is not the longest."""


def tiny(*overrides: str) -> IAAN:
    """An ``iaan_repo`` of a few units in double precision, away from its initial zeros."""
    config = compose(["model=iaan_repo", "activation=tanh", *TINY, *overrides])
    torch.manual_seed(0)
    model = build_model(config.model, config.cell, config.activation, inputs=5, classes=4)
    assert isinstance(model, IAAN)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.double().eval()


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array) -> Array:
    shares = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


class GRUCell:
    """TensorFlow's GRUCell, with its own two kernels.

    The first maps [x, h] to r and u, in this order; the second [x, r∘h] to the candidate; and u
    keeps the old state.
    """

    def __init__(self, weights: Mapping[str, Array], name: str) -> None:
        w, u = weights[f"{name}.weight_ih_l0"], weights[f"{name}.weight_hh_l0"]
        bias = weights[f"{name}.bias_ih_l0"]
        hidden = u.shape[1]
        self.gate_kernel = np.concatenate([w[: 2 * hidden], u[: 2 * hidden]], axis=1).T
        self.gate_bias = bias[: 2 * hidden]
        self.candidate_kernel = np.concatenate([w[2 * hidden :], u[2 * hidden :]], axis=1).T
        self.candidate_bias = bias[2 * hidden :]

    def step(self, x: Array, h: Array) -> Array:
        gates = sigmoid(np.concatenate([x, h], axis=1) @ self.gate_kernel + self.gate_bias)
        r, u = np.split(gates, 2, axis=1)
        c = np.tanh(
            np.concatenate([x, r * h], axis=1) @ self.candidate_kernel + self.candidate_bias
        )
        return np.asarray(u * h + (1 - u) * c)

    def dynamic_rnn(self, x: Array) -> Array:
        h = np.zeros((len(x), len(self.candidate_bias)))
        outputs = []
        for t in range(x.shape[1]):
            h = self.step(x[:, t], h)
            outputs.append(h)
        return np.stack(outputs, axis=1)


def official_code(model: IAAN, centre: Array, target: Array, opposite: Array) -> Array:
    """Compute the logits from three padded arrays (B, T, features) of one length T."""
    w = {name: value.numpy() for name, value in model.state_dict().items()}

    def context(name: str, frames: Array) -> Array:
        outputs = GRUCell(w, f"{name}.cell").dynamic_rnn(frames)
        projected = outputs @ w[f"{name}.pool.project.weight"].T + w[f"{name}.pool.project.bias"]
        alphas = softmax(np.tanh(projected) @ w[f"{name}.pool.score.weight"][0])
        return np.asarray((outputs * alphas[..., None]).sum(axis=1))

    h_p, h_r = context("own", target), context("interlocutor", opposite)
    mask = np.sign(np.abs(centre.sum(axis=-1)))
    out = GRUCell(w, "current").dynamic_rnn(centre) * mask[..., None]
    v = np.tanh(
        out @ w["attention.project.weight"].T
        + (h_p[:, None] * mask[..., None]) @ w["attention.project_own.weight"].T
        + (h_r[:, None] * mask[..., None]) @ w["attention.project_interlocutor.weight"].T
        + w["attention.project.bias"]
    )
    scores = np.where(mask == 0, -10e8, v @ w["attention.score.weight"][0])
    h_c = (out * softmax(scores)[..., None]).sum(axis=1)
    dense = np.concatenate([h_c, h_p, h_r], axis=1) @ w["head.0.weight"].T + w["head.0.bias"]
    moved = dense - dense.mean(axis=1, keepdims=True)
    normed = moved / np.sqrt(dense.var(axis=1, keepdims=True) + 1e-12)
    normed = normed * w["head.2.weight"] + w["head.2.bias"]
    return np.asarray(np.maximum(normed, 0) @ w["head.4.weight"].T + w["head.4.bias"])


def padded(data: Data, names: list[str]) -> list[Array]:
    """The three arrays of a batch as the code's generator makes them."""
    context = data.context.loc[names]
    pad = np.zeros((9, data.features))
    lengths = [
        max(len(data.steps.get(str(turn), pad)) for turn in (name, *context.loc[name]))
        for name in names
    ]
    arrays = []
    for column in (names, context["own"].tolist(), context["interlocutor"].tolist()):
        array = np.zeros((len(names), max(lengths), data.features))
        for row, turn in zip(array, column, strict=True):
            frames = data.steps.get(turn, pad)
            row[: len(frames)] = frames
        arrays.append(array[:, : lengths[-1]])
    return arrays


def logits_of(model: IAAN, data: Data, names: list[str]) -> Output:
    batch = batch_of(names, data, CUT_TO_LAST)
    for turns in (batch.current, batch.own, batch.interlocutor):
        object.__setattr__(turns, "frames", turns.frames.double())
    return as_output(model(batch))


def test_a_step_is_that_of_tensorflows_cell() -> None:
    model = tiny()
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    random = np.random.default_rng(0)
    x, h = random.normal(size=(2, 5)), random.normal(size=(2, 3))

    given = torch.from_numpy(x)[:, None], torch.from_numpy(h)[None]
    states, _ = model.own.cell(*given)

    expected = GRUCell(weights, "own.cell").step(x, h)
    np.testing.assert_allclose(states[:, 0].detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("names", [NAMES, NAMES[::-1], NAMES[:2]])
def test_logits_are_those_of_the_official_code(toy: Data, names: list[str]) -> None:
    model = tiny()
    arrays = padded(toy, names)

    found = logits_of(model, toy, names).logits.detach().numpy()

    np.testing.assert_allclose(found, official_code(model, *arrays), rtol=1e-9)


def test_the_loss_is_that_of_the_official_code(
    toy: Data, toy_config: Callable[..., Config]
) -> None:
    model = tiny()
    trainer = toy_config("trainer=iaan_repo").trainer
    logits = official_code(model, *padded(toy, NAMES))
    index = [toy.manifest.classes.index(toy.labels[name]) for name in NAMES]
    q = 0.9 * np.eye(4)[index] + 0.1 / 4
    cross_entropy = -(q * np.log(softmax(logits))).sum(axis=1).mean()
    head = [model.get_parameter(f"head.{n}.{kind}") for n in (0, 4) for kind in ("weight", "bias")]
    l2 = sum(float(parameter.detach().square().sum()) / 2 for parameter in head)

    loss = TrainingLoss(trainer, toy, NAMES, CPU)
    found, _ = loss.total(logits_of(model, toy, NAMES), loss.criterion(toy.packed.rows(NAMES)))

    assert found.item() == pytest.approx(cross_entropy + 1e-3 * l2, rel=1e-9)


def test_the_penalty_pulls_weights_and_biases_of_the_head_alone(toy: Data) -> None:
    model = tiny()
    penalty = logits_of(model, toy, NAMES).losses["head_l2"]

    penalty.backward()  # type: ignore[no-untyped-call]

    pulled = {name: p for name, p in model.named_parameters() if p.grad is not None}
    assert set(pulled) == {"head.0.weight", "head.0.bias", "head.4.weight", "head.4.bias"}
    for parameter in pulled.values():
        torch.testing.assert_close(parameter.grad, 1e-3 * parameter.detach())


def test_an_example_depends_on_the_lengths_in_its_batch_only_without_a_mask(toy: Data) -> None:
    for overrides, same in (([], False), (["model.mask_context=true"], True)):
        model = tiny(*overrides)
        batch = [batch_of(names, toy) for names in (NAMES, NAMES[:1])]
        for turns in (t for b in batch for t in (b.current, b.own, b.interlocutor)):
            object.__setattr__(turns, "frames", turns.frames.double())
        together, alone = (as_output(model(each)).logits[0] for each in batch)
        assert torch.allclose(together, alone, atol=1e-9) is same


def test_what_stands_in_the_padding_is_zero_whatever_it_was(toy: Data) -> None:
    model = tiny()
    clean, dirty = (batch_of(NAMES, toy) for _ in range(2))
    for batch, filler in ((clean, 0.0), (dirty, 1e9)):
        for turns in (batch.current, batch.own, batch.interlocutor):
            frames = turns.frames.double().masked_fill(~turns.valid.unsqueeze(-1), filler)
            object.__setattr__(turns, "frames", frames)
    torch.testing.assert_close(model(clean).logits, model(dirty).logits, atol=0, rtol=0)


def test_it_starts_as_tensorflow_does_and_has_the_sizes_of_the_code() -> None:
    config = compose(["model=iaan_repo", "activation=tanh"])
    torch.manual_seed(0)
    model = build_model(config.model, config.cell, config.activation, inputs=45, classes=4)
    state = model.state_dict()

    for name in ("current", "own.cell", "interlocutor.cell"):
        assert state[f"{name}.weight_hh_l0"].shape == (3 * 512, 512)
        assert f"{name}.bias_hh_l0" not in state
        bias = state[f"{name}.bias_ih_l0"]
        assert (bias[: 2 * 512] == 1).all()
        assert (bias[2 * 512 :] == 0).all()
        for rows, outputs in ((slice(0, 1024), 1024), (slice(1024, None), 512)):
            bound = (6 / (45 + 512 + outputs)) ** 0.5
            for part in ("weight_ih", "weight_hh"):
                drawn = state[f"{name}.{part}_l0"][rows].abs()
                assert bound * 0.99 < drawn.max() <= bound
    assert not [key for key in state if "reverse" in key]
    assert state["head.0.weight"].shape == (64, 3 * 512)
