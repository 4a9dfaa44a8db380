"""The training loss: classification, auxiliary tasks, and other losses of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sercli.config.schema import TrainerConfig
from sercli.models.interface import Criterion, Output
from sercli.training.batches import targets
from sercli.training.ccc import ccc_loss
from sercli.training.data import Data
from sercli.training.raters import soft_targets


class TrainingLoss:
    """The loss of the batches of a fold's training set.

    With ``dataset.dimensions`` it is that of the dimensional labels (`sercli.training.ccc`).
    Otherwise the labels are those of the utterances or the shares of their raters
    (``trainer.labels``). Class weights, from the labels of the utterances, focal loss and label
    smoothing act on every classifier of the classes. Other columns, such as the speaker, are
    learned with plain cross entropy among the values that occur in the training set, from the
    utterances that state one (our choices).

    Args:
        trainer: Settings of the loss.
        data: The corpus.
        train: The fold's training utterances, which set the class weights.
        device: Device of the model.
    """

    def __init__(
        self, trainer: TrainerConfig, data: Data, train: Sequence[str], device: torch.device
    ) -> None:
        self._data, self._train, self._device = data, train, device
        self._targets: dict[str, TaskTargets] = {}
        self._main: ClassLoss | DimensionLoss
        if data.manifest.dimensions is None:
            self._main = ClassLoss(trainer, data, train, device)
        else:
            self._main = DimensionLoss(trainer, data, device)

    def criterion(
        self,
        rows: np.ndarray,
        others: np.ndarray | None = None,
        labels: np.ndarray | None = None,
    ) -> Criterion:
        """Return the criterion of a batch of training utterances.

        Args:
            rows: Rows of the utterances, (B,).
            others: Rows of the turns that are pasted to them; None: nothing is pasted.
            labels: Class indices, (B,); None: those of the utterances, or the shares of raters.
        """
        return partial(self._loss, rows, others, self._main.targets(rows, labels))

    def total(self, output: Output, criterion: Criterion) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and its terms by name.

        Args:
            output: Logits and auxiliary losses.
            criterion: Criterion of the batch.
        """
        losses = {self._main.name: criterion("label", output.logits), **output.losses}
        return reduce(add, losses.values()), losses

    def _loss(
        self,
        rows: np.ndarray,
        others: np.ndarray | None,
        main_targets: Tensor,
        column: str,
        logits: Tensor,
    ) -> Tensor:
        if column == "label":
            return self._main.loss(logits, main_targets)
        if column not in self._targets:
            self._targets[column] = read_targets(self._data, column, self._train, self._device)
        task = self._targets[column]
        positions = task.positions[rows]
        stated = positions >= 0
        if others is not None:  # two speakers in a turn are none
            stated = stated & (positions == task.positions[others])
        if not stated.any():
            return logits.new_zeros(())
        chosen = logits[torch.from_numpy(stated).to(self._device)][:, task.outputs].float()
        return F.cross_entropy(chosen, torch.from_numpy(positions[stated]).to(self._device))


class ClassLoss:
    """The loss of the classes; arguments as of `TrainingLoss`.

    Attributes:
        name: Name of the loss in the history.
    """

    name = "classes"

    def __init__(
        self, trainer: TrainerConfig, data: Data, train: Sequence[str], device: torch.device
    ) -> None:
        self._trainer, self._turns, self._device = trainer, data.packed, device
        self._weights: Tensor | None = None
        self._soft = soft_targets(data).to(device) if trainer.labels == "soft" else None
        if trainer.class_weights == "balanced":
            labels = self._turns.labels[self._turns.rows(train)]
            counts = np.bincount(labels, minlength=len(data.manifest.classes))
            self._weights = balanced_weights(counts.tolist()).to(device)

    def targets(self, rows: np.ndarray, labels: np.ndarray | None) -> Tensor:
        """Return class indices (B,) or shares of classes (B, classes)."""
        if labels is not None:
            return torch.from_numpy(labels).to(self._device)
        if self._soft is not None:
            return self._soft[torch.from_numpy(rows).to(self._device)]
        return targets(rows, self._turns, self._device)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of logits (B, classes)."""
        return classification_loss(
            logits,
            targets,
            self._weights,
            smoothing=self._trainer.label_smoothing,
            gamma=self._trainer.focal_gamma,
        )


class DimensionLoss:
    """The loss of dimensional labels (`sercli.training.ccc`); arguments as of `TrainingLoss`.

    Attributes:
        name: Name of the loss in the history.
    """

    name = "dimensions"

    def __init__(self, trainer: TrainerConfig, data: Data, device: torch.device) -> None:
        dimensions = data.manifest.dimensions
        assert dimensions is not None
        scaled = dimensions.scaled(data.packed.dimensions)
        self._labels = torch.from_numpy(scaled.astype(np.float32)).to(device)
        weights = [trainer.ccc_weights.get(name, 1.0) for name in dimensions.names]
        self._weights = torch.tensor(weights, device=device)

    def targets(self, rows: np.ndarray, labels: np.ndarray | None) -> Tensor:
        """Return the labels on [−1, 1], (B, dimensions)."""
        assert labels is None, "raters have no dimensions"
        return self._labels[torch.from_numpy(rows).to(self._labels.device)]

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of outputs (B, dimensions)."""
        return ccc_loss(outputs, targets, self._weights)


