"""One unit of work: train one fold with one seed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.config.schema import Config
from sercli.models import build_model
from sercli.nn.recurrence.backend import use_backend
from sercli.results.unit import UnitResult
from sercli.training.batches import collate, evaluation_batches, targets, training_batches
from sercli.training.data import Data
from sercli.training.device import autocast, choose_device
from sercli.training.folds import Fold
from sercli.training.selection import Selection
from sercli.training.stability import activation_numbers, gradient_norm, watched_states

EVALUATION_BATCH = 128


def train_unit(
    config: Config,
    data: Data,
    fold: Fold,
    seed: int,
    stepped: Callable[[int], None] = lambda steps: None,
) -> UnitResult:
    """Train one fold with one seed, looking at dev and test every ``eval_every`` steps.

    Test is only recorded: the step is chosen on dev, and training stops when dev UA has not
    risen for ``patience`` looks. A loss or an output that is not finite ends training as
    diverged. On one CPU thread the result depends on the seed alone.

    Args:
        config: The configuration.
        data: The corpus.
        fold: The division.
        seed: Seed of initial weights, dropout and the order of batches.
        stepped: Called after each step with 1, and at an early stop with the steps saved.

    Raises:
        RequestError: The device or the backend of the recurrence cannot be had here.
    """
    use_backend(config.recurrence.backend)
    random = np.random.default_rng([seed, *fold.name.encode()])
    torch.manual_seed(int(random.integers(2**62)))
    training = _Training(config, data, fold)
    batches = training_batches(fold.train, data, config.trainer.batch_size, random)
    selection = training.selection
    diverged_at = None
    for step in range(1, config.trainer.steps + 1):
        finite = training.step(next(batches))
        stepped(1)
        if finite and step % config.trainer.eval_every and step < config.trainer.steps:
            continue
        if not training.look(step):
            diverged_at = step
            break
        if selection.out_of_patience:
            stepped(config.trainer.steps - step)
            break
    return UnitResult(
        seed=seed,
        fold=fold.name,
        diverged_at=diverged_at,
        selected_step=selection.selected_step,
        oracle_step=selection.oracle_step,
        history=pd.DataFrame(training.history).assign(seed=seed, fold=fold.name),
        predictions=selection.predictions().assign(seed=seed, fold=fold.name),
        weights=selection.weights,
    )


_MEASURES = ("loss", "dev_ua", "dev_wa", "test_ua", "test_wa", "grad_norm", "max_state")
_NOTHING_MEASURED = dict.fromkeys(_MEASURES, math.nan)


class _Training:
    """A model on its way, and what was seen of it.

    Attributes:
        selection: The best steps.
        history: A row for the start (step 0) and for each look.
    """

    def __init__(self, config: Config, data: Data, fold: Fold) -> None:
        self._config, self._data, self._fold = config, data, fold
        self._device = choose_device(config.device)
        self._model = new_model(config, data).to(self._device)
        self._optimiser = torch.optim.Adam(
            self._model.parameters(), lr=config.optim.lr, weight_decay=config.optim.weight_decay
        )
        self._losses: list[float] = []
        self._norm_before_clipping: Tensor | None = None
        self.selection = Selection(config.trainer.patience)
        self.history = [{"step": 0} | _NOTHING_MEASURED | self._activation_numbers()]

    def step(self, utterances: list[str]) -> bool:
        """Take one step, and return whether its loss was finite."""
        self._model.train()
        with autocast(self._device, self._config.precision):
            loss = F.cross_entropy(
                self._model(collate(utterances, self._data, self._device)),
                targets(utterances, self._data, self._device),
                label_smoothing=self._config.trainer.label_smoothing,
            )
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if (largest := self._config.optim.clip_norm) is not None:
            parameters = self._model.parameters()
            self._norm_before_clipping = nn.utils.clip_grad_norm_(parameters, largest)
        self._optimiser.step()
        self._losses.append(loss.item())
        return math.isfinite(self._losses[-1])

    def look(self, step: int) -> bool:
        """Record where training stands, and return whether loss and outputs are finite."""
        measured = {"loss": float(np.mean(self._losses)), "grad_norm": self._gradient_norm()}
        finite = math.isfinite(self._losses[-1])
        if finite:
            with watched_states(self._model) as states:
                dev, test = self._predict(self._fold.dev), self._predict(self._fold.test)
            measured["max_state"] = states.value
            finite = _finite(dev) and _finite(test)
        if finite:
            measured |= self.selection.look(step, dev, test, self._model)
        row = {"step": step} | _NOTHING_MEASURED | measured | self._activation_numbers()
        self.history.append(row)
        self._losses.clear()
        return finite

    def _predict(self, utterances: tuple[str, ...]) -> pd.DataFrame:
        return predict(self._model, utterances, self._data, self._device, self._config.precision)

    def _gradient_norm(self) -> float:
        """Norm of the last gradient before it was clipped."""
        norm = self._norm_before_clipping
        return gradient_norm(self._model) if norm is None else norm.item()

    def _activation_numbers(self) -> dict[str, float]:
        per_unit = bool(self._config.activation.get("per_unit"))
        return activation_numbers(self._model, per_unit=per_unit)


def new_model(config: Config, data: Data) -> nn.Module:
    """Build the model of a configuration for a corpus.

    Raises:
        RequestError: The model, cell or activation, or one of their settings, is unknown.
    """
    return build_model(
        config.model,
        config.cell,
        config.activation,
        inputs=data.features,
        classes=len(data.manifest.classes),
    )


def predict(
    model: nn.Module,
    utterances: tuple[str, ...],
    data: Data,
    device: torch.device,
    precision: str = "float32",
) -> pd.DataFrame:
    """Classify utterances.

    Args:
        model: The model; it is left in evaluation mode.
        utterances: Which.
        data: The corpus.
        device: Where the model is.
        precision: ``float32`` or ``bf16``.

    Returns:
        One row per utterance: ``utterance``, ``label``, ``predicted``, and the probability
        of each class in a column ``p_<class>``.
    """
    model.eval()
    names: list[str] = []
    parts = []
    with torch.inference_mode(), autocast(device, precision):
        for batch in evaluation_batches(utterances, data, EVALUATION_BATCH):
            names += batch
            logits = model(collate(batch, data, device)).float()
            parts.append(logits.softmax(dim=-1).cpu().numpy())
    probabilities = np.concatenate(parts)
    classes = np.array(data.manifest.classes, dtype=object)
    columns = {
        "utterance": names,
        "label": [data.labels[name] for name in names],
        "predicted": classes[probabilities.argmax(axis=1)],
    }
    return pd.DataFrame(
        columns | {f"p_{name}": probabilities[:, i] for i, name in enumerate(classes)}
    )


def _finite(predictions: pd.DataFrame) -> bool:
    probabilities = predictions.filter(regex="^p_").to_numpy()
    return bool(np.isfinite(probabilities).all())
