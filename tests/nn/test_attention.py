from __future__ import annotations

import pytest
import torch
from helpers.layers import needs_compiler
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sercli.errors import SercliError
from sercli.nn import use_backend
from sercli.nn.attention import (
    DotAttention,
    FeatureAttention,
    InteractionAttention,
    SelfAttention,
    TimeAttention,
    masked_softmax,
    weighted_sum,
)
from sercli.nn.pooling import valid_steps

LENGTHS = torch.tensor([4, 1, 6])
STEPS = 6


@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    padding=st.integers(0, 3),
    scale=st.sampled_from([1.0, 1e30]),
    filler=st.sampled_from([0.0, 1e30, -1e30]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None)
def test_masked_softmax_is_that_of_the_real_steps_and_zero_at_padding(
    lengths: list[int], padding: int, scale: float, filler: float, seed: int
) -> None:
    torch.manual_seed(seed)
    valid = valid_steps(torch.tensor(lengths), max(lengths) + padding)
    scores = torch.where(valid, scale * torch.randn(valid.shape), filler)
    weights = masked_softmax(scores, valid)
    for row, real, length in zip(weights, scores, lengths, strict=True):
        torch.testing.assert_close(row[:length], real[:length].softmax(0))
        assert (row[length:] == 0).all()


def test_weighted_sum_runs_over_time() -> None:
    weights, states = torch.rand(2, 3), torch.randn(2, 3, 5)
    expected = torch.stack(
        [
            sum((w * h for w, h in zip(ws, hs, strict=True)), torch.zeros(5))
            for ws, hs in zip(weights, states, strict=True)
        ]
    )
    torch.testing.assert_close(weighted_sum(weights, states), expected)


def pooled_by_hand(states: Tensor, u: Tensor, before_tanh: Tensor) -> Tensor:
    """Σ_t softmax_t(u·tanh(…)) h_t of one sequence, step by step."""
    scores = torch.stack([u @ torch.tanh(step) for step in before_tanh])
    shares = scores.exp() / scores.exp().sum()
    return torch.stack([share * h for share, h in zip(shares, states, strict=True)]).sum(0)


def test_self_attention_equals_its_equation(backend: str) -> None:
    torch.manual_seed(0)
    attend = SelfAttention(5, 3).double()
    states = torch.randn(len(LENGTHS), STEPS, 5, dtype=torch.float64)
    found = attend(states, valid_steps(LENGTHS, STEPS))
    w, b, u = attend.project.weight, attend.project.bias, attend.score.weight[0]
    for i, length in enumerate(LENGTHS.tolist()):
        h = states[i, :length]
        expected = pooled_by_hand(h, u, torch.stack([w @ step + b for step in h]))
        torch.testing.assert_close(found[i], expected)


