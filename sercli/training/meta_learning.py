"""First-order MAML: sampling of tasks, and the meta-gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn


def draw_task(
    rows: np.ndarray, labels: np.ndarray, support: int, query: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw up to ``support`` and ``query`` utterances of each class for a task.

    At most half of the utterances of a class go to the query.

    Args:
        rows: Rows of a corpus.
        labels: Class index of each row.
        support: Utterances of each class for the support.
        query: Utterances of each class for the query.
        random: Random generator.

    Returns:
        Rows of the support and of the query, without common ones.
    """
    sides: tuple[list[int], list[int]] = ([], [])
    for label in np.unique(labels[rows]):
        drawn = random.permutation(rows[labels[rows] == label])
        held = min(query, len(drawn) // 2)
        sides[1].extend(drawn[:held])
        sides[0].extend(drawn[held : held + support])
    return np.array(sides[0]), np.array(sides[1])


def set_meta_gradient(
    parameters: Sequence[nn.Parameter],
    loss_of: Callable[[np.ndarray], Tensor],
    tasks: Sequence[tuple[np.ndarray, np.ndarray]],
    inner_lr: float,
    inner_steps: int = 1,
) -> Tensor:
    """Set the gradients of first-order MAML (Finn, Abbeel & Levine 2017, section 5.2).

    For each task θ' = θ − η ∇L(support; θ), ``inner_steps`` times. The gradient is the mean over
    tasks of ∇L(query; θ') at θ', where MetaSER has the sum: Adam is invariant to the factor.

    Args:
        parameters: θ; unchanged on return.
        loss_of: Loss of the model on some rows.
        tasks: Rows of support and query of each task.
        inner_lr: η.
        inner_steps: Steps within a task.

    Returns:
        The mean loss on the queries.
    """
    before = [each.detach().clone() for each in parameters]
    total = [torch.zeros_like(each) for each in before]
    losses = []
    for support, query in tasks:
        for _ in range(inner_steps):
            slopes = torch.autograd.grad(loss_of(support), parameters, allow_unused=True)
            with torch.no_grad():
                for each, slope in zip(parameters, slopes, strict=True):
                    if slope is not None:
                        each.sub_(inner_lr * slope)
        losses.append(loss_of(query))
        slopes = torch.autograd.grad(losses[-1], parameters, allow_unused=True)
        with torch.no_grad():
            for each, mean, slope, start in zip(parameters, total, slopes, before, strict=True):
                if slope is not None:
                    mean.add_(slope / len(tasks))
                each.copy_(start)
    for each, mean in zip(parameters, total, strict=True):
        each.grad = mean
    return torch.stack(losses).detach().mean()
