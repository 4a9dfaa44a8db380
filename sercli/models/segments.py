"""Classification of segments of equal length, whose log-probabilities are averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sercli.models.interface import Turns
from sercli.models.parts import cut


def over_segments(
    classify: Callable[..., Tensor], turns: Sequence[Turns], steps: Sequence[int]
) -> Tensor:
    """Classify segments that do not overlap, and return their mean log-probabilities.

    The last segment of a turn is padded with zeros, and left out if a stream has no step in it.

    >>> turns = Turns(torch.ones(2, 5, 1), torch.tensor([5, 2]))
    >>> words = Turns(torch.ones(2, 2, 1), torch.tensor([2, 1]))
    >>> def classify(frames: Turns, words: Turns) -> Tensor:
    ...     print(frames.lengths, words.lengths)
    ...     return torch.zeros(len(frames.lengths), 2)
    >>> over_segments(classify, [turns, words], [3, 1])
    tensor([3, 2, 2]) tensor([1, 1, 1])
    tensor([[-0.6931, -0.6931],
            [-0.6931, -0.6931]])

    Args:
        classify: A function from N segments of each stream to logits (N, classes).
        turns: B turns in each stream.
        steps: Steps of a segment in each stream.

    Returns:
        (B, classes).
    """
    cuts = [cut(each, own) for each, own in zip(turns, steps, strict=True)]
    most = min(counts.shape[1] for _, counts in cuts)
    whole = torch.stack([counts[:, :most] > 0 for _, counts in cuts]).all(dim=0)
    by_turn = [frames.view(*counts.shape, *frames.shape[1:]) for frames, counts in cuts]
    segments = [
        Turns(frames[:, :most][whole], counts[:, :most][whole])
        for frames, (_, counts) in zip(by_turn, cuts, strict=True)
    ]
    found = classify(*segments).log_softmax(dim=-1)
    sums = found.new_zeros(len(whole), found.shape[1])
    return sums.index_add(0, whole.nonzero()[:, 0], found) / whole.sum(dim=1, keepdim=True)