def test_interaction_attention_equals_its_equation(backend: str) -> None:
    torch.manual_seed(0)
    attend = InteractionAttention(5, 2, 4, 3).double()
    states = torch.randn(len(LENGTHS), STEPS, 5, dtype=torch.float64)
    own, other = torch.randn(3, 2, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    found = attend(states, valid_steps(LENGTHS, STEPS), own, other)
    w, b, u = attend.project.weight, attend.project.bias, attend.score.weight[0]
    w_p, w_r = attend.project_own.weight, attend.project_interlocutor.weight
    for i, length in enumerate(LENGTHS.tolist()):
        h = states[i, :length]
        before = torch.stack([w @ step + w_p @ own[i] + w_r @ other[i] + b for step in h])
        torch.testing.assert_close(found[i], pooled_by_hand(h, u, before))


@pytest.mark.parametrize("kind", [SelfAttention, InteractionAttention])
def test_content_of_the_padding_changes_neither_value_nor_gradient(
    kind: type[nn.Module], backend: str
) -> None:
    torch.manual_seed(0)
    own = torch.randn(3, 2)
    attend = SelfAttention(5, 3) if kind is SelfAttention else InteractionAttention(5, 2, 2, 3)
    context = () if kind is SelfAttention else (own, own)
    valid = valid_steps(LENGTHS, STEPS)
    found = []
    for filler in (0.0, 1e30):
        states = torch.randn(3, STEPS, 5, generator=torch.Generator().manual_seed(1))
        states = states.masked_fill(~valid.unsqueeze(-1), filler).requires_grad_()
        out = attend(states, valid, *context)
        found.append((out, torch.autograd.grad(out.square().sum(), [states, *attend.parameters()])))
    torch.testing.assert_close(found[0], found[1], atol=0, rtol=0)


def attention_and_context(
    kind: type[nn.Module], size: int, space: int, batch: int
) -> tuple[nn.Module, list[Tensor]]:
    if kind is SelfAttention:
        return SelfAttention(size, space).double(), []
    own, other = torch.randn(batch, 2).double(), torch.randn(batch, 4).double()
    return InteractionAttention(size, 2, 4, space).double(), [
        own.requires_grad_(),
        other.requires_grad_(),
    ]


@needs_compiler
@pytest.mark.parametrize("kind", [SelfAttention, InteractionAttention])
@pytest.mark.parametrize(("size", "space", "steps"), [(8, 16, 130), (33, 20, 70), (3, 1, 2)])
@pytest.mark.parametrize("time_first", [False, True])
def test_fused_attention_equals_that_of_torch_in_value_and_gradient(
    kind: type[nn.Module], size: int, space: int, steps: int, time_first: bool
) -> None:
    torch.manual_seed(0)
    attend, context = attention_and_context(kind, size, space, batch=4)
    shape = (steps, 4, size) if time_first else (4, steps, size)
    states = torch.randn(shape, dtype=torch.float64).requires_grad_()
    valid = valid_steps(torch.tensor([steps, 1, steps // 2, steps]), steps)
    valid[0, 0] = steps < 3  # a mask need not be a prefix
    direction = torch.randn(4, size, dtype=torch.float64)
    found = []
    for backend in ("eager", "auto"):
        use_backend(backend)
        pooled = attend(states.transpose(0, 1) if time_first else states, valid, *context)
        inputs = [states, *context, *attend.parameters()]
        found.append((pooled, *torch.autograd.grad((pooled * direction).sum(), inputs)))
    assert "_Attend" in type(pooled.grad_fn).__name__
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)


@needs_compiler
def test_a_second_derivative_of_fused_attention_is_refused() -> None:
    states = torch.randn(3, STEPS, 5, requires_grad=True)
    pooled = SelfAttention(5, 3)(states, valid_steps(LENGTHS, STEPS))
    (slope,) = torch.autograd.grad(pooled.sum(), states, create_graph=True)
    with pytest.raises(SercliError, match=r"use_backend\('eager'\)"):
        torch.autograd.grad(slope.square().sum(), states)


@pytest.mark.parametrize("kind", [SelfAttention, InteractionAttention])
def test_attention_under_vmap_equals_each_alone(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    attend, context = attention_and_context(kind, 5, 3, batch=3)
    valid = valid_steps(LENGTHS, STEPS)
    many = torch.randn(2, 3, STEPS, 5, dtype=torch.float64)
    together = torch.vmap(lambda states: attend(states, valid, *context))(many)
    torch.testing.assert_close(
        together, torch.stack([attend(each, valid, *context) for each in many])
    )
    alone = attend(many[0], valid, *context)
    scaled = torch.vmap(lambda factor: factor * attend(many[0], valid, *context))(torch.ones(2))
    torch.testing.assert_close(scaled, torch.stack([alone, alone]))


def test_initial_parameters_are_normal_with_deviation_a_tenth() -> None:
    torch.manual_seed(0)
    for module in (SelfAttention(200, 50), InteractionAttention(200, 100, 100, 50)):
        values = nn.utils.parameters_to_vector(module.parameters()).detach()
        assert values.std().item() == pytest.approx(0.1, rel=0.05)
        assert values.mean().item() == pytest.approx(0, abs=0.005)
        assert values.abs().max() > 0.3


@pytest.mark.parametrize("kind", [DotAttention, TimeAttention, FeatureAttention])
@pytest.mark.parametrize("filler", [1e15, -1e15])
def test_attention_over_states_ignores_padding(kind: type[nn.Module], filler: float) -> None:
    torch.manual_seed(0)
    attend, valid = kind(5).double(), valid_steps(LENGTHS, STEPS)
    last = (torch.randn(3, 5, dtype=torch.float64),) if kind is TimeAttention else ()
    found = []
    for content in (0.0, filler):
        states = torch.randn(3, STEPS, 5, generator=torch.Generator().manual_seed(1)).double()
        states = states.masked_fill(~valid.unsqueeze(-1), content).requires_grad_()
        out = attend(states, valid, *last)
        found.append((out, torch.autograd.grad(out.square().sum(), [states, *attend.parameters()])))
    torch.testing.assert_close(found[0], found[1], atol=0, rtol=0)
    assert (found[0][1][0][~valid] == 0).all()
