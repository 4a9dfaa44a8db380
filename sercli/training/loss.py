"""What training makes small: the loss of the classes, of other tasks, and penalties."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sercli.config.schema import TrainerConfig
from sercli.models.losses import balanced_weights, classification_loss
from sercli.models.output import Output, Task, as_output
from sercli.training.batches import targets
from sercli.training.data import Data
from sercli.training.task_targets import TaskTargets, read_targets


class TrainingLoss:
    """The loss of a batch of a fold's training set.

    Class weights, focal loss and label smoothing act on every classifier of the classes. Other
    columns, such as the speaker, are learned with plain cross entropy among the values that
    occur in the training set, from the utterances that state one (our choices).

    Args:
        trainer: Its loss settings.
        data: The corpus.
        train: The fold's training utterances, which set the class weights.
        device: Where the model is.
    """

    def __init__(
        self, trainer: TrainerConfig, data: Data, train: Sequence[str], device: torch.device
    ) -> None:
        self._trainer, self._data, self._train, self._device = trainer, data, train, device
        self._truths: dict[str, TaskTargets] = {}
        self._weights: Tensor | None = None
        if trainer.class_weights == "balanced":
            labels = [data.labels[name] for name in train]
            counts = [labels.count(label) for label in data.manifest.classes]
            self._weights = balanced_weights(counts).to(device)

    def __call__(self, returned: Tensor | Output, utterances: Sequence[str]) -> Tensor:
        """Return the loss of what a model returned for a batch of training utterances."""
        output = as_output(returned)
        loss = self._of_classes(output.logits, utterances) + output.penalty
        for task in output.tasks:
            loss = loss + task.weight * self._of_task(task, utterances)
        return loss

    def _of_classes(self, logits: Tensor, utterances: Sequence[str]) -> Tensor:
        return classification_loss(
            logits,
            targets(utterances, self._data, self._device),
            self._weights,
            smoothing=self._trainer.label_smoothing,
            gamma=self._trainer.focal_gamma,
        )

    def _of_task(self, task: Task, utterances: Sequence[str]) -> Tensor:
        if task.column == "label":
            return self._of_classes(task.logits, utterances)
        if task.column not in self._truths:
            truth = read_targets(self._data, task.column, self._train, self._device)
            self._truths[task.column] = truth
        truth = self._truths[task.column]
        rows = [i for i, name in enumerate(utterances) if name in truth.index]
        if not rows:
            return task.logits.new_zeros(())
        positions = [truth.index[utterances[i]] for i in rows]
        logits = task.logits[rows][:, truth.outputs].float()
        return F.cross_entropy(logits, torch.tensor(positions, device=self._device))
