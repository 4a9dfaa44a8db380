"""Layers that classify, and dense layers before and after a recurrence."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from sercli.models.check import check_weight
from sercli.models.corpus_info import CorpusInfo
from sercli.models.output import Task


class TaskHeads(nn.Module):
    """A linear classifier of each further column of the manifest, on the same vectors.

    Only the speakers (genders) of a fold's training set are told apart in its training: the
    loss leaves the others out (`sercli.training.loss`). There is an output for each value
    all the same, so that the shapes of a model do not depend on the fold.

    Args:
        size: Features of a vector.
        weights: Column → how much its loss counts; with 0 it is not learned.
        corpus: Says how many values a column has.

    Raises:
        RequestError: A weight is below 0, or the corpus does not state a column.
    """

    def __init__(self, size: int, weights: Mapping[str, float], corpus: CorpusInfo) -> None:
        super().__init__()
        for column, weight in weights.items():
            check_weight(f"{column}_weight", weight)
        self.weights = {column: weight for column, weight in weights.items() if weight > 0}
        self.heads = nn.ModuleDict(
            {column: nn.Linear(size, corpus.count(column)) for column in self.weights}
        )

    def forward(self, vectors: Tensor) -> tuple[Task, ...]:
        """Classify vectors (B, size) by each column."""
        return tuple(
            Task(column, self.heads[column](vectors), weight)
            for column, weight in self.weights.items()
        )


def dense(inputs: int, *sizes: int, dropout: float = 0.0) -> nn.Sequential:
    """Stack fully connected layers with ReLU, each followed by dropout.

    Args:
        inputs: Features of the input.
        sizes: Features of each layer.
        dropout: Share dropped after each layer.
    """
    layers: list[nn.Module] = []
    for before, size in zip((inputs, *sizes), sizes, strict=False):
        layers += [nn.Linear(before, size), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)
