"""The loss of a classification."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def balanced_weights(counts: Sequence[int]) -> Tensor:
    """Weigh each class by the inverse of its frequency: w_c = N / (C n_c).

    So all classes weigh the same together, and a training example 1 on average (King and Zeng
    2001, as in scikit-learn's ``class_weight="balanced"``). N counts the examples and C the
    classes that occur. A class that does not occur weighs nothing: no example asks for it.

    Args:
        counts: Training examples n_c of each class.

    Returns:
        float32 (classes,).
    """
    frequency = torch.tensor(counts, dtype=torch.float32)
    there = frequency > 0
    weights = frequency.sum() / (there.sum() * frequency)
    return weights.where(there, 0.0)


def classification_loss(
    logits: Tensor,
    targets: Tensor,
    weights: Tensor | None = None,
    *,
    smoothing: float = 0.0,
    gamma: float = 0.0,
) -> Tensor:
    """Cross entropy with smoothed labels, class weights and focus on hard examples.

    The mean over the batch, by the weights of the targets, of

        −Σ_c q_c w_c (1 − p_c)^γ log p_c   with   q = (1 − ε)·onehot + ε / C.

    γ = 0 is torch's ``cross_entropy`` with ``weight`` and ``label_smoothing``; ε = 0 is the focal
    loss of Lin et al. (2017, arXiv 1708.02002, eq. 5; they use γ = 2). With both, each class is
    modulated by its own probability, and the mean is by weights rather than by number as theirs:
    our choices.

    Args:
        logits: (B, classes).
        targets: Class indices, (B,).
        weights: w, (classes,); None: 1.
        smoothing: ε.
        gamma: γ, 0 or more.

    Returns:
        A scalar, in float32 at least.
    """
    exact = torch.promote_types(logits.dtype, torch.float32)
    log_p = logits.to(exact).log_softmax(dim=-1)
    classes = logits.shape[-1]
    q = F.one_hot(targets, classes).to(exact) * (1 - smoothing) + smoothing / classes
    w = torch.ones_like(log_p[0]) if weights is None else weights.to(log_p)
    terms = q * w * -log_p
    if gamma:
        missing = -torch.expm1(log_p)  # 1 − p, where p is near 1 as well
        smallest = torch.finfo(exact).tiny  # the slope of x^γ at 0 is infinite for γ < 1
        terms = terms * missing.clamp(min=smallest) ** gamma
    return terms.sum() / w[targets].sum()
