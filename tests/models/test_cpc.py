from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers.reference_models import (
    linear,
    random_batch,
    run_with_criterion,
    sequences,
    tiny,
    weights_of,
)

from sercli.errors import RequestError
from sercli.models.interface import Turns

TINY = (
    *("model=cpc", "model.units=3", "model.hidden=4", "model.heads=2", "model.width=6"),
    *("model.dense_units=5", "model.dropout=0", "model.future=2", "model.negatives=3"),
)


def each(w: Any, name: str, rows: torch.Tensor) -> torch.Tensor:
    return torch.stack([linear(w, name, row) for row in rows])


def test_logits_are_those_of_the_equations() -> None:
    model, batch = tiny(*TINY), random_batch(padding=2)
    w, found = weights_of(model), model(batch).logits
    for row, frames in enumerate(sequences(batch.current)):
        alone = Turns(frames.unsqueeze(0), torch.tensor([len(frames)]))
        steps, states = model.represent(alone)  # type: ignore[operator]
        torch.testing.assert_close(steps[0], each(w, "encoder.0", frames).clamp(min=0))
        parts = each(w, "attention.project", states[0]).view(len(frames), 3, 2, 3)
        heads = []
        for head in range(2):
            query, key, value = (parts[:, i, head] for i in range(3))
            heads.append(((query @ key.T) / math.sqrt(3)).softmax(dim=-1) @ value)
        y = each(w, "attention.output", torch.cat(heads, dim=-1))
        x = torch.cat([y.mean(0), y.std(0, correction=0)])
        for layer in (0, 3):
            x = linear(w, f"dense.{layer}", x).clamp(min=0)
        torch.testing.assert_close(found[row], linear(w, "head", x))


def test_a_state_depends_on_no_later_step() -> None:
    model: Any = tiny(*TINY)
    frames = torch.randn(1, 6, 6, dtype=torch.float64)
    later = frames.clone()
    later[0, 4:] += 1
    lengths = torch.tensor([6])
    _, one = model.represent(Turns(frames, lengths))
    _, other = model.represent(Turns(later, lengths))
    assert torch.equal(one[0, :4], other[0, :4])
    assert not torch.equal(one[0, 4], other[0, 4])


def test_the_contrastive_loss_is_an_auxiliary_loss_with_its_weight() -> None:
    model, batch = tiny(*TINY, "model.cpc_weight=0.5"), random_batch()
    assert model(batch).losses == {}  # in evaluation
    torch.manual_seed(3)
    output, _ = run_with_criterion(model, batch)
    torch.manual_seed(3)
    loss, _ = model.unlabelled_loss(batch.current)  # type: ignore[operator]
    torch.testing.assert_close(output.losses["cpc"], 0.5 * loss)
    assert run_with_criterion(tiny(*TINY), batch)[0].losses == {}


def test_heads_divide_the_width() -> None:
    with pytest.raises(RequestError, match=r"model\.heads=2: must divide model\.width=7"):
        tiny(*TINY, "model.width=7")
