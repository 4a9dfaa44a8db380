"""What the manifest says of the utterances beside their class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sercli.training.data import Data


def column_values(data: Data, column: str) -> list[str]:
    """Return the sorted values that a column of the manifest has among the targets."""
    return sorted(data.manifest.targets[column].dropna().unique())


@dataclass(frozen=True)
class TaskTargets:
    """A column of the manifest, as a classifier that is trained on a fold sees it.

    Attributes:
        outputs: The outputs of the classifier whose values occur in the training set, (K,).
        index: Training utterance → position of its value among ``outputs``; utterances of which
            the corpus does not state it are not there.
    """

    outputs: Tensor
    index: dict[str, int]


def read_targets(
    data: Data, column: str, train: Sequence[str], device: torch.device
) -> TaskTargets:
    """Read a column of the training utterances.

    Args:
        data: The corpus.
        column: ``speaker``, ``gender`` or another column of names.
        train: Utterance ids.
        device: Where the classifier is.
    """
    targets = data.manifest.targets[["utterance", column]].dropna()
    stated = targets[targets["utterance"].isin(train)]
    values = column_values(data, column)
    here = sorted(stated[column].unique())
    outputs = torch.tensor([values.index(value) for value in here], device=device)
    index = zip(stated["utterance"], map(here.index, stated[column]), strict=True)
    return TaskTargets(outputs, dict(index))
