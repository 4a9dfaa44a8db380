"""Parts that several systems share: dense layers, pieces of turns, auxiliary tasks, checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.errors import RequestError
from sercli.models.interface import CorpusInfo, Criterion, Turns
from sercli.nn import checks


class TaskHeads(nn.Module):
    """Auxiliary classification tasks: a linear classifier per column of the manifest.

    There is an output for each value of a column in the corpus, so that the shapes of a model do
    not depend on the fold; the criterion leaves out values that the fold's training set lacks
    (`sercli.training.loss`).

    Args:
        size: Features of a vector.
        weights: Column → weight of its loss; a column with 0 is not learned.
        corpus: Number of values of each column.

    Raises:
        RequestError: A weight is below 0, or the corpus does not state a column.
    """

    def __init__(self, size: int, weights: Mapping[str, float], corpus: CorpusInfo) -> None:
        super().__init__()
        self.weights = check_task_weights(weights)
        self.heads = nn.ModuleDict(
            {column: nn.Linear(size, corpus.count(column)) for column in self.weights}
        )

    def forward(self, vectors: Tensor, criterion: Criterion | None) -> dict[str, Tensor]:
        """Return the weighted loss of each task.

        Args:
            vectors: (B, size).
            criterion: That of the batch; with None, in evaluation, there are no losses.
        """
        if criterion is None:
            return {}
        return {
            column: weight * criterion(column, self.heads[column](vectors))
            for column, weight in self.weights.items()
        }


def dense(inputs: int, *sizes: int, dropout: float = 0.0) -> nn.Sequential:
    """Stack fully connected layers with ReLU, each followed by dropout.

    >>> [type(layer).__name__ for layer in dense(45, 64, dropout=0.5)]
    ['Linear', 'ReLU', 'Dropout']

    Args:
        inputs: Features of the input.
        sizes: Features of each layer.
        dropout: Dropout probability after each layer.
    """
    layers: list[nn.Module] = []
    for before, size in pairwise((inputs, *sizes)):
        layers += [nn.Linear(before, size), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)


def central_crop(turns: Turns, steps: int) -> Turns:
    """Crop turns to at most ``steps`` steps in the middle.

    >>> frames = torch.arange(5.0).view(1, 5, 1)
    >>> central_crop(Turns(frames, torch.tensor([5])), 3).frames.flatten()
    tensor([1., 2., 3.])
    """
    longest = turns.frames.shape[1]
    starts = (turns.lengths - steps).clamp(min=0) // 2
    kept = torch.arange(min(steps, longest), device=starts.device)
    index = (starts.unsqueeze(1) + kept).unsqueeze(-1).expand(-1, -1, turns.frames.shape[2])
    return Turns(turns.frames.gather(1, index), turns.lengths.clamp(max=steps))


def cut(turns: Turns, steps: int) -> tuple[Tensor, Tensor]:
    """Cut turns into consecutive pieces that do not overlap.

    >>> pieces, counts = cut(Turns(torch.ones(2, 5, 1), torch.tensor([5, 2])), 3)
    >>> pieces.shape, counts
    (torch.Size([4, 3, 1]), tensor([[3, 2],
            [2, 0]]))

    Args:
        turns: B turns.
        steps: Steps n of a piece; the last piece of a turn may have fewer.

    Returns:
        Frames, zero after the last step of a piece, (B·P, n, features), and the number of steps
        of each piece, 0 after the end of a turn, (B, P).
    """
    frames = turns.real_frames
    pieces = (frames.shape[1] + steps - 1) // steps
    frames = F.pad(frames, (0, 0, 0, pieces * steps - frames.shape[1]))
    starts = steps * torch.arange(pieces, device=frames.device)
    counts = (turns.lengths.unsqueeze(1) - starts).clamp(0, steps)
    return frames.reshape(-1, steps, frames.shape[2]), counts


MOST_NUMBERS = 2**21
"""Maximum of steps × features evaluated at once by a convolutional system: about 2 GB."""


def in_parts(
    classify: Callable[[Turns], Tensor],
    turns: Turns,
    *,
    training: bool = False,
    most: int = MOST_NUMBERS,
) -> Tensor:
    """Classify a batch in parts in evaluation, so that memory does not grow with the batch size.

    In training it is classified at once, since batch normalisation takes statistics of the batch.

    >>> turns = Turns(torch.ones(5, 3, 2), torch.full((5,), 3))
    >>> in_parts(lambda part: torch.full((len(part.frames), 1), len(part.frames)), turns, most=12)
    tensor([[2],
            [2],
            [2],
            [2],
            [1]])

    Args:
        classify: A function from turns to logits (B, classes).
        turns: The turns.
        training: True in training mode.
        most: Maximum of steps × features of a part; a part has at least one turn.
    """
    if training or torch.compiler.is_compiling():  # a traced batch size is only an example
        return classify(turns)
    rows = max(most // turns.frames[0].numel(), 1)
    parts = zip(torch.split(turns.frames, rows), torch.split(turns.lengths, rows), strict=True)
    return torch.cat([classify(Turns(*part)) for part in parts])


def check_numbers(name: str, values: Sequence[object], count: int | None = None) -> list[int]:
    """Return a list of positive integers, or refuse it.

    Args:
        name: The setting.
        values: The list.
        count: Required number of values; None: one or more.

    Raises:
        RequestError: Names the setting as the configuration does.
    """
    whole = [each for each in values if isinstance(each, int) and each > 0]
    wanted = count or max(len(values), 1)
    if not len(whole) == len(values) == wanted:
        number = f"{count} whole numbers" if count else "whole numbers"
        raise RequestError(f"model.{name}={list(values)}: must be {number} from 1 up")
    return whole


def check_sizes(**sizes: int) -> None:
    """Refuse layers without a unit.

    Raises:
        RequestError: Names the setting as the configuration does.
    """
    checks.check_sizes("model.", **sizes)


def check_heads(heads: int, size: int) -> None:
    """Refuse attention heads that do not divide the states of a bidirectional layer.

    Raises:
        RequestError: Names the settings as the configuration does.
    """
    if size % heads:
        raise RequestError(
            f"model.heads={heads}: must divide the {size} features of a state "
            f"(2 × model.hidden={size // 2})"
        )


def check_divides(heads: int, size: int, name: str) -> None:
    """Refuse attention heads that do not divide a size.

    Args:
        heads: The setting ``model.heads``.
        size: The size.
        name: The setting of the size.

    Raises:
        RequestError: Names the settings as the configuration does.
    """
    if size % heads:
        raise RequestError(f"model.heads={heads}: must divide model.{name}={size}")


def check_dropout(dropout: float, name: str = "dropout") -> None:
    """Refuse a dropout probability that is not in [0, 1).

    Args:
        dropout: The probability.
        name: The setting.

    Raises:
        RequestError: Names the setting as the configuration does.
    """
    if not 0 <= dropout < 1:
        raise RequestError(f"model.{name}={dropout:g}: must be in [0, 1)")


def check_weight(name: str, weight: float) -> None:
    """Refuse a weight of a loss that is negative or not finite.

    Raises:
        RequestError: Names the setting as the configuration does.
    """
    if not 0 <= weight < float("inf"):
        raise RequestError(f"model.{name}={weight:g}: must be 0 or more")


def check_task_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weights above 0 of auxiliary tasks, or refuse them.

    Args:
        weights: Column of the manifest → weight of its loss, the setting ``model.COLUMN_weight``.

    Raises:
        RequestError: A weight is negative or not finite.
    """
    for column, weight in weights.items():
        check_weight(f"{column}_weight", weight)
    return {column: weight for column, weight in weights.items() if weight > 0}


def check_streams(
    streams: Sequence[str], least: int = 1, most: int | None = None
) -> tuple[str, ...]:
    """Return the names of the further streams of a model, or refuse them.

    Args:
        streams: The setting ``model.streams``.
        least: Minimum number of streams.
        most: Maximum number of streams; None: any.

    Raises:
        RequestError: There are too few or too many, or a name occurs twice.
    """
    number = f"{least} name" if least == most else f"{least} to {most} names" if most else "names"
    fits = least <= len(streams) <= (most or len(streams))
    if not fits or len(set(streams)) < len(streams):
        raise RequestError(
            f"model.streams=[{','.join(map(str, streams))}]: must be a list of {number} of further "
            "streams, each once"
        )
    return tuple(streams)
