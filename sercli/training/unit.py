"""One unit of work: train one fold with one seed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from sercli.config.schema import Config
from sercli.models import build_model
from sercli.results.unit import UnitResult
from sercli.training.batches import collate, evaluation_batches, targets, training_batches
from sercli.training.data import Data
from sercli.training.device import choose_device
from sercli.training.folds import Fold
from sercli.training.selection import Selection

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
    """
    device = choose_device(config.device)
    random = np.random.default_rng([seed, *fold.name.encode()])
    torch.manual_seed(int(random.integers(2**62)))
    model = new_model(config, data).to(device)
    optimiser = torch.optim.Adam(
        model.parameters(), lr=config.optim.lr, weight_decay=config.optim.weight_decay
    )
    batches = training_batches(fold.train, data, config.trainer.batch_size, random)
    selection = Selection(config.trainer.patience)
    losses: list[float] = []
    diverged_at = None
    for step in range(1, config.trainer.steps + 1):
        losses.append(_train_step(model, optimiser, next(batches), data, config, device))
        stepped(1)
        if not math.isfinite(losses[-1]):
            diverged_at = step
            break
        if step % config.trainer.eval_every and step < config.trainer.steps:
            continue
        dev = predict(model, fold.dev, data, device)
        test = predict(model, fold.test, data, device)
        if not (_finite(dev) and _finite(test)):
            diverged_at = step
            break
        selection.look(step, float(np.mean(losses)), dev, test, model)
        losses.clear()
        if selection.out_of_patience:
            stepped(config.trainer.steps - step)
            break
    return UnitResult(
        seed=seed,
        fold=fold.name,
        diverged_at=diverged_at,
        selected_step=selection.selected_step,
        oracle_step=selection.oracle_step,
        history=selection.history().assign(seed=seed, fold=fold.name),
        predictions=selection.predictions().assign(seed=seed, fold=fold.name),
        weights=selection.weights,
    )


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
    model: nn.Module, utterances: tuple[str, ...], data: Data, device: torch.device
) -> pd.DataFrame:
    """Classify utterances.

    Returns:
        One row per utterance: ``utterance``, ``label``, ``predicted``, and the probability
        of each class in a column ``p_<class>``.
    """
    model.eval()
    names: list[str] = []
    parts = []
    with torch.inference_mode():
        for batch in evaluation_batches(utterances, data, EVALUATION_BATCH):
            names += batch
            parts.append(model(collate(batch, data, device)).softmax(dim=-1).cpu().numpy())
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


def _train_step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    utterances: list[str],
    data: Data,
    config: Config,
    device: torch.device,
) -> float:
    """Take one step and return its loss."""
    model.train()
    loss = F.cross_entropy(
        model(collate(utterances, data, device)),
        targets(utterances, data, device),
        label_smoothing=config.trainer.label_smoothing,
    )
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    if config.optim.clip_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip_norm)
    optimiser.step()
    return loss.item()


def _finite(predictions: pd.DataFrame) -> bool:
    probabilities = predictions.filter(regex="^p_").to_numpy()
    return bool(np.isfinite(probabilities).all())
