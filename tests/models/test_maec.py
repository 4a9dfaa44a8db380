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

from sercli.config.compose import compose
from sercli.errors import RequestError
from sercli.models.interface import as_output
from sercli.models.maec import DilatedBlock, PriorAdversary
from sercli.nn.convolution import Maps

TINY = (
    *("model=maec", "cell=gru", "activation=tanh"),
    *("model.filters=5", "model.channels=4", "model.hidden=3", "model.adversary_units=2"),
)


def instances(w: Weights, frames: Tensor) -> list[Tensor]:
    """h_i of a window of five frames around each; outside of the turn, the filters are zero."""

    def one(name: str, x: Tensor) -> Tensor:
        return w[f"{name}.convolve.weight"][:, :, 0] @ x + w[f"{name}.convolve.bias"]

    filtered = [one("convolve.first", x).clamp(min=0) for x in frames]
    found = []
    for i, x in enumerate(frames):
        inner = w["convolve.dilated.convolve.bias"].clone()
        for tap, at in enumerate((i - 2, i, i + 2)):
            if 0 <= at < len(frames):
                inner += w["convolve.dilated.convolve.weight"][:, :, tap] @ filtered[at]
        h = one("convolve.last", inner.clamp(min=0)) + one("convolve.shortcut", x)
        found.append(h.clamp(min=0))
    return found


def encoded(w: Weights, frames: Tensor) -> Tensor:
    bag = instances(w, frames)
    keys = both_directions(gru, w, "keys", torch.stack(bag))
    queries = [linear(w, "queries", h) for h in bag]
    root = len(keys[0]) ** 0.5
    attended = [softmax_sum([q @ k / root for k in keys], keys) for q in queries]
    return torch.stack(attended).mean(0) * torch.stack(keys).mean(0)


def test_all_logits_are_those_of_the_equations_computed_step_by_step() -> None:
    model, batch = tiny(*TINY), random_batch(padding=4, filler=9.0)
    w = weights_of(model)
    found, criterion = run_with_criterion(model, batch)
    ((_, gender),) = criterion.calls
    for i in range(3):
        current, own, other = (
            encoded(w, sequences(turns)[i])
            for turns in (batch.current, batch.own, batch.interlocutor)
        )
        interaction = (own * other).exp() / (own * other).exp().sum()
        code = torch.cat([current * interaction, current])
        close(found.logits[i], linear(w, "head", code))
        close(gender[i], linear(w, "tasks.heads.gender", code))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


def test_the_block_over_a_turn_is_that_over_each_window_of_five_frames() -> None:
    torch.manual_seed(0)
    block, frames = DilatedBlock(3, 5, 4), torch.randn(1, 9, 3)
    whole = block(Maps.over_time(frames, torch.tensor([9]))).steps[0, 2:-2]
    windows = frames[0].unfold(0, 5, 1).transpose(1, 2)
    apart = block(Maps.over_time(windows, torch.full((5,), 5))).steps[:, 2]
    torch.testing.assert_close(whole, apart)


def test_the_model_of_the_paper_has_its_sizes() -> None:
    w = weights_of(tiny("model=maec", "activation=tanh", inputs=45))
    shapes = {name: tuple(value.shape) for name, value in w.items()}
    assert shapes["convolve.dilated.convolve.weight"] == (512, 512, 3)
    assert shapes["convolve.last.convolve.weight"] == (128, 512, 1)
    assert shapes["queries.weight"] == (512, 128)
    assert shapes["keys.weight_hh_l0_reverse"] == (3 * 256, 256)
    assert shapes["head.weight"] == (4, 1024)
    assert shapes["prior.discriminator.0.weight"] == (512, 1024)
    assert sum(compose(["dataset=iemocap_sad_fru"]).dataset.expected.values()) == 7380


def test_the_adversary_acts_in_training_only() -> None:
    model, batch = tiny(*TINY), random_batch()
    assert "adversary" not in as_output(model(batch)).losses
    assert run_with_criterion(model.train(), batch)[0].losses["adversary"] > 0
    without = tiny(*TINY, "model.adversary_weight=0").train()
    assert "adversary" not in run_with_criterion(without, batch)[0].losses
    assert not [name for name in weights_of(without) if "prior" in name]


def test_the_discriminator_learns_to_tell_and_the_codes_to_mislead() -> None:
    torch.manual_seed(0)
    adversary = PriorAdversary(4, 3).double()
    codes = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(1)
    loss = adversary(codes)
    loss.backward()
    torch.manual_seed(1)
    draws, honest = torch.randn_like(codes), codes.detach().clone().requires_grad_()
    real, fake = (sigmoid(adversary.discriminator(each)) for each in (draws, honest))
    expected = -real.log().mean() - (1 - fake).log().mean()
    torch.testing.assert_close(loss, expected)
    inputs = [honest, *adversary.parameters()]
    found = [codes.grad, *(value.grad for value in adversary.parameters())]
    towards = torch.autograd.grad(expected, inputs)
    torch.testing.assert_close(found, [-towards[0], *towards[1:]])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.filters=0", "model.filters=0: must be 1 or more"),
        ("model.adversary_weight=-0.1", "model.adversary_weight=-0.1: must be 0 or more"),
        ("model.gender_weight=nan", "model.gender_weight=nan: must be 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny("model=maec", override)
