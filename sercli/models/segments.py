"""Classification of segments of equal length, whose log-probabilities are averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sercli.models.interface import Turns
from sercli.models.parts import cut
from sercli.nn.pooling import valid_steps


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
    counts = segments_per_turn(turns, steps)
    most = int(counts.max())
    whole = valid_steps(counts, most)
    segments = []
    for each, own in zip(turns, steps, strict=True):
        frames, sizes = cut(each, own)
        by_turn = frames.view(*sizes.shape, *frames.shape[1:])
        segments.append(Turns(by_turn[:, :most][whole], sizes[:, :most][whole]))
    return mean_per_turn(classify(*segments).log_softmax(dim=-1), counts)


def segments_per_turn(turns: Sequence[Turns], steps: Sequence[int]) -> Tensor:
    """Return the number of segments of each turn that have a step in every stream.

    Args:
        turns: B turns in each stream.
        steps: Steps of a segment in each stream.

    Returns:
        (B,), each 1 or more.
    """
    counts = [(each.lengths + own - 1) // own for each, own in zip(turns, steps, strict=True)]
    return torch.stack(counts).amin(dim=0)


def mean_per_turn(values: Tensor, counts: Tensor) -> Tensor:
    """Return the mean over the segments of each turn.

    >>> mean_per_turn(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([2, 1]))
    tensor([[2.],
            [5.]])

    Args:
        values: Segments, turn by turn, (N, features).
        counts: Number of segments of each turn, (B,), N in all.

    Returns:
        (B, features).
    """
    turn = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    sums = values.new_zeros(len(counts), values.shape[1])
    return sums.index_add(0, turn, values) / counts.unsqueeze(1)
