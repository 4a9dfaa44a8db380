from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from sercli.training.loss import balanced_weights, classification_loss

LOG = math.log
# softmax of these logits is (1/6, 2/6, 3/6)
LOGITS = torch.tensor([[0.0, LOG(2), LOG(3)], [LOG(3), LOG(2), 0.0]], dtype=torch.float64)
TARGETS = torch.tensor([2, 1])  # with probabilities 1/2 and 1/3


def test_cross_entropy_is_the_mean_of_minus_log_p() -> None:
    assert classification_loss(LOGITS, TARGETS).item() == pytest.approx((LOG(2) + LOG(3)) / 2)


def test_smoothing_spreads_the_target_over_all_classes() -> None:
    # q = 0.7 + 0.1 for the target and 0.1 for the two others
    first = -(0.8 * LOG(1 / 2) + 0.1 * LOG(1 / 3) + 0.1 * LOG(1 / 6))
    second = -(0.8 * LOG(1 / 3) + 0.1 * LOG(1 / 2) + 0.1 * LOG(1 / 6))
    loss = classification_loss(LOGITS, TARGETS, smoothing=0.3)
    assert loss.item() == pytest.approx((first + second) / 2)


def test_weights_weigh_examples_by_their_class() -> None:
    loss = classification_loss(LOGITS, TARGETS, torch.tensor([9.0, 1.0, 3.0]))
    assert loss.item() == pytest.approx((3 * LOG(2) + 1 * LOG(3)) / 4)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_the_focal_loss_minds_what_is_hard(gamma: float) -> None:
    expected = ((1 / 2) ** gamma * LOG(2) + (2 / 3) ** gamma * LOG(3)) / 2
    assert classification_loss(LOGITS, TARGETS, gamma=gamma).item() == pytest.approx(expected)


@given(
    seed=st.integers(0, 2**32 - 1),
    smoothing=st.floats(0, 0.9),
    weights=st.lists(st.floats(0.1, 9), min_size=4, max_size=4),
)
def test_without_focus_it_is_the_cross_entropy_of_torch(
    seed: int, smoothing: float, weights: list[float]
) -> None:
    random = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(6, 4, generator=random, dtype=torch.float64)
    targets = torch.randint(4, (6,), generator=random)
    w = torch.tensor(weights, dtype=torch.float64)
    expected = F.cross_entropy(logits, targets, w, label_smoothing=smoothing)
    found = classification_loss(logits, targets, w, smoothing=smoothing)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("right", [True, False])
def test_loss_and_gradient_are_finite_however_sure_a_model_is(gamma: float, right: bool) -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    loss = classification_loss(
        logits, torch.tensor([0 if right else 1]), smoothing=0.1, gamma=gamma
    )
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def test_half_precision_is_summed_in_float32() -> None:
    loss = classification_loss(LOGITS.bfloat16(), TARGETS)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx((LOG(2) + LOG(3)) / 2, rel=0.01)


def test_balanced_weights_are_the_inverse_of_the_frequency() -> None:
    assert balanced_weights([1, 2, 5]).tolist() == pytest.approx([8 / 3, 8 / 6, 8 / 15])


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(any))
def test_balanced_classes_weigh_the_same_and_an_example_1_on_average(counts: list[int]) -> None:
    weights = balanced_weights(counts).tolist()
    there = [(w, n) for w, n in zip(weights, counts, strict=True) if n]
    assert [w for w, n in zip(weights, counts, strict=True) if not n] == [0.0] * counts.count(0)
    assert [w * n for w, n in there] == pytest.approx([sum(counts) / len(there)] * len(there))


def test_a_class_that_training_lacks_does_not_spoil_the_loss() -> None:
    weights = balanced_weights([3, 0, 5])
    loss = classification_loss(LOGITS, torch.tensor([0, 2]), weights, smoothing=0.1, gamma=2.0)
    assert loss.isfinite()
