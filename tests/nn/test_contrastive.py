from __future__ import annotations

import math

import pytest
import torch

from sercli.nn.contrastive import draw_negatives, info_nce


def test_equal_scores_cost_the_logarithm_of_the_candidates_for_each_step_ahead() -> None:
    nothing, lengths = torch.zeros(2, 20, 12, 3), torch.tensor([20, 15])
    loss, accuracy = info_nce(nothing, torch.randn(2, 20, 3), lengths)
    assert loss.item() == pytest.approx(12 * math.log(51), rel=1e-5)
    assert accuracy == 0


def test_no_negative_is_its_true_step_or_padding_and_every_other_step_can_be_drawn() -> None:
    torch.manual_seed(0)
    true, lengths = torch.arange(1, 6), torch.tensor([6, 3, 2])
    drawn = draw_negatives(true, lengths, 400)
    for row, length in enumerate(lengths.tolist()):
        for place, step in enumerate(true.tolist()):
            if step < length:
                assert set(drawn[row, place].tolist()) == set(range(length)) - {step}


def test_the_loss_is_that_of_the_equation() -> None:
    predicted, steps = torch.randn(1, 5, 2, 3), torch.randn(1, 5, 3)
    torch.manual_seed(1)
    found, accuracy = info_nce(predicted, steps, torch.tensor([4]), negatives=7)
    torch.manual_seed(1)
    expected, hits, count = 0.0, 0, 0
    for ahead in (1, 2):
        drawn = draw_negatives(torch.arange(ahead, 5), torch.tensor([4]), 7)[0]
        terms = []
        for t in range(4 - ahead):
            scores = [float(predicted[0, t, ahead - 1] @ steps[0, i]) for i in drawn[t]]
            true = float(predicted[0, t, ahead - 1] @ steps[0, t + ahead])
            terms.append(math.log(sum(map(math.exp, [true, *scores]))) - true)
            hits, count = hits + (true > max(scores)), count + 1
        expected += sum(terms) / len(terms)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    assert accuracy.item() == pytest.approx(hits / count)


def test_padding_is_neither_predicted_nor_drawn() -> None:
    predicted, steps = torch.randn(1, 4, 3, 2), torch.randn(1, 4, 2)
    longer = torch.cat([steps, torch.full((1, 1, 2), 1e30)], dim=1).requires_grad_()
    padded = torch.cat([predicted, torch.randn(1, 1, 3, 2)], dim=1)
    loss, _ = info_nce(padded, longer, torch.tensor([4]), negatives=200)
    assert loss.isfinite()
    loss.backward()  # type: ignore[no-untyped-call]
    assert longer.grad is not None
    assert not longer.grad[0, 4].any()


def test_a_turn_of_one_step_has_no_loss() -> None:
    for steps in (1, 3):
        predicted = torch.randn(1, steps, 2, 2)
        loss, accuracy = info_nce(predicted, torch.randn(1, steps, 2), torch.tensor([1]))
        assert (loss.item(), accuracy.item()) == (0, 0)
