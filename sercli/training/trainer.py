"""The trainer: one fold with one seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sercli.config.schema import Config, TrainerConfig
from sercli.models.interface import as_output
from sercli.nn.recurrence.backend import use_backend
from sercli.results.fold_result import FoldResult
from sercli.results.folds import Fold
from sercli.training.batches import (
    CUT_TO_LAST,
    collate,
    evaluation_batches,
    training_batches,
)
from sercli.training.data import Data
from sercli.training.device import autocast, choose_device
from sercli.training.loss import TrainingLoss
from sercli.training.monitoring import (
    GradientNorm,
    activation_numbers,
    frozen_weights,
    watched_states,
)
from sercli.training.optim import Schedule, make_optimiser
from sercli.training.selection import Selection, scores
from sercli.training.validate import new_model

EVALUATION_BATCH = 128

_MEASURES = (
    *("loss", "dev_ua", "dev_wa", "test_ua", "test_wa"),
    *("grad_norm", "max_grad_norm", "max_state", "frozen_weights"),
)

NOTHING_MEASURED = dict.fromkeys(_MEASURES, math.nan)
"""The columns of a history that every evaluation fills, empty."""


def train_fold(
    config: Config,
    data: Data,
    fold: Fold,
    seed: int,
    stepped: Callable[[int], None] = lambda steps: None,
) -> FoldResult:
    """Train one fold with one seed, evaluating dev and test every ``eval_every`` steps.

    The untrained model is evaluated too, as step 0, which is never selected. Test is only
    recorded: the step is chosen on dev, and early stopping ends training when dev UA has not risen
    for ``patience`` evaluations. With ``protocol.refit`` a new model is then trained on train and
    dev up to that step and tested. A loss or an output that is not finite ends training as
    diverged. On one CPU thread the result depends on the seed alone.

    Args:
        config: The configuration.
        data: The corpus.
        fold: The fold.
        seed: Seed of initial weights, dropout and the order of batches.
        stepped: Called after each step with 1, and at an early stop with the steps saved.

    Raises:
        RequestError: The device or the backend of the recurrence is not available here.
    """
    trainer = config.trainer
    training, batches = _start(config, data, fold, seed)
    training.evaluate_untrained()
    selection = training.selection
    diverged_at = None
    for step in range(1, trainer.steps + 1):
        finite = training.step(next(batches))
        stepped(1)
        if finite and step % trainer.eval_every and step < trainer.steps:
            continue
        if not training.evaluate(step):
            diverged_at = step
            break
        if selection.out_of_patience:
            stepped(trainer.steps - step)
            break
    if config.protocol.refit and diverged_at is None:
        diverged_at = _refit(config, data, fold, seed, selection)
    return selection.result(seed, fold.name, training.history, diverged_at)


def _start(
    config: Config, data: Data, fold: Fold, seed: int
) -> tuple[_Training, Iterator[np.ndarray]]:
    """Build a model and its training batches; the same seed gives the same."""
    use_backend(config.recurrence.backend)
    random = np.random.default_rng([seed, *fold.name.encode()])
    torch.manual_seed(int(random.integers(2**62)))
    training = _Training(config, data, fold)
    trainer, turns = config.trainer, data.packed
    rows = turns.rows(fold.train)
    return training, training_batches(rows, turns, trainer.batch_size, random, trainer.batches)


def _refit(config: Config, data: Data, fold: Fold, seed: int, selection: Selection) -> int | None:
    """Train a new model on train and dev up to the selected step, and test it.

    Returns:
        The step at which it diverged; None if it did not.
    """
    assert selection.selected_step is not None
    both = replace(fold, train=fold.train + fold.dev)
    training, batches = _start(config, data, both, seed)
    for step in range(1, selection.selected_step + 1):
        if not training.step(next(batches)):
            return step
    test = training.predict(fold.test)
    if not is_finite(test):
        return selection.selected_step
    selection.refitted(test, training.model)
    return None


class _Training:
    """Training state: model, optimiser, best steps, history.

    Attributes:
        model: The model.
        selection: The best steps.
        history: A row for each evaluation.
    """

    def __init__(self, config: Config, data: Data, fold: Fold) -> None:
        self._config, self._data, self._fold = config, data, fold
        self._device = choose_device(config.device)
        self.model = new_model(config, data).to(self._device)
        self._optimiser = make_optimiser(self.model.parameters(), config.optim)
        self._schedule = Schedule(self._optimiser, config.schedule, config.trainer.steps)
        self._loss = TrainingLoss(config.trainer, data, fold.train, self._device)
        self._losses: list[float] = []
        self._parts: list[dict[str, Tensor]] = []
        self._gradient = GradientNorm(config.optim.clip_norm)
        self.selection = Selection(config.trainer.patience)
        self.history: list[dict[str, float]] = []

    def step(self, rows: np.ndarray) -> bool:
        """Take one step, and return True if its loss was finite."""
        self.model.train()
        with autocast(self._device, self._config.precision):
            criterion = self._loss.criterion(rows)
            rule = self._config.trainer.batches
            batch = collate(rows, self._data.packed, self._device, rule, criterion)
            loss, parts = self._loss.total(as_output(self.model(batch)), criterion)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._gradient.measure_and_clip(self.model)
        self._optimiser.step()
        self._schedule.step()
        self._losses.append(loss.item())
        if len(parts) > 1:
            self._parts.append({name: part.detach() for name, part in parts.items()})
        return math.isfinite(self._losses[-1])

    def evaluate_untrained(self) -> None:
        """Record dev and test of the untrained model as step 0, which is never selected."""
        dev, test, measured = self._predictions()
        if is_finite(dev) and is_finite(test):
            measured |= scores("dev", dev) | scores("test", test)
        self._record(0, measured)

    def evaluate(self, step: int) -> bool:
        """Evaluate dev and test, and return True if loss and outputs are finite."""
        measured = self._mean_losses() | self._gradient.values()
        if not self._schedule.constant:
            measured["lr"] = self._schedule.lr
        measured["frozen_weights"] = frozen_weights(self._optimiser)
        finite = math.isfinite(self._losses[-1])
        if finite:
            dev, test, largest = self._predictions()
            measured |= largest
            finite = is_finite(dev) and is_finite(test)
        if finite:
            measured |= self.selection.update(step, dev, test, self.model)
            self._schedule.evaluated(measured["dev_ua"])
        self._record(step, measured)
        self._losses.clear()
        self._parts.clear()
        return finite

    def _predictions(self) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
        """Predictions of dev and test, and the largest state on both."""
        with watched_states(self.model) as states:
            dev, test = self.predict(self._fold.dev), self.predict(self._fold.test)
        return dev, test, {"max_state": states.value}

    def _record(self, step: int, measured: dict[str, float]) -> None:
        row = {"step": step} | NOTHING_MEASURED | measured | self._activation_numbers()
        self.history.append(row)

    def predict(self, utterances: tuple[str, ...]) -> pd.DataFrame:
        """Classify utterances with the present model; see the function of that name."""
        precision, trainer = self._config.precision, self._config.trainer
        return predict(self.model, utterances, self._data, self._device, precision, trainer)

    def _mean_losses(self) -> dict[str, float]:
        """The mean loss since the last evaluation, and its parts where it has several."""
        means = {"loss": float(np.mean(self._losses))}
        for name in self._parts[0] if self._parts else ():
            part = torch.stack([each[name] for each in self._parts])
            means[f"loss/{name}"] = float(part.double().mean())
        return means

    def _activation_numbers(self) -> dict[str, float]:
        per_unit = bool(self._config.activation.get("per_unit"))
        return activation_numbers(self.model, per_unit=per_unit)


def predict(
    model: nn.Module,
    utterances: tuple[str, ...],
    data: Data,
    device: torch.device,
    precision: str = "float32",
    trainer: TrainerConfig = TrainerConfig(),  # noqa: B008 - nobody changes a configuration
) -> pd.DataFrame:
    """Classify utterances.

    Args:
        model: The model; it is left in evaluation mode.
        utterances: Their ids.
        data: The corpus.
        device: Device of the model.
        precision: ``float32`` or ``bf16``.
        trainer: Its rule of batches is followed.

    Returns:
        One row per utterance: ``utterance``, ``label``, ``predicted``, and the probability
        of each class in a column ``p_<class>``.
    """
    model.eval()
    rule = trainer.batches
    size = 2 * trainer.batch_size if rule == CUT_TO_LAST else EVALUATION_BATCH
    turns = data.packed
    batches = evaluation_batches(turns.rows(utterances), turns, size, rule)
    parts = []
    with torch.inference_mode(), autocast(device, precision):
        for rows in batches:
            logits = as_output(model(collate(rows, turns, device, rule))).logits.float()
            parts.append(logits.softmax(dim=-1).cpu().numpy())
    probabilities = np.concatenate(parts)
    classes = np.array(data.manifest.classes, dtype=object)
    names = turns.names[np.concatenate(batches)]
    columns = {
        "utterance": names,
        "label": [data.labels[name] for name in names],
        "predicted": classes[probabilities.argmax(axis=1)],
    }
    return pd.DataFrame(
        columns | {f"p_{name}": probabilities[:, i] for i, name in enumerate(classes)}
    )


def is_finite(predictions: pd.DataFrame) -> bool:
    """Return True if all probabilities are finite."""
    probabilities = predictions.filter(regex="^p_").to_numpy()
    return bool(np.isfinite(probabilities).all())
