"""The trainer: one fold with one seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sercli.config.schema import Config, TrainerConfig
from sercli.models.interface import Batch, as_output
from sercli.nn.device import autocast, choose_device
from sercli.nn.recurrence.backend import use_backend
from sercli.results.fold_result import FoldResult
from sercli.results.folds import Fold
from sercli.training.augment import Augmenter, fold_augmenter
from sercli.training.batches import collate, seed_fold_run, training_batches
from sercli.training.data import Data
from sercli.training.evaluation import EVALUATION_BATCH, Evaluation, Predictions, score_names
from sercli.training.initial_weights import FoldWeights, train_mode
from sercli.training.loss import TrainingLoss
from sercli.training.monitoring import activation_numbers, watched_states
from sercli.training.optim import Schedule, VectorOptimiser
from sercli.training.raters import training_items
from sercli.training.selection import Selection, scores, unselected
from sercli.training.validate import new_model

_NAN = float("nan")


def nothing_measured(data: Data) -> dict[str, float]:
    """Return NaN for each column of a history that an evaluation fills."""
    scores = [f"{part}_{name}" for part in ("dev", "test") for name in score_names(data)]
    others = ("grad_norm", "max_grad_norm", "max_state", "frozen_weights")
    return dict.fromkeys(("loss", *scores, *others), _NAN)


def train_fold(
    config: Config,
    data: Data,
    fold: Fold,
    seed: int,
    stepped: Callable[[int], None] = lambda steps: None,
    initial: FoldWeights | None = None,
) -> FoldResult:
    """Train one fold with one seed, evaluating dev and test every ``eval_every`` steps.

    The untrained model is evaluated too, as step 0, which is never selected. Test is only
    recorded: the step is chosen on dev, and early stopping ends training when UA or CCC on dev has
    not risen for ``patience`` evaluations. With ``protocol.refit`` a new model is then trained on
    train and dev up to that step and tested. A loss or an output that is not finite ends training
    as diverged. On one CPU thread the result depends on the seed alone.

    Args:
        config: The configuration.
        data: The corpus.
        fold: The fold.
        seed: Seed of initial weights, dropout and the order of batches.
        stepped: Called after each step with 1, and at an early stop with the steps saved.
        initial: Initial weights; None: random ones.

    Raises:
        RequestError: The device or the backend of the recurrence is not available here.
    """
    trainer = config.trainer
    training, batches = _start(config, data, fold, seed, initial)
    training.evaluate_untrained()
    selection = training.selection
    for step in range(1, trainer.steps + 1):
        finite = training.step(next(batches))
        stepped(1)
        if finite and step % trainer.eval_every and step < trainer.steps:
            continue
        training.evaluate()
        if training.diverged_at is not None:
            break
        if selection.out_of_patience:
            stepped(trainer.steps - step)
            break
    diverged_at = training.diverged_at
    if config.protocol.refit and diverged_at is None:
        diverged_at = _refit(config, data, fold, seed, selection, initial)
    return selection.result(seed, fold.name, training.history, diverged_at)


def _start(
    config: Config, data: Data, fold: Fold, seed: int, initial: FoldWeights | None
) -> tuple[_Training, Iterator[tuple[np.ndarray, ...]]]:
    """Build a model and the training batches of each step; the same seed gives the same."""
    use_backend(config.recurrence.backend)
    random = seed_fold_run(seed, fold.name)
    augmenter = fold_augmenter(config, data, fold, seed)
    training = _Training(config, data, fold, initial, augmenter)
    trainer, turns = config.trainer, data.packed
    lengths = turns.lengths[training.items.rows]
    batches = training_batches(lengths, trainer.batch_size, random, trainer.batches)
    return training, zip(*[batches] * trainer.accumulate, strict=False)  # N of them in turn


def train_to_step(
    config: Config,
    data: Data,
    fold: Fold,
    seed: int,
    steps: int,
    stepped: Callable[[int], None] = lambda steps: None,
    initial: FoldWeights | None = None,
) -> FoldResult:
    """Train one fold for a given number of steps, without dev, early stopping or evaluation.

    Args:
        config: The configuration.
        data: The corpus.
        fold: The fold; the outputs for its test utterances must be finite.
        seed: Seed of initial weights, dropout and the order of batches.
        steps: Number of steps; schedules of the learning rate are those of ``trainer.steps``.
        stepped: Called after each step with 1.
        initial: Initial weights; None: random ones.

    Returns:
        A result with weights, without history and predictions.
    """
    training, batches = _start(config, data, fold, seed, initial)
    training.take_steps(islice(batches, steps), stepped)
    training.test()  # records a divergence
    return unselected(seed, fold.name, steps, training.model, training.diverged_at)


def _refit(
    config: Config,
    data: Data,
    fold: Fold,
    seed: int,
    selection: Selection,
    initial: FoldWeights | None,
) -> int | None:
    """Train a new model on train and dev up to the selected step, and test it.

    Returns:
        The step at which it diverged; None if it did not.
    """
    assert selection.selected_step is not None
    both = replace(fold, train=fold.train + fold.dev)
    training, batches = _start(config, data, both, seed, initial)
    training.take_steps(islice(batches, selection.selected_step))
    test = training.test()
    if test is not None:
        selection.refitted(test, training.model)
    return training.diverged_at


class _Training:
    """Training state: model, optimiser, best steps, history.

    Attributes:
        model: The model.
        items: The items of which batches are drawn.
        steps: Number of steps taken.
        selection: The best steps.
        history: A row for each evaluation.
        diverged_at: Step at which a loss or an output was not finite, if there was one.
    """

    def __init__(
        self,
        config: Config,
        data: Data,
        fold: Fold,
        initial: FoldWeights | None,
        augmenter: Augmenter | None,
    ) -> None:
        self._config, self._data = config, data
        self._device = choose_device(config.device)
        self.model = new_model(config, data)
        if initial is not None:
            initial.load(self.model)
        self.model.to(self._device)
        self._optimiser = VectorOptimiser(self.model, config.optim)
        self._schedule = Schedule(self._optimiser.inner, config.schedule, config.trainer.steps)
        self.items = training_items(config.trainer.labels, data, fold.train)
        self._loss = TrainingLoss(config.trainer, data, fold.train, self._device)
        self._collate = partial(
            collate, turns=data.packed, device=self._device, rule=config.trainer.batches
        )
        self._augmenter = augmenter
        size = getattr(self.model, "evaluation_batch", EVALUATION_BATCH)
        self._dev, self._test = (
            Evaluation(part, data, config.trainer, size) for part in (fold.dev, fold.test)
        )
        self._seen: list[dict[str, Tensor]] = []
        self.steps = 0
        self.selection = Selection(config.trainer.patience)
        self.history: list[dict[str, float]] = []
        self.diverged_at: int | None = None

    def step(self, batches: Sequence[np.ndarray]) -> bool:
        """Take one step on batches of the items, and return True if its loss was finite.

        On a GPU it returns True without reading the loss, since the host would wait for it; the
        next evaluation checks it.
        """
        if not self.model.training:  # train() visits every module
            train_mode(self.model)
        *before, last = batches
        seen = []
        for items in before:
            loss, parts = self._losses(items)
            self._optimiser.accumulate(loss)
            seen.append(parts)
        loss, parts = self._losses(last)
        norm = self._optimiser.step(loss)
        self._schedule.step()
        self.steps += 1
        means = _means([*seen, parts])
        self._seen.append(means | {"grad_norm": norm})
        return self._device.type != "cpu" or math.isfinite(means["loss"].item())

    def _losses(self, items: np.ndarray) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and the losses to record by their names in the history."""
        with autocast(self._device, self._config.precision):
            batch = self._batch(items)
            assert batch.criterion is not None
            loss, parts = self._loss.total(as_output(self.model(batch)), batch.criterion)
        named = {f"loss/{name}": part for name, part in parts.items()} if len(parts) > 1 else {}
        return loss, {name: value.detach() for name, value in ({"loss": loss} | named).items()}

    def take_steps(
        self,
        batches: Iterable[Sequence[np.ndarray]],
        stepped: Callable[[int], None] = lambda steps: None,
    ) -> None:
        """Take a step on each element, up to a loss that is not finite."""
        for of_step in batches:
            finite = self.step(of_step)
            stepped(1)
            if not finite:
                break

    def _batch(self, items: np.ndarray) -> Batch:
        rows, labels, raters = self.items.take(items)
        criterion = partial(self._loss.criterion, labels=labels)
        if self._augmenter is None:
            batch: Batch = self._collate(rows, criterion=criterion(rows))
        else:
            batch = self._augmenter.batch(rows, self._collate, criterion)
        if raters is None:
            return batch
        return replace(batch, rater=torch.from_numpy(raters).to(self._device))

    def evaluate_untrained(self) -> None:
        """Record dev and test of the untrained model as step 0, which is never selected."""
        dev, test, measured = self._predictions()
        if dev.finite and test.finite:
            measured |= scores("dev", dev) | scores("test", test)
        self._record(0, measured)

    def evaluate(self) -> None:
        """Evaluate dev and test, unless a loss since the last evaluation was not finite."""
        measured = self._measured()
        step = self.diverged_at or self.steps
        measured["frozen_weights"] = self._optimiser.frozen_weights()
        if not self._schedule.constant:
            measured["lr"] = self._schedule.lr
        if self.diverged_at is None:
            dev, test, largest = self._predictions()
            measured |= largest
            if dev.finite and test.finite:
                measured |= self.selection.update(step, dev, test, self.model)
                self._schedule.evaluated(measured[f"dev_{score_names(self._data)[0]}"])
            else:
                self.diverged_at = step
        self._record(step, measured)

    def test(self) -> Predictions | None:
        """Predict test; None if a loss or an output is not finite."""
        self._measured()
        if self.diverged_at is not None:
            return None
        test = self._predict(self._test)
        self.diverged_at = None if test.finite else self.steps
        return test if test.finite else None

    def _measured(self) -> dict[str, float]:
        """Mean losses and gradient norms since the last evaluation, up to a divergence."""
        seen = {
            name: torch.stack([each[name] for each in self._seen]).double().numpy(force=True)
            for name in self._seen[0]
        }
        bad = np.flatnonzero(~np.isfinite(seen["loss"]))
        if bad.size:
            self.diverged_at = self.steps - len(self._seen) + 1 + int(bad[0])
            seen = {name: values[: bad[0] + 1] for name, values in seen.items()}
        self._seen.clear()
        norms = seen.pop("grad_norm")
        means = {name: float(np.mean(values)) for name, values in seen.items()}
        return means | {"grad_norm": float(norms[-1]), "max_grad_norm": float(norms.max())}

    def _predictions(self) -> tuple[Predictions, Predictions, dict[str, float]]:
        """Predictions of dev and test, the largest state on both, and error rates of the model."""
        take_rates: Callable[[], dict[str, float]] = getattr(self.model, "take_rates", dict)
        with watched_states(self.model) as states:
            dev, of_dev = self._predict(self._dev), take_rates()
            test, of_test = self._predict(self._test), take_rates()
        rates = {f"dev_{name}": rate for name, rate in of_dev.items()}
        rates |= {f"test_{name}": rate for name, rate in of_test.items()}
        return dev, test, {"max_state": states.value} | rates

    def _predict(self, part: Evaluation) -> Predictions:
        return part.predict(self.model.eval(), self._device, self._config.precision)

    def _record(self, step: int, measured: dict[str, float]) -> None:
        per_unit = bool(self._config.activation.get("per_unit"))
        numbers = activation_numbers(self.model, per_unit=per_unit)
        self.history.append({"step": step} | nothing_measured(self._data) | measured | numbers)


def _means(measured: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Average the measures of the batches of a step."""
    if len(measured) == 1:
        return measured[0]
    return {name: torch.stack([x[name] for x in measured]).mean() for name in measured[0]}


def predict(
    model: nn.Module,
    utterances: tuple[str, ...],
    data: Data,
    device: torch.device,
    precision: str = "float32",
    trainer: TrainerConfig = TrainerConfig(),  # noqa: B008 - nobody changes a configuration
) -> pd.DataFrame:
    """Predict utterances.

    Args:
        model: The model; it is left in evaluation mode.
        utterances: Their ids.
        data: The corpus.
        device: Device of the model.
        precision: ``float32`` or ``bf16``.
        trainer: The training settings, whose rule of batches applies.

    Returns:
        The table of `sercli.training.evaluation.ClassPredictions` or ``DimensionPredictions``.
    """
    size = getattr(model, "evaluation_batch", EVALUATION_BATCH)
    part = Evaluation(utterances, data, trainer, size)
    return part.predict(model.eval(), device, precision).table()
