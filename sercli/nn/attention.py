"""Attention over the real steps of padded sequences."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.nn import fused_attention


def masked_softmax(scores: Tensor, valid: Tensor) -> Tensor:
    """Softmax over the last axis, with weight exactly zero where ``valid`` is false.

    Args:
        scores: (…, T).
        valid: Boolean (…, T), which may be broadcast, with at least one true per row.

    >>> import torch
    >>> masked_softmax(torch.zeros(1, 3), torch.tensor([[True, True, False]]))
    tensor([[0.5000, 0.5000, 0.0000]])
    """
    return scores.masked_fill(~valid, -torch.inf).softmax(dim=-1)


def weighted_sum(weights: Tensor, states: Tensor) -> Tensor:
    """Return Σ_t w_t h_t for weights (B, T) and states (B, T, H): (B, H)."""
    return torch.bmm(weights.unsqueeze(1), states).squeeze(1)


class SelfAttention(nn.Module):
    """Pool states by s_t = u·tanh(W h_t + b), softmax over time, weighted sum.

    IAAN's pooling of a context turn (Yeh et al. 2019). Unlike in the official code, padding is
    masked. Initial values are N(0, 0.1), as in that code.

    Args:
        size: Features H of a state.
        attention: Features of the attention space (IAAN: 16).

    >>> import torch
    >>> from sercli.nn.attention import SelfAttention
    >>> states, valid = torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    >>> SelfAttention(8, 16)(states, valid).shape
    torch.Size([2, 8])
    """

    def __init__(self, size: int, attention: int) -> None:
        super().__init__()
        self.project = nn.Linear(size, attention)
        self.score = nn.Linear(attention, 1, bias=False)
        initialise_attention(self)

    def forward(self, states: Tensor, valid: Tensor) -> Tensor:
        """Pool (B, T, H) with valid (B, T) into (B, H)."""
        operands = self.project.weight, self.project.bias, self.score.weight
        if fused_attention.can_attend(states, *operands):
            return fused_attention.attend(states, valid, *operands)
        return weighted_sum(self.weights(states, valid), states)

    def weights(self, states: Tensor, valid: Tensor) -> Tensor:
        """Return the weight of each state, (B, T)."""
        scores = self.score(torch.tanh(self.project(states))).squeeze(-1)
        return masked_softmax(scores, valid)


class InteractionAttention(nn.Module):
    """IAAN's interaction-aware attention: v_t = tanh(W_c H_t + W_p h_p + W_r h_r + b).

    The scores u·v_t of the current turn's states H_t depend on the previous turns of the same
    speaker (p) and of the interlocutor (r) (Yeh et al. 2019; official code).

    Args:
        size: Features of a state of the current turn.
        own: Features of h_p.
        interlocutor: Features of h_r.
        attention: Features of the attention space (IAAN: 16).

    >>> import torch
    >>> from sercli.nn.attention import InteractionAttention
    >>> states, valid = torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    >>> attend = InteractionAttention(8, own=4, interlocutor=4, attention=16)
    >>> attend(states, valid, torch.randn(2, 4), torch.randn(2, 4)).shape
    torch.Size([2, 8])
    """

    def __init__(self, size: int, own: int, interlocutor: int, attention: int) -> None:
        super().__init__()
        self.project = nn.Linear(size, attention)
        self.project_own = nn.Linear(own, attention, bias=False)
        self.project_interlocutor = nn.Linear(interlocutor, attention, bias=False)
        self.score = nn.Linear(attention, 1, bias=False)
        initialise_attention(self)

    def forward(self, states: Tensor, valid: Tensor, own: Tensor, interlocutor: Tensor) -> Tensor:
        """Pool (B, T, H) with valid (B, T), own (B, P), interlocutor (B, R) into (B, H)."""
        operands = self.project.weight, self.project.bias, self.score.weight
        if fused_attention.can_attend(states, *operands):
            weight, bias, score = operands
            shift = bias + self._context(own, interlocutor)
            return fused_attention.attend(states, valid, weight, shift, score)
        return weighted_sum(self.weights(states, valid, own, interlocutor), states)

    def weights(self, states: Tensor, valid: Tensor, own: Tensor, interlocutor: Tensor) -> Tensor:
        """Return the weight of each state, (B, T)."""
        context = self._context(own, interlocutor).unsqueeze(1)
        features = torch.tanh(self.project(states) + context)
        return masked_softmax(self.score(features).squeeze(-1), valid)

    def _context(self, own: Tensor, interlocutor: Tensor) -> Tensor:
        projected: Tensor = self.project_own(own) + self.project_interlocutor(interlocutor)
        return projected


class DotAttention(nn.Module):
    """Pool states by s_t = u·h_t, softmax over time, weighted sum.

    Weighted pooling of Mirsamadi, Barsoum and Zhang (ICASSP 2017) and of Tao and Liu (ICASSP
    2018). u has the initial values of a linear layer of torch (our choice).

    Args:
        size: Features H of a state.

    >>> import torch
    >>> from sercli.nn.attention import DotAttention
    >>> states, valid = torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    >>> DotAttention(8)(states, valid).shape
    torch.Size([2, 8])
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.score = nn.Linear(size, 1, bias=False)

    def forward(self, states: Tensor, valid: Tensor) -> Tensor:
        """Pool (B, T, H) with valid (B, T) into (B, H)."""
        return weighted_sum(self.weights(states, valid), states)

    def weights(self, states: Tensor, valid: Tensor) -> Tensor:
        """Return the weight of each state, (B, T)."""
        return masked_softmax(self.score(states).squeeze(-1), valid)


