"""Fitting of one fold with one seed, for models that are not trained by gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch

from sercli.config.schema import Config
from sercli.errors import RequestError
from sercli.results.fold_result import FoldResult
from sercli.results.folds import Fold
from sercli.training.augment import Versions
from sercli.training.batches import collate
from sercli.training.data import Data
from sercli.training.evaluation import Evaluation
from sercli.training.selection import Selection, unselected
from sercli.training.trainer import nothing_measured
from sercli.training.validate import new_model

_CPU = torch.device("cpu")


class Fitted(Protocol):
    """A module that is fitted once per setting.

    Attributes:
        trials: The settings.
    """

    trials: Sequence[float]

    def fit(self, rows: np.ndarray, labels: np.ndarray, trial: float, seed: int) -> None:
        """Fit to rows (utterances, inputs) and class indices (utterances,)."""


def fit_fold(
    config: Config,
    data: Data,
    fold: Fold,
    seed: int,
    stepped: Callable[[int], None] = lambda steps: None,
) -> FoldResult:
    """Fit a model to one fold once for each of its trials; dev chooses among them.

    A trial takes the place of a training step: the first is step 1 of the history, which has its
    setting in the column ``setting``. With ``protocol.refit`` the chosen setting is fitted to
    train and dev together, and tested.

    Args:
        config: The configuration.
        data: The corpus, with one row per utterance.
        fold: The division.
        seed: Seed of the fit.
        stepped: Called with all steps of training at once.
    """
    model = new_model(config, data).eval()
    fitted = cast("Fitted", model)
    selection = Selection(patience=None)
    history: list[dict[str, Any]] = []
    dev, test = (Evaluation(part, data, config.trainer) for part in (fold.dev, fold.test))
    for step, setting in enumerate(fitted.trials, start=1):
        fitted.fit(*_examples(data, fold.train), setting, seed)
        found = dev.predict(model, _CPU), test.predict(model, _CPU)
        scores = selection.update(step, *found, model)
        history.append({"step": step} | nothing_measured(data) | scores | {"setting": setting})
    if config.protocol.refit and selection.selected_step is not None:
        setting = fitted.trials[selection.selected_step - 1]
        fitted.fit(*_examples(data, fold.train + fold.dev), setting, seed)
        selection.refitted(test.predict(model, _CPU), model)
    stepped(config.trainer.steps)
    return selection.result(seed, fold.name, history)


def fit_trial(
    config: Config,
    data: Data,
    fold: Fold,
    seed: int,
    trial: int,
    stepped: Callable[[int], None] = lambda steps: None,
) -> FoldResult:
    """Fit a model to one fold with one of its trials; see `sercli.training.trainer.train_to_step`.

    Args:
        config: The configuration.
        data: The corpus, with one row per utterance.
        fold: The division.
        seed: Seed of the fit.
        trial: Number of the trial, from 1.
        stepped: Called with 1 after the fit.

    Raises:
        RequestError: There is no such trial.
    """
    model = new_model(config, data).eval()
    fitted = cast("Fitted", model)
    if trial > len(fitted.trials):
        raise RequestError(f"{config.model['name']} has {len(fitted.trials)} trials, not {trial}")
    fitted.fit(*_examples(data, fold.train), fitted.trials[trial - 1], seed)
    stepped(1)
    return unselected(seed, fold.name, trial, model)


def _examples(data: Data, utterances: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    rows = Versions(data.packed).all(data.packed.rows(utterances))
    only = collate(rows, data.packed, _CPU).current.frames[:, 0]
    return only.numpy(), data.packed.labels[rows]
