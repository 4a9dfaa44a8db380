"""Evaluation of a model on dev or test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import nn

from sercli.config.schema import TrainerConfig
from sercli.corpora.manifest import Dimensions
from sercli.models.interface import as_output
from sercli.nn.device import autocast
from sercli.results.dimensions import scores_of
from sercli.training.batches import CUT_TO_LAST, collate, evaluation_batches
from sercli.training.data import Data

EVALUATION_BATCH = 128
"""Utterances of a batch; a large model has an attribute ``evaluation_batch``."""


class Predictions(Protocol):
    """The predictions for the utterances of a part."""

    @property
    def finite(self) -> bool:
        """True if all outputs are finite."""

    @property
    def scores(self) -> Mapping[str, float]:
        """Name → score. The first one selects the training step."""

    def table(self, **constants: str) -> pd.DataFrame:
        """Tabulate the predictions, one row per utterance."""


@dataclass(frozen=True)
class ClassPredictions:
    """The probabilities of the classes for the utterances of a part.

    Attributes:
        data: The corpus.
        rows: The rows of the utterances in it.
        probabilities: float32 (utterances, classes).
    """

    data: Data
    rows: np.ndarray
    probabilities: np.ndarray

    @cached_property
    def finite(self) -> bool:
        """True if all probabilities are finite."""
        return bool(np.isfinite(self.probabilities).all())

    @cached_property
    def scores(self) -> Mapping[str, float]:
        """UA and WA (`sercli.results.metrics`), from the number of hits in each class."""
        labels = self.data.packed.labels[self.rows]
        hit = self.probabilities.argmax(axis=1) == labels
        hits, examples = np.bincount(labels[hit], minlength=len(self._classes)), np.bincount(labels)
        recall = hits[: len(examples)][examples > 0] / examples[examples > 0]
        return {"ua": float(recall.mean()), "wa": float(hit.sum() / len(hit))}

    def table(self, **constants: str) -> pd.DataFrame:
        """Tabulate the predictions.

        Args:
            constants: Values of further columns, the same in all rows.

        Returns:
            One row per utterance: ``utterance``, ``label``, ``predicted``, and the probability
            of each class in a column ``p_<class>``.
        """
        columns = {
            "utterance": self.data.packed.names[self.rows],
            "label": self._classes[self.data.packed.labels[self.rows]],
            "predicted": self._classes[self.probabilities.argmax(axis=1)],
        }
        shares = zip(self._classes, self.probabilities.T, strict=True)
        return pd.DataFrame(columns | {f"p_{name}": share for name, share in shares} | constants)

    @property
    def _classes(self) -> np.ndarray:
        return np.array(self.data.manifest.classes, dtype=object)


@dataclass(frozen=True)
class DimensionPredictions:
    """The predicted dimensions of the utterances of a part.

    Attributes:
        data: The corpus.
        rows: The rows of the utterances in it.
        outputs: On [−1, 1], float32 (utterances, dimensions).
    """

    data: Data
    rows: np.ndarray
    outputs: np.ndarray

    @cached_property
    def finite(self) -> bool:
        """True if all outputs are finite."""
        return bool(np.isfinite(self.outputs).all())

    @cached_property
    def scores(self) -> Mapping[str, float]:
        """Mean CCC over the dimensions, and that of each (`sercli.results.dimensions`)."""
        labels = self.data.packed.dimensions[self.rows]
        return scores_of(self._dimensions.names, labels.T, self._unscaled.T)

    def table(self, **constants: str) -> pd.DataFrame:
        """Tabulate the predictions.

        Args:
            constants: Values of further columns, the same in all rows.

        Returns:
            One row per utterance: ``utterance``, and a column ``<dimension>`` and a column
            ``predicted_<dimension>`` for each dimension, on the scale of the corpus.
        """
        names, packed = self._dimensions.names, self.data.packed
        labels = zip(names, packed.dimensions[self.rows].T, strict=True)
        outputs = zip(names, self._unscaled.T, strict=True)
        return pd.DataFrame(
            {"utterance": packed.names[self.rows]}
            | dict(labels)
            | {f"predicted_{name}": values for name, values in outputs}
            | constants
        )

    @cached_property
    def _unscaled(self) -> np.ndarray:
        return self._dimensions.unscaled(self.outputs.astype(np.float64))

    @property
    def _dimensions(self) -> Dimensions:
        assert self.data.manifest.dimensions is not None
        return self.data.manifest.dimensions


def score_names(data: Data) -> tuple[str, ...]:
    """Return the names of the scores of the task; the first one selects the training step."""
    task = data.manifest.dimensions
    return ("ua", "wa") if task is None else ("ccc", *(f"ccc_{name}" for name in task.names))


class Evaluation:
    """Dev or test, divided once into batches for all evaluations.

    Args:
        utterances: Their ids.
        data: The corpus.
        trainer: The training settings, whose rule of batches applies.
        size: Utterances of a batch, by the rule ``similar``.
    """

    def __init__(
        self,
        utterances: Sequence[str],
        data: Data,
        trainer: TrainerConfig,
        size: int = EVALUATION_BATCH,
    ) -> None:
        self.data, self.rule = data, trainer.batches
        size = 2 * trainer.batch_size if self.rule == CUT_TO_LAST else size
        rows = data.packed.rows(utterances)
        self.batches = evaluation_batches(rows, data.packed, size, self.rule)

    def predict(
        self, model: nn.Module, device: torch.device, precision: str = "float32"
    ) -> Predictions:
        """Predict all utterances.

        Args:
            model: The model, in evaluation mode.
            device: Device of the model.
            precision: ``float32`` or ``bf16``.
        """
        turns, parts = self.data.packed, []
        dimensions = self.data.manifest.dimensions is not None
        with torch.inference_mode(), autocast(device, precision):
            for rows in self.batches:
                logits = as_output(model(collate(rows, turns, device, self.rule))).logits
                parts.append(logits.float() if dimensions else logits.float().softmax(dim=-1))
            found = torch.cat(parts).cpu().numpy()
        made = DimensionPredictions if dimensions else ClassPredictions
        return made(self.data, np.concatenate(self.batches), found)
