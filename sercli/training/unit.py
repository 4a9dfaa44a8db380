"""One unit of work: train one fold with one seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from sercli.config.schema import Config
from sercli.errors import RequestError
from sercli.models import build_model
from sercli.results.unit import UnitResult
from sercli.training.batches import collate, evaluation_batches, targets, training_batches
from sercli.training.data import Data
from sercli.training.folds import Fold
from sercli.training.metrics import ua, wa

EVALUATION_BATCH = 128


@dataclass
class _Best:
    """The best evaluation so far under one selection rule."""

    score: float = -math.inf
    step: int | None = None
    predictions: list[pd.DataFrame] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)


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
    model = new_model(config, data.features, len(data.manifest.classes)).to(device)
    optimiser = torch.optim.Adam(
        model.parameters(), lr=config.optim.lr, weight_decay=config.optim.weight_decay
    )
    batches = training_batches(fold.train, data, config.trainer.batch_size, random)
    selected, oracle = _Best(), _Best()
    history: list[dict[str, float]] = []
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
        dev = predict(model, fold.dev, data, device).assign(part="dev")
        test = predict(model, fold.test, data, device).assign(part="test")
        if not (_finite(dev) and _finite(test)):
            diverged_at = step
            break
        row = {"step": step, "loss": float(np.mean(losses)), **_scores(dev, test)}
        history.append(row)
        losses.clear()
        _keep_if_better(selected, row["dev_ua"], step, [dev, test], model)
        _keep_if_better(oracle, row["test_ua"], step, [dev, test])
        if _out_of_patience(config, history, selected):
            stepped(config.trainer.steps - step)
            break
    return UnitResult(
        seed=seed,
        fold=fold.name,
        diverged_at=diverged_at,
        selected_step=selected.step,
        oracle_step=oracle.step,
        history=_labelled(pd.DataFrame(history), seed, fold),
        predictions=_labelled(_predictions({"dev": selected, "oracle": oracle}), seed, fold),
        weights=selected.weights,
    )


def check_model(config: Config, data: Data) -> None:
    """Build the model once, to refuse bad settings before any work.

    Raises:
        RequestError: As `new_model`.
    """
    new_model(config, data.features, len(data.manifest.classes))


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``, for `device_name`'s meaning of ``auto``.

    Raises:
        RequestError: There is no such device on this machine.
    """
    try:
        return torch.empty(0, device=device_name(name)).device
    except (RuntimeError, AssertionError) as error:
        raise RequestError(f"device={name} cannot be used here; try auto, cpu or cuda") from error


def device_name(name: str) -> str:
    """Return ``name``; for ``auto`` a GPU where there is one, else the CPU."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


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


def new_model(config: Config, features: int, classes: int) -> nn.Module:
    """Build the model of a configuration.

    Raises:
        RequestError: The model, cell or activation, or one of their settings, is unknown.
    """
    return build_model(
        config.model, config.cell, config.activation, inputs=features, classes=classes
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


def _scores(dev: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    return {
        f"{name}_{metric.__name__}": metric(part["label"].tolist(), part["predicted"].tolist())
        for name, part in (("dev", dev), ("test", test))
        for metric in (ua, wa)
    }


def _keep_if_better(
    best: _Best,
    score: float,
    step: int,
    predictions: list[pd.DataFrame],
    model: nn.Module | None = None,
) -> None:
    if score > best.score:
        best.score, best.step, best.predictions = score, step, predictions
        if model is not None:
            best.weights = {
                name: value.detach().cpu().numpy().copy()
                for name, value in model.state_dict().items()
            }


def _out_of_patience(config: Config, history: list[dict[str, float]], selected: _Best) -> bool:
    since_best = sum(row["step"] > (selected.step or 0) for row in history)
    return config.trainer.patience is not None and since_best >= config.trainer.patience


def _predictions(selections: dict[str, _Best]) -> pd.DataFrame:
    parts = [
        part.assign(selection=name)
        for name, best in selections.items()
        for part in best.predictions
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _labelled(table: pd.DataFrame, seed: int, fold: Fold) -> pd.DataFrame:
    return table.assign(seed=seed, fold=fold.name)
