"""Attention weights of a trained model on a test utterance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sercli.config.schema import Config
from sercli.errors import RequestError, nearest
from sercli.nn.attention import OverTime
from sercli.nn.recurrence.backend import use_backend
from sercli.results.run_record import Record, fold_run_name
from sercli.training.data import Data
from sercli.training.trainer import predict
from sercli.training.validate import new_model
from sercli.training.weights import load_weights
from sercli.untrusted import read_json


@dataclass(frozen=True)
class UtteranceAttention:
    """Prediction and attention weights of one utterance.

    Attributes:
        utterance: Its id.
        fold: The fold that tests it.
        seed: Seed of the model: the first of the run.
        predicted: One row, as of `sercli.training.trainer.predict`.
        weights: Turn (``current``, ``own``, ``interlocutor``) → attention weight of each step,
            (steps,), which sum to 1; without turns that the utterance does not have.
    """

    utterance: str
    fold: str
    seed: int
    predicted: pd.Series[Any]
    weights: Mapping[str, np.ndarray]


def attention_for(record: Record, config: Config, data: Data, utterance: str) -> UtteranceAttention:
    """Classify a test utterance with the trained model of its fold, and record the attention.

    Args:
        record: The run.
        config: Its configuration.
        data: The corpus that ``config`` reads.
        utterance: Its id.

    Raises:
        RequestError: The data have changed since the run, no fold tests the utterance, or the
            model has no attention over time.
        SercliError: The weights cannot be read.
    """
    if data.fingerprint != record.summary["fingerprint"]:
        raise RequestError(
            f"run {record.key} was trained on other data than {data.manifest.dataset} has now"
        )
    fold, number = _fold(record, utterance)
    seed = int(record.summary["card"]["seeds"][0])
    use_backend(config.recurrence.backend)
    model = new_model(config, data)
    if not any(isinstance(part, OverTime) for part in model.modules()):
        raise RequestError(f"model {config.model['name']} has no attention over time")
    name = fold_run_name(seed, number)
    load_weights(model, record.path / "weights" / f"{name}.safetensors")
    with recorded_weights(model) as watched:
        predicted = predict(model, (utterance,), data, torch.device("cpu"), trainer=config.trainer)
    there = data.context.loc[utterance].notna()
    weights = {turn: found for turn, found in watched.items() if there.get(turn, True)}
    return UtteranceAttention(utterance, fold, seed, predicted.iloc[0], weights)


@contextmanager
def recorded_weights(model: nn.Module) -> Iterator[dict[str, np.ndarray]]:
    """Record the weights of a model's attentions over time within the block.

    A hook computes the weights a second time; outside of the block the model is as it was.

    Yields:
        Turn → weights of the first example of the last batch. An attention inside a module named
        ``own`` or ``interlocutor`` is over that turn, any other over the current one.
    """
    found: dict[str, np.ndarray] = {}

    def watch(path: str, attention: Any) -> Any:
        part = path.partition(".")[0]
        turn = part if part in ("own", "interlocutor") else "current"

        def keep(module: nn.Module, given: tuple[Tensor, ...], pooled: Tensor) -> None:
            weights = attention.weights(*given)[0].float().numpy(force=True)
            found[turn] = np.trim_zeros(weights, "b")  # padding counts exactly nothing

        return attention.register_forward_hook(keep)

    hooks = [
        watch(path, part) for path, part in model.named_modules() if isinstance(part, OverTime)
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _fold(record: Record, utterance: str) -> tuple[str, int]:
    """The fold that tests an utterance, and its number."""
    folds = read_json(record.path / "folds.json")
    for number, (name, sides) in enumerate(folds.items()):
        if utterance in sides["test"]:
            return name, number
    tested = [name for sides in folds.values() for name in sides["test"]]
    raise RequestError(
        f"run {record.key} tests no utterance '{utterance}'.{nearest(utterance, tested)}"
    )
