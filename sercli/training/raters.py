"""Training on the labels of single raters: as shares, or one item for each rating."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sercli.config.schema import Config
from sercli.corpora.ratings import UnreadRatings
from sercli.errors import RequestError
from sercli.models import MODELS, is_fitted
from sercli.results.folds import Fold
from sercli.training.data import Data


@dataclass(frozen=True)
class Items:
    """The items of which batches are drawn: utterances, or ratings of utterances.

    Attributes:
        rows: The row of each item's utterance, (items,).
        labels: Class index that the rater chose, (items,); None: the items are utterances.
        raters: Index of the rater in `Data.raters`, (items,); None: the items are utterances.
    """

    rows: np.ndarray
    labels: np.ndarray | None = None
    raters: np.ndarray | None = None

    def take(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Return rows, labels and raters of some of the items."""
        labels, raters = (x if x is None else x[items] for x in (self.labels, self.raters))
        return self.rows[items], labels, raters


def training_items(labels: str, data: Data, train: Sequence[str]) -> Items:
    """Return the items of a fold's training set.

    Args:
        labels: ``trainer.labels``. With ``rater`` an item is a rating; else an utterance.
        data: The corpus.
        train: Utterance ids.
    """
    if labels != "rater":
        return Items(data.packed.rows(train))
    ratings = data.ratings[data.ratings["utterance"].isin(train)]
    return Items(
        data.packed.rows(ratings["utterance"]),
        ratings["label"].map(data.manifest.classes.index).to_numpy(np.int64),
        ratings["rater"].map(data.raters.index).to_numpy(np.int64),
    )


def soft_targets(data: Data) -> Tensor:
    """Return the share of raters for each class.

    An utterance without a rating among the classes of the task keeps its own label.

    Args:
        data: The corpus.

    Returns:
        float32 (rows, classes); rows that are no targets are zero.
    """
    classes, turns = data.manifest.classes, data.packed
    counts = np.zeros((len(turns.names), len(classes)), np.float32)
    labels = data.ratings["label"].map(classes.index).to_numpy(np.int64)
    np.add.at(counts, (turns.rows(data.ratings["utterance"]), labels), 1)
    alone = np.flatnonzero((counts.sum(axis=1) == 0) & (turns.labels >= 0))
    counts[alone, turns.labels[alone]] = 1
    return torch.from_numpy(counts / counts.sum(axis=1, keepdims=True).clip(min=1))


def check_ratings(config: Config, data: Data, folds: Sequence[Fold]) -> None:
    """Refuse to train on labels of raters that are missing.

    Raises:
        RequestError: The corpus, or the training set of a fold, has no label of a single rater
            among the classes; or the model is fitted, or needs ``trainer.labels=rater``.
    """
    labels, model = config.trainer.labels, MODELS[config.model["system"]]
    if getattr(model, "needs_raters", False) and labels != "rater":
        raise RequestError(
            f"model {config.model['name']} learns from single raters: set trainer.labels=rater, "
            f"not {labels}"
        )
    if labels == "majority":
        return
    if is_fitted(config.model):
        raise RequestError(
            f"trainer.labels={labels}: model {config.model['name']} is fitted to one label per "
            "utterance; set trainer.labels=majority"
        )
    if data.ratings.empty:
        raise RequestError(
            f"trainer.labels={labels}: {data.manifest.dataset} has no labels of single raters "
            f"among the classes of the task{_unread(data)}; set trainer.labels=majority, or for a "
            "manifest dataset.options.ratings=TABLE"
        )
    rated = set(data.ratings["utterance"])
    for fold in folds:
        if labels == "rater" and rated.isdisjoint(fold.train):
            raise RequestError(
                f"trainer.labels=rater: no training utterance of fold {fold.name} has the label "
                "of a single rater; set trainer.labels=majority"
            )


def _unread(data: Data) -> str:
    """Return the reason, in parentheses, if the table of ratings as a whole was refused."""
    found = [
        f" ({refusal.file}: {refusal.reason})"
        for refusal in data.manifest.refused
        if isinstance(refusal, UnreadRatings)
    ]
    return "".join(found)


def ratings_caveat(config: Config, data: Data) -> str | None:
    """Return a caveat on targets without a rater's label, if training uses raters' labels."""
    if config.trainer.labels == "majority":
        return None
    targets = data.manifest.targets["utterance"]
    unrated = int((~targets.isin(data.ratings["utterance"])).sum())
    if not unrated:
        return None
    fate = {"soft": "are trained on their own label", "rater": "are not trained on"}
    share = f"{unrated} of {len(targets)} utterances"
    return f"{share} have no rater's label among the classes; they {fate[config.trainer.labels]}"
