"""The trainer: one fold with one seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
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
from sercli.training.batches import collate, training_batches
from sercli.training.data import Data
from sercli.training.device import autocast, choose_device
from sercli.training.evaluation import Evaluation, Predictions
from sercli.training.loss import TrainingLoss
from sercli.training.monitoring import activation_numbers, watched_states
from sercli.training.optim import Schedule, VectorOptimiser
from sercli.training.selection import Selection, scores
from sercli.training.validate import new_model

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
    training, batches = start(config, data, fold, seed)
    training.evaluate_untrained(training.predictions())
    while not training.done:
        training.step(next(batches))
        stepped(1)
        if training.evaluation_due:
            training.evaluate(training.predictions)
    stepped(training.steps_left)
    return finish(training, config, data, fold, seed)


def start(
    config: Config, data: Data, fold: Fold, seed: int
) -> tuple[Training, Iterator[np.ndarray]]:
    """Build a model and its training batches; the same seed gives the same."""
    use_backend(config.recurrence.backend)
    random = np.random.default_rng([seed, *fold.name.encode()])
    torch.manual_seed(int(random.integers(2**62)))
    training = Training(config, data, fold)
    trainer, turns = config.trainer, data.packed
    rows = turns.rows(fold.train)
    return training, training_batches(rows, turns, trainer.batch_size, random, trainer.batches)


def finish(training: Training, config: Config, data: Data, fold: Fold, seed: int) -> FoldResult:
    """Return the result of a training that is done, after the refit that the protocol asks for."""
    selection, diverged_at = training.selection, training.diverged_at
    if config.protocol.refit and diverged_at is None:
        diverged_at = _refit(config, data, fold, seed, selection)
    return selection.result(seed, fold.name, training.history, diverged_at)


def _refit(config: Config, data: Data, fold: Fold, seed: int, selection: Selection) -> int | None:
    """Train a new model on train and dev up to the selected step, and test it.

    Returns:
        The step at which it diverged; None if it did not.
    """
    assert selection.selected_step is not None
    both = replace(fold, train=fold.train + fold.dev)
    training, batches = start(config, data, both, seed)
    while training.steps < selection.selected_step and training.finite:
        training.step(next(batches))
    test = training.predict_test()
    if test is not None:
        selection.refitted(test, training.model)
    return training.diverged_at


Found = tuple[Predictions, Predictions, dict[str, float]]
"""Predictions of dev and test, and what else was measured on both: the largest state."""


class Training:
    """Training state: model, optimiser, best steps, history.

    Attributes:
        model: The model.
        device: Its device.
        precision: That of the configuration.
        rule: Rule of the batches.
        loss: The training loss.
        optimiser: The optimiser.
        dev: The dev set.
        test: The test set.
        steps: Number of steps taken.
        finite: False once a loss was not finite. On a GPU, where the host would have to wait for
            it, a loss is first read by the next evaluation.
        selection: The best steps.
        history: A row for each evaluation.
        diverged_at: Step at which a loss or an output was not finite, if there was one.
    """

    def __init__(self, config: Config, data: Data, fold: Fold) -> None:
        self._config, self._data = config, data
        self.device = choose_device(config.device)
        self.precision, self.rule = config.precision, config.trainer.batches
        self.model = new_model(config, data).to(self.device)
        self.optimiser = VectorOptimiser(self.model, config.optim)
        self._schedule = Schedule(self.optimiser.inner, config.schedule, config.trainer.steps)
        self.loss = TrainingLoss(config.trainer, data, fold.train, self.device)
        self.dev, self.test = (
            Evaluation(part, data, config.trainer) for part in (fold.dev, fold.test)
        )
        self._seen: list[dict[str, Tensor]] = []
        self.steps = 0
        self.finite = True
        self.selection = Selection(config.trainer.patience)
        self.history: list[dict[str, float]] = []
        self.diverged_at: int | None = None

    @property
    def evaluation_due(self) -> bool:
        """True if the last step asks for an evaluation."""
        trainer = self._config.trainer
        last = self.steps == trainer.steps
        return not self.finite or last or self.steps % trainer.eval_every == 0

    @property
    def done(self) -> bool:
        """True if training has ended: by its last step, early stopping or a divergence."""
        ended = self.diverged_at is not None or self.selection.out_of_patience
        return ended or self.steps >= self._config.trainer.steps

    @property
    def steps_left(self) -> int:
        """Steps that an early end saves; 0 after a divergence, as it may come back."""
        return 0 if self.diverged_at is not None else self._config.trainer.steps - self.steps

    def train_mode(self) -> None:
        """Set the model to training mode."""
        if not self.model.training:  # to say so takes a while
            self.model.train()

    def step(self, rows: np.ndarray) -> None:
        """Take one step."""
        self.train_mode()
        loss, parts = self.loss_on(rows)
        self.learned(self.optimiser.step(loss), loss, parts)

    def loss_on(self, rows: np.ndarray) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and the parts that it is the sum of."""
        with autocast(self.device, self.precision):
            criterion = self.loss.criterion(rows)
            batch = collate(rows, self._data.packed, self.device, self.rule, criterion)
            return self.loss.total(as_output(self.model(batch)), criterion)

    def learned(self, norm: Tensor, loss: Tensor, parts: Mapping[str, Tensor]) -> None:
        """Take note of a step.

        Args:
            norm: Norm of the gradient before clipping.
            loss: The loss.
            parts: The summands of the loss.
        """
        self._schedule.step()
        self.steps += 1
        named = {f"loss/{name}": part for name, part in parts.items()} if len(parts) > 1 else {}
        seen = {"loss": loss, "grad_norm": norm} | named
        self._seen.append({name: value.detach() for name, value in seen.items()})
        self.finite = self.device.type != "cpu" or math.isfinite(loss.item())

    def evaluate_untrained(self, found: Found) -> None:
        """Record dev and test of the untrained model as step 0, which is never selected."""
        dev, test, measured = found
        if dev.finite and test.finite:
            measured = measured | scores("dev", dev) | scores("test", test)
        self._record(0, measured)

    def evaluate(self, predictions: Callable[[], Found]) -> None:
        """Evaluate dev and test, unless a loss since the last evaluation was not finite.

        Args:
            predictions: Predicts both.
        """
        measured = self._measured()
        step = self.diverged_at or self.steps
        measured["frozen_weights"] = self.optimiser.frozen_weights()
        if not self._schedule.constant:
            measured["lr"] = self._schedule.lr
        if self.diverged_at is None:
            dev, test, largest = predictions()
            measured |= largest
            if dev.finite and test.finite:
                measured |= self.selection.update(step, dev, test, self.model)
                self._schedule.evaluated(measured["dev_ua"])
            else:
                self.diverged_at = step
        self._record(step, measured)

    def predictions(self) -> Found:
        """Predict dev and test."""
        with watched_states(self.model) as states:
            dev, test = self._predict(self.dev), self._predict(self.test)
        return dev, test, {"max_state": states.value}

    def predict_test(self) -> Predictions | None:
        """Predict test; None if a loss or an output is not finite."""
        self._measured()
        if self.diverged_at is not None:
            return None
        test = self._predict(self.test)
        self.diverged_at = None if test.finite else self.steps
        return test if test.finite else None

    def _measured(self) -> dict[str, float]:
        """Mean losses and gradient norms since the last evaluation, up to a divergence."""
        names = self._seen[0]
        seen = {
            name: torch.stack([each[name] for each in self._seen]).double().numpy(force=True)
            for name in names
        }
        bad = np.flatnonzero(~np.isfinite(seen["loss"]))
        if bad.size:
            self.diverged_at = self.steps - len(self._seen) + 1 + int(bad[0])
            seen = {name: values[: bad[0] + 1] for name, values in seen.items()}
        self._seen.clear()
        norms = seen.pop("grad_norm")
        means = {name: float(np.mean(values)) for name, values in seen.items()}
        return means | {"grad_norm": float(norms[-1]), "max_grad_norm": float(norms.max())}

    def _predict(self, part: Evaluation) -> Predictions:
        return part.predict(self.model.eval(), self.device, self.precision)

    def _record(self, step: int, measured: dict[str, float]) -> None:
        per_unit = bool(self._config.activation.get("per_unit"))
        numbers = activation_numbers(self.model, per_unit=per_unit)
        self.history.append({"step": step} | NOTHING_MEASURED | measured | numbers)


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
        The table of `sercli.training.evaluation.Predictions`.
    """
    return Evaluation(utterances, data, trainer).predict(model.eval(), device, precision).table()