@dataclass(frozen=True)
class TaskTargets:
    """Targets of an auxiliary task on the training set of a fold.

    Attributes:
        outputs: Outputs of the classifier whose values occur in the training set, (K,).
        positions: The position of each row's value among ``outputs``; −1 for utterances that
            state none or are not in the training set, (rows,).
    """

    outputs: Tensor
    positions: np.ndarray


def read_targets(
    data: Data, column: str, train: Sequence[str], device: torch.device
) -> TaskTargets:
    """Read a column of the training utterances.

    Args:
        data: The corpus.
        column: ``speaker``, ``gender`` or another column of names.
        train: Utterance ids.
        device: Device of the classifier.
    """
    table = data.manifest.targets[["utterance", column]].dropna()
    stated = table[table["utterance"].isin(train)]
    values = data.values(column)
    here = sorted(stated[column].unique())
    outputs = torch.tensor([values.index(value) for value in here], device=device)
    positions = np.full(len(data.packed.names), -1)
    positions[data.packed.rows(stated["utterance"])] = list(map(here.index, stated[column]))
    return TaskTargets(outputs, positions)


def balanced_weights(counts: Sequence[int]) -> Tensor:
    """Weigh each class by the inverse of its frequency: w_c = N / (C n_c).

    >>> balanced_weights([30, 10])
    tensor([0.6667, 2.0000])

    So all classes weigh the same together, and a training example 1 on average (King and Zeng
    2001, as in scikit-learn's ``class_weight="balanced"``). N counts the examples and C the
    classes that occur. A class that does not occur weighs nothing: no example asks for it.

    Args:
        counts: Training examples n_c of each class.

    Returns:
        float32 (classes,).
    """
    frequency = torch.tensor(counts, dtype=torch.float32)
    there = frequency > 0
    weights = frequency.sum() / (there.sum() * frequency)
    return weights.where(there, 0.0)


def classification_loss(
    logits: Tensor,
    targets: Tensor,
    weights: Tensor | None = None,
    *,
    smoothing: float = 0.0,
    gamma: float = 0.0,
) -> Tensor:
    """Cross entropy with smoothed labels, class weights and focus on hard examples.

    >>> classification_loss(torch.zeros(1, 4), torch.tensor([2]))  # ln 4
    tensor(1.3863)

    The mean over the batch, by the weights of the targets, of

        −Σ_c q_c w_c (1 − p_c)^γ log p_c   with   q = (1 − ε)·onehot + ε / C.

    γ = 0 is torch's ``cross_entropy`` with ``weight`` and ``label_smoothing``; ε = 0 is the focal
    loss of Lin et al. (2017, arXiv 1708.02002, eq. 5; they use γ = 2). With both, each class is
    modulated by its own probability, and the mean is by weights rather than by number as theirs:
    our choices.

    Soft targets t take the place of onehot, and the mean is by Σ_c t_c w_c (our choice).

    Args:
        logits: (B, classes).
        targets: Class indices, (B,), or the share of each class, (B, classes).
        weights: w, (classes,); None: 1.
        smoothing: ε.
        gamma: γ, 0 or more.

    Returns:
        A scalar, in float32 at least.
    """
    exact = torch.promote_types(logits.dtype, torch.float32)
    if weights is not None:
        weights = weights.to(exact)
    soft = targets.is_floating_point()
    if not gamma and not soft:
        return F.cross_entropy(logits.to(exact), targets, weights, label_smoothing=smoothing)
    log_p = logits.to(exact).log_softmax(dim=-1)
    classes = logits.shape[-1]
    shares = targets.to(exact) if soft else F.one_hot(targets, classes).to(exact)
    q = shares * (1 - smoothing) + smoothing / classes
    w = torch.ones_like(log_p[0]) if weights is None else weights
    missing = -torch.expm1(log_p)  # 1 − p, where p is near 1 as well
    smallest = torch.finfo(exact).tiny  # the slope of x^γ at 0 is infinite for γ < 1
    terms = q * w * -log_p * missing.clamp(min=smallest) ** gamma
    return terms.sum() / (shares * w).sum()