class TimeAttention(nn.Module):
    """Pool states by s_t = h_last·(W h_t), softmax over time, weighted sum.

    Attention along time of Xie et al. (2019). W is H × H without bias (our reading).

    Args:
        size: Features H of a state.

    >>> import torch
    >>> from sercli.nn.attention import TimeAttention
    >>> states, valid = torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    >>> TimeAttention(8)(states, valid, last=states[:, -1]).shape
    torch.Size([2, 8])
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.project = nn.Linear(size, size, bias=False)

    def forward(self, states: Tensor, valid: Tensor, last: Tensor) -> Tensor:
        """Pool (B, T, H) with valid (B, T) and the last real state (B, H) into (B, H)."""
        return weighted_sum(self.weights(states, valid, last), states)

    def weights(self, states: Tensor, valid: Tensor, last: Tensor) -> Tensor:
        """Return the weight of each state, (B, T)."""
        scores = torch.bmm(self.project(states), last.unsqueeze(-1)).squeeze(-1)
        return masked_softmax(scores, valid)


class SegmentAttention(nn.Module):
    """Pool the states of each segment, then the segments (Yang et al., NAACL 2016).

    Both attentions are s = u·tanh(W h + b) with softmax, as in `SelfAttention`. The result is a
    weighted sum of the states, Σ_s β_s Σ_{t in s} α_t h_t.

    Args:
        size: Features H of a state.
        attention: Features of both attention spaces.

    >>> import torch
    >>> from sercli.nn.attention import SegmentAttention
    >>> states = torch.randn(1, 5, 8)
    >>> members = torch.tensor([[[1, 1, 0, 0, 0], [0, 0, 0, 1, 1]]], dtype=torch.bool)
    >>> SegmentAttention(8, 16)(states, members).shape
    torch.Size([1, 8])
    """

    def __init__(self, size: int, attention: int) -> None:
        super().__init__()
        self.of_steps = _scores(size, attention)
        self.of_segments = _scores(size, attention)

    def forward(self, states: Tensor, members: Tensor) -> Tensor:
        """Pool (B, T, H), with boolean members (B, S, T) of the segments, into (B, H).

        Segments without members are ignored; each turn needs one with members.
        """
        return weighted_sum(self.weights(states, members), states)

    def weights(self, states: Tensor, members: Tensor) -> Tensor:
        """Return the weight of each state, (B, T); zero outside the segments."""
        scores = self.of_steps(states).transpose(1, 2)
        least = torch.finfo(scores.dtype).min  # finite, for segments without members
        within = scores.masked_fill(~members, least).softmax(dim=-1) * members
        segments = torch.bmm(within, states)
        across = masked_softmax(self.of_segments(segments).squeeze(-1), members.any(dim=-1))
        return torch.bmm(across.unsqueeze(1), within).squeeze(1)


def _scores(size: int, attention: int) -> nn.Sequential:
    scores = nn.Sequential(
        nn.Linear(size, attention), nn.Tanh(), nn.Linear(attention, 1, bias=False)
    )
    initialise_attention(scores)
    return scores


OverTime = SelfAttention | InteractionAttention | DotAttention | TimeAttention | SegmentAttention
"""Attention over the steps; ``weights`` has the arguments of ``forward``."""


class FeatureAttention(nn.Module):
    """Weight the features of each state by softmax(V tanh(W h_t)), and sum over time.

    Attention along features of Xie et al. (2019). The softmax runs over the H features of a
    step; the sum over time is not divided by the number of steps. V and W are H × H without
    bias (our reading).

    Args:
        size: Features H of a state.

    >>> import torch
    >>> from sercli.nn.attention import FeatureAttention
    >>> states, valid = torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    >>> FeatureAttention(8)(states, valid).shape
    torch.Size([2, 8])
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.project = nn.Linear(size, size, bias=False)
        self.score = nn.Linear(size, size, bias=False)

    def forward(self, states: Tensor, valid: Tensor) -> Tensor:
        """Pool (B, T, H) with valid (B, T) into (B, H)."""
        real = states.masked_fill(~valid.unsqueeze(-1), 0.0)
        weights: Tensor = self.score(torch.tanh(self.project(real))).softmax(dim=-1)
        return (weights * real).sum(dim=1)


def initialise_attention(module: nn.Module) -> None:
    """Draw all parameters of ``module`` from N(0, 0.1), as IAAN's code does for its attention."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.1)
