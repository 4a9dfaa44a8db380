"""Evaluation of a model on dev or test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import nn

from sercli.config.schema import TrainerConfig
from sercli.models.interface import as_output
from sercli.training.batches import CUT_TO_LAST, collate, evaluation_batches
from sercli.training.data import Data
from sercli.training.device import autocast

EVALUATION_BATCH = 128
"""Utterances of a batch; a large model has an attribute ``evaluation_batch``."""


@dataclass(frozen=True)
class Predictions:
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
    def scores(self) -> tuple[float, float]:
        """UA and WA (`sercli.results.metrics`), from the number of hits in each class."""
        labels = self.data.packed.labels[self.rows]
        hit = self.probabilities.argmax(axis=1) == labels
        hits, examples = np.bincount(labels[hit], minlength=len(self._classes)), np.bincount(labels)
        recall = hits[: len(examples)][examples > 0] / examples[examples > 0]
        return float(recall.mean()), float(hit.sum() / len(hit))

    def table(self) -> pd.DataFrame:
        """Tabulate the predictions.

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
        return pd.DataFrame(columns | {f"p_{name}": share for name, share in shares})

    @property
    def _classes(self) -> np.ndarray:
        return np.array(self.data.manifest.classes, dtype=object)


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
        """Classify all utterances.

        Args:
            model: The model, in evaluation mode.
            device: Device of the model.
            precision: ``float32`` or ``bf16``.
        """
        turns, parts = self.data.packed, []
        with torch.inference_mode(), autocast(device, precision):
            for rows in self.batches:
                logits = as_output(model(collate(rows, turns, device, self.rule))).logits
                parts.append(logits.float().softmax(dim=-1))
            probabilities = torch.cat(parts).cpu().numpy()
        return Predictions(self.data, np.concatenate(self.batches), probabilities)
