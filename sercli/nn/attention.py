"""Attention over time that never looks at padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def masked_softmax(scores: Tensor, valid: Tensor) -> Tensor:
    """Softmax over the last axis, with weight exactly zero where ``valid`` is false.

    Args:
        scores: (B, T).
        valid: Boolean (B, T) with at least one true per row.
    """
    return scores.masked_fill(~valid, -torch.inf).softmax(dim=-1)


def weighted_sum(weights: Tensor, states: Tensor) -> Tensor:
    """Σ_t w_t h_t, for weights (B, T) and states (B, T, H): (B, H)."""
    return torch.bmm(weights.unsqueeze(1), states).squeeze(1)


class SelfAttention(nn.Module):
    """Pool states by s_t = u·tanh(W h_t + b), softmax over time, weighted sum.

    IAAN's pooling of a context turn (Yeh et al. 2019; official code, with the padding masked,
    which the official code does not do). Initial values N(0, 0.1) as in that code.

    Args:
        size: Features H of a state.
        attention: Features of the attention space (IAAN: 16).
    """

    def __init__(self, size: int, attention: int) -> None:
        super().__init__()
        self.project = nn.Linear(size, attention)
        self.score = nn.Linear(attention, 1, bias=False)
        initialise_attention(self)

    def forward(self, states: Tensor, valid: Tensor) -> Tensor:
        """Pool (B, T, H) with valid (B, T) into (B, H)."""
        return weighted_sum(self.weights(states, valid), states)

    def weights(self, states: Tensor, valid: Tensor) -> Tensor:
        """How much each state counts, (B, T)."""
        scores = self.score(torch.tanh(self.project(states))).squeeze(-1)
        return masked_softmax(scores, valid)


class InteractionAttention(nn.Module):
    """IAAN's interaction-aware attention: v_t = tanh(W_c H_t + W_p h_p + W_r h_r + b).

    The scores u·v_t of the current turn's states H_t depend on what the same speaker (p) and
    the interlocutor (r) said before (Yeh et al. 2019; official code).

    Args:
        size: Features of a state of the current turn.
        own: Features of h_p.
        interlocutor: Features of h_r.
        attention: Features of the attention space (IAAN: 16).
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
        return weighted_sum(self.weights(states, valid, own, interlocutor), states)

    def weights(self, states: Tensor, valid: Tensor, own: Tensor, interlocutor: Tensor) -> Tensor:
        """How much each state counts, (B, T)."""
        context = self.project_own(own) + self.project_interlocutor(interlocutor)
        features = torch.tanh(self.project(states) + context.unsqueeze(1))
        return masked_softmax(self.score(features).squeeze(-1), valid)


class DotAttention(nn.Module):
    """Pool states by s_t = u·h_t, softmax over time, weighted sum.

    Weighted pooling of Mirsamadi, Barsoum and Zhang (ICASSP 2017) and of Tao and Liu (ICASSP
    2018). u starts as torch starts a linear layer (our choice).

    Args:
        size: Features H of a state.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.score = nn.Linear(size, 1, bias=False)

    def forward(self, states: Tensor, valid: Tensor) -> Tensor:
        """Pool (B, T, H) with valid (B, T) into (B, H)."""
        return weighted_sum(self.weights(states, valid), states)

    def weights(self, states: Tensor, valid: Tensor) -> Tensor:
        """How much each state counts, (B, T)."""
        return masked_softmax(self.score(states).squeeze(-1), valid)


class TimeAttention(nn.Module):
    """Pool states by s_t = h_last·(W h_t), softmax over time, weighted sum.

    Attention along time of Xie et al. (2019). W is H × H without bias (our reading).

    Args:
        size: Features H of a state.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.project = nn.Linear(size, size, bias=False)

    def forward(self, states: Tensor, valid: Tensor, last: Tensor) -> Tensor:
        """Pool (B, T, H) with valid (B, T) and the last real state (B, H) into (B, H)."""
        return weighted_sum(self.weights(states, valid, last), states)

    def weights(self, states: Tensor, valid: Tensor, last: Tensor) -> Tensor:
        """How much each state counts, (B, T)."""
        scores = torch.bmm(self.project(states), last.unsqueeze(-1)).squeeze(-1)
        return masked_softmax(scores, valid)


OverTime = SelfAttention | InteractionAttention | DotAttention | TimeAttention
"""Attentions that weigh the steps; their ``weights`` take what ``forward`` takes."""


class FeatureAttention(nn.Module):
    """Weigh the features of each state by softmax(V tanh(W h_t)), and sum over time.

    Attention along features of Xie et al. (2019). The softmax runs over the H features of a
    step; the sum over time is not divided by the number of steps. V and W are H × H without
    bias (our reading).

    Args:
        size: Features H of a state.
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


class BottleneckAttention(nn.Module):
    """Raise features by a gate that sees them all through a narrow layer: x + x∘σ(V ReLU(W x)).

    The channel branch of Park et al. (BMVC 2018, arXiv 1807.06514), without their batch
    normalisation.

    Args:
        size: Features of a vector.
        bottleneck: Features of the narrow layer.
    """

    def __init__(self, size: int, bottleneck: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(size, bottleneck)
        self.widen = nn.Linear(bottleneck, size)

    def forward(self, vectors: Tensor) -> Tensor:
        """Gate (B, size)."""
        return vectors + vectors * torch.sigmoid(self.widen(torch.relu(self.narrow(vectors))))


def initialise_attention(module: nn.Module) -> None:
    """Draw all parameters of ``module`` from N(0, 0.1), as IAAN's code does for its attention."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.1)
