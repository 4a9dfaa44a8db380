from __future__ import annotations

import pytest
import torch
from helpers.reference_models import (
    Weights,
    both_directions,
    gru,
    linear,
    random_batch,
    run_with_criterion,
    sequences,
    sigmoid,
    softmax_sum,
    tiny,
    weights_of,
)
from torch import Tensor
from torch.nn import functional as F

from sercli.errors import RequestError
from sercli.models.maec import PriorAdversary

TURNS = ("current", "own", "interlocutor")
TINY = (
    "model=maec",
    "cell=gru",
    "activation=tanh",
    *("model.channels=5", "model.dilations=[1,3]", "model.hidden=3", "model.attention=4"),
    *("model.bottleneck=2", "model.code=4"),
)


def convolved(w: Weights, name: str, frames: Tensor) -> Tensor:
    for layer, dilation in enumerate((1, 3)):
        weight, bias = w[f"{name}.{layer}.weight"], w[f"{name}.{layer}.bias"]
        out = []
        for t in range(len(frames)):
            total = bias.clone()
            for tap, at in enumerate((t - dilation, t, t + dilation)):
                if 0 <= at < len(frames):
                    total = total + weight[:, :, tap] @ frames[at]
            out.append(total.clamp(min=0))
        frames = torch.stack(out)
    return frames


def encoded(w: Weights, name: str, frames: Tensor) -> Tensor:
    frames = convolved(w, f"{name}.convolve.layers", frames)
    states = both_directions(gru, w, f"{name}.recurrent", frames)
    u = w[f"{name}.pool.score.weight"][0]
    return softmax_sum(
        [u @ torch.tanh(linear(w, f"{name}.pool.project", h)) for h in states], states
    )


def test_all_logits_are_those_of_the_equations_computed_step_by_step() -> None:
    model, batch = tiny(*TINY), random_batch(padding=4)
    w = weights_of(model)
    found, criterion = run_with_criterion(model, batch)
    ((_, gender),) = criterion.calls
    for i in range(3):
        x = torch.cat([encoded(w, name, sequences(getattr(batch, name))[i]) for name in TURNS])
        x = x + x * sigmoid(linear(w, "gate.widen", linear(w, "gate.narrow", x).clamp(min=0)))
        code = linear(w, "encode.1", x)
        close(found.logits[i], linear(w, "head", code))
        close(gender[i], linear(w, "tasks.heads.gender", code))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


def test_the_adversary_acts_in_training_only() -> None:
    model, batch = tiny(*TINY), random_batch()
    assert "adversary" not in model(batch).losses
    assert run_with_criterion(model.train(), batch)[0].losses["adversary"] > 0
    without = tiny(*TINY, "model.adversary_weight=0").train()
    assert "adversary" not in run_with_criterion(without, batch)[0].losses
    assert not [name for name in weights_of(without) if "adversary" in name]


def test_the_loss_of_the_adversary_is_its_cross_entropy_on_codes_and_draws() -> None:
    torch.manual_seed(0)
    adversary, codes = PriorAdversary(4, 3).double(), torch.randn(5, 4, dtype=torch.float64)
    torch.manual_seed(1)
    loss = adversary(codes)
    torch.manual_seed(1)
    drawn = torch.randn_like(codes)
    probabilities = [sigmoid(adversary.judge(part)).squeeze(-1) for part in (drawn, codes)]
    expected = -torch.cat([probabilities[0].log(), (1 - probabilities[1]).log()]).mean()
    torch.testing.assert_close(loss, expected)


def test_the_judge_learns_to_tell_and_the_codes_to_mislead() -> None:
    torch.manual_seed(0)
    adversary, codes = PriorAdversary(4, 3), torch.randn(5, 4, requires_grad=True)
    torch.manual_seed(1)
    adversary(codes).backward()
    torch.manual_seed(1)
    drawn = torch.randn_like(codes)
    honest = codes.detach().clone().requires_grad_()
    scores = adversary.judge(torch.cat([drawn, honest])).squeeze(-1)
    truth = torch.tensor([1.0] * 5 + [0.0] * 5)
    inputs = [honest, *adversary.parameters()]
    found = [codes.grad, *(value.grad for value in adversary.parameters())]
    towards = torch.autograd.grad(F.binary_cross_entropy_with_logits(scores, truth), inputs)
    torch.testing.assert_close(found, [-towards[0], *towards[1:]])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.code=0", "model.code=0: must be 1 or more"),
        ("model.dilations=[]", r"model.dilations=\[\]: must be numbers from 1 up"),
        ("model.dilations=[1,0]", r"model.dilations=\[1, 0\]: must be numbers from 1 up"),
        ("model.dilations=2", "model.dilations=2: expected list or tuple, not int"),
        ("model.adversary_weight=-0.1", "model.adversary_weight=-0.1: must be 0 or more"),
        ("model.gender_weight=nan", "model.gender_weight=nan: must be 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny("model=maec", override)
