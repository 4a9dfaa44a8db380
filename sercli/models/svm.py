"""A linear support vector machine on functionals, the baseline every reviewer asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.interface import Batch


@MODELS.register("svm")
class LinearSVM(nn.Module):
    """Linear SVMs, one class against the rest, on one standardised row per utterance.

    The classic baseline of the INTERSPEECH challenges (Schuller et al. 2009 and later):
    functionals, standardised on the training set, and a linear SVM whose complexity C is chosen
    on the development set. It is fitted by liblinear (Fan et al. 2008) with the squared hinge
    loss, through scikit-learn. What is fitted is linear, so that it lives on as a layer, and is
    evaluated, kept and reported like any other model. Its probabilities are a softmax of the
    decision values, and no calibrated ones.

    Args:
        inputs: Functionals.
        classes: Number of classes.
        complexities: The values of C that are tried, each a trial (our choice: the decades that
            the challenges search).
        balanced: Weigh classes equally, whatever their number (the challenges
            upsample instead; UA asks for one or the other).

    Attributes:
        level: The level of features that it reads.
        trials: The complexities.

    Raises:
        RequestError: There is no complexity, or one that is not above 0.
    """

    level = "functionals"
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        complexities: list[Any] | tuple[Any, ...] = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
        balanced: bool = True,
    ) -> None:
        super().__init__()
        numbers = all(isinstance(c, int | float) for c in complexities)
        if not (complexities and numbers and min(complexities) > 0):
            raise RequestError(
                f"model.complexities={list(complexities)}: must be numbers above 0, at least one"
            )
        self.trials = tuple(map(float, complexities))
        self.balanced = balanced
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.linear = nn.Linear(inputs, classes)

    def forward(self, batch: Batch) -> Tensor:
        """Classify the only row of each utterance: decision values (B, classes)."""
        rows = (batch.current.frames[:, 0] - self.mean) / self.deviation
        values: Tensor = self.linear(rows)
        return values

    def fit(self, rows: np.ndarray, labels: np.ndarray, complexity: float, seed: int) -> None:
        """Fit to a training set.

        A class that does not occur is never recognised: its decision value is minus infinity.

        Args:
            rows: Functionals, (utterances, inputs).
            labels: Class indices, (utterances,).
            complexity: C.
            seed: Seed of the order in which liblinear visits the examples.

        Raises:
            RequestError: There are fewer than two classes among the labels.
        """
        from sklearn.svm import LinearSVC

        if len(set(labels.tolist())) < 2:
            raise RequestError("an SVM needs two classes in its training set, and there is one")
        mean, deviation = _scaling(rows)
        weight = "balanced" if self.balanced else None
        machine = LinearSVC(C=complexity, class_weight=weight, random_state=seed, max_iter=_ROUNDS)
        machine.fit((rows - mean) / deviation, labels)
        planes, offsets = _of_each_class(machine.coef_, machine.intercept_)
        with torch.no_grad():
            self.mean.copy_(torch.from_numpy(mean))
            self.deviation.copy_(torch.from_numpy(deviation))
            self.linear.weight.zero_()
            self.linear.bias.fill_(-torch.inf)
            self.linear.weight[machine.classes_] = torch.from_numpy(planes).float()
            self.linear.bias[machine.classes_] = torch.from_numpy(offsets).float()


_ROUNDS = 10_000
"""Rounds after which liblinear stops at the latest (our choice; scikit-learn: 1 000)."""


def _scaling(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each functional; 1 where it never changes."""
    exact = rows.astype(np.float64)
    deviation = exact.std(axis=0)
    return exact.mean(axis=0), np.where(deviation > 0, deviation, 1.0)


def _of_each_class(planes: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give both of two classes their plane: scikit-learn keeps only that of the second."""
    if len(planes) > 1:
        return planes, offsets
    return np.concatenate([-planes, planes]), np.concatenate([-offsets, offsets])
