"""The contrastive loss InfoNCE of predictions of later steps."""

from __future__ import annotations

import torch
from torch import Tensor


def info_nce(
    predicted: Tensor, steps: Tensor, lengths: Tensor, *, negatives: int = 50
) -> tuple[Tensor, Tensor]:
    """Compute the InfoNCE loss, with negatives from the same turn.

    For a prediction p of step t + m, L_m = −log(e^{p·z₊} / (e^{p·z₊} + Σ e^{p·z₋})), with the true
    step z₊ = z_{t+m} and negatives z₋ drawn with replacement from the other real steps of the
    turn (van den Oord, Li & Vinyals 2018, arXiv 1807.03748; negatives of one turn and their
    number: Li et al., ICASSP 2021). The loss is Σ_m of the means of L_m over all real steps t + m.

    >>> loss, _ = info_nce(torch.zeros(1, 9, 3, 2), torch.randn(1, 9, 2), torch.tensor([9]))
    >>> round(loss.item(), 3)  # equal scores: 3 ln 51
    11.795

    Args:
        predicted: Predictions at t of the steps t + 1 … t + M, (B, T, M, D).
        steps: z, (B, T, D).
        lengths: Number of real steps of each turn, (B,).
        negatives: Number of negatives of each prediction.

    Returns:
        The loss, and the share of predictions with the highest score for the true step. Both are
        0 if no turn has two steps.
    """
    loss, hits, count = steps.new_zeros(()), steps.new_zeros(()), steps.new_zeros(())
    for ahead in range(1, min(predicted.shape[2], steps.shape[1] - 1) + 1):
        true = torch.arange(ahead, steps.shape[1], device=steps.device)
        real = true < lengths.unsqueeze(1)
        scores = predicted[:, : len(true), ahead - 1] @ steps.transpose(1, 2)
        others = draw_negatives(true, lengths, negatives)
        chosen = torch.cat([true.expand(len(steps), -1).unsqueeze(-1), others], dim=-1)
        log_p = scores.gather(2, chosen).log_softmax(dim=-1)
        loss = loss - log_p[..., 0].masked_fill(~real, 0.0).sum() / real.sum().clamp(min=1)
        best = (log_p[..., :1] > log_p[..., 1:]).all(dim=-1) & real
        hits, count = hits + best.sum(), count + real.sum()
    return loss, (hits / count.clamp(min=1)).detach()


def draw_negatives(true: Tensor, lengths: Tensor, negatives: int) -> Tensor:
    """Draw steps of each turn other than the true one.

    >>> drawn = draw_negatives(torch.tensor([1, 2]), torch.tensor([3]), 8)
    >>> set(drawn[0, 0].tolist()) <= {0, 2}, set(drawn[0, 1].tolist()) <= {0, 1}
    (True, True)

    Args:
        true: Index of the true step of each prediction, (N,).
        lengths: Number of real steps of each turn, (B,).
        negatives: Number drawn for each prediction.

    Returns:
        Indices below the length, (B, N, negatives); undefined where the true step is padding.
    """
    uniform = torch.rand(len(lengths), len(true), negatives, device=lengths.device)
    drawn = (uniform * (lengths - 1).view(-1, 1, 1)).long()
    return drawn + (drawn >= true.view(1, -1, 1)).long() * (lengths > 1).view(-1, 1, 1)
