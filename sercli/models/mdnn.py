"""MDNN, the multi-path deep neural network: a reconstruction."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.interface import Batch, CorpusInfo, Output, Turns
from sercli.models.parts import check_dropout, check_sizes, check_weight, dense
from sercli.nn.pooling import deviation_over_time, mean_over_time

_RANGE = re.compile(r"(\d+)-(\d+)")


@MODELS.register("mdnn")
class MDNN(nn.Module):
    """A RECONSTRUCTION of the multi-path network of Zhou et al. (AAAI 2018), supervised part.

    What the paper says: the features are split into groups; each has a local classifier; the
    hidden features of the local classifiers together are the input of a global one; the losses
    of all are trained at once. What it was built from here does not say which groups, how many
    and how large layers, which weights and which input: those are our choices, so no number of
    this network is theirs. Its semi-supervised extension MGNN is not here.

    Ours: an utterance is the mean and the standard deviation of each feature over time (of
    functionals, which are one row, the deviation is nothing); a classifier has one hidden layer
    with ReLU; the local losses count ``local_weight`` together, the global one 1. It has no
    recurrent layer, so that ``cell`` and ``activation`` mean nothing to it.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        corpus: Facts of the corpus: names of the features.
        groups: For each group its features: how names begin (``mfcc_sma[``), or positions from 0
            as ``9-20``, both ends included. A feature in no group is not used.
        local_units: Hidden features of a local classifier.
        global_units: Hidden features of the global classifier.
        dropout: Dropout probability on hidden features.
        local_weight: Weight of the losses of the local classifiers together.

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), the weight is below 0, or a
            group names no feature.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        corpus: CorpusInfo,
        groups: list[list[str]] | tuple[()] = (),
        local_units: int = 64,
        global_units: int = 128,
        dropout: float = 0.5,
        local_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_sizes(local_units=local_units, global_units=global_units)
        check_dropout(dropout)
        check_weight("local_weight", local_weight)
        self.groups = feature_groups(groups, inputs, corpus)
        self.local_weight = local_weight
        self.local_hidden = nn.ModuleList(
            dense(2 * len(group), local_units, dropout=dropout) for group in self.groups
        )
        self.local_heads = nn.ModuleList(nn.Linear(local_units, classes) for _ in self.groups)
        self.global_head = nn.Sequential(
            dense(len(groups) * local_units, global_units, dropout=dropout),
            nn.Linear(global_units, classes),
        )

    def forward(self, batch: Batch) -> Output:
        """Classify a batch; the losses are those of the local classifiers."""
        means, deviations = _statistics(batch.current)
        hidden = [
            layer(torch.cat([means[:, group], deviations[:, group]], dim=-1))
            for layer, group in zip(self.local_hidden, self.groups, strict=True)
        ]
        weight = self.local_weight / len(self.groups)
        losses = {}
        if batch.criterion is not None:
            losses = {
                f"local{number}": weight * batch.criterion("label", head(features))
                for number, (head, features) in enumerate(
                    zip(self.local_heads, hidden, strict=True)
                )
            }
        return Output(self.global_head(torch.cat(hidden, dim=-1)), losses)


def _statistics(turns: Turns) -> tuple[Tensor, Tensor]:
    frames, valid = turns.real_frames, turns.valid
    return mean_over_time(frames, valid), deviation_over_time(frames, valid)


def feature_groups(
    groups: Sequence[Sequence[str]], inputs: int, corpus: CorpusInfo
) -> list[list[int]]:
    """Find the features of each group.

    Args:
        groups: As `MDNN` takes them.
        inputs: Number of features.
        corpus: Tells their names; it is asked only if a group names one.

    Returns:
        Positions in ascending order, each once in its group.

    Raises:
        RequestError: There is no group, one is empty, or an entry is no feature.
    """
    if not groups or not all(isinstance(group, list) and group for group in groups):
        raise RequestError(
            f"model.groups={list(groups)}: expected a list of features for each group, as in "
            "[[0-4],[5-8]]"
        )
    return [
        sorted({i for entry in group for i in _positions(str(entry), inputs, corpus)})
        for group in groups
    ]


def _positions(entry: str, inputs: int, corpus: CorpusInfo) -> Sequence[int]:
    if span := _RANGE.fullmatch(entry):
        first, last = map(int, span.groups())
        if not first <= last < inputs:
            corpus.columns()  # ends `check_settings`, where the number of features is unknown
            raise RequestError(
                f"model.groups: {entry} is no range of the {inputs} features 0-{inputs - 1}"
            )
        return range(first, last + 1)
    names = corpus.columns()
    found = [i for i, name in enumerate(names) if name.startswith(entry)]
    if not found or len(names) != inputs:
        raise RequestError(
            f"model.groups: none of the {inputs} features begins with '{entry}'; they are "
            f"{', '.join(names[:3])}, … Set model.groups to the groups of your feature set"
        )
    return found
