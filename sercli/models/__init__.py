"""Systems: a batch in, logits out. One file each."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from sercli.config.component import build
from sercli.errors import RequestError
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import AskedSizes, CorpusInfo
from sercli.registry import Registry

MODELS: Registry[type[nn.Module]] = Registry("model", "sercli.models")


def is_fitted(model: Mapping[str, Any]) -> bool:
    """Return True if a model is fitted once per setting rather than trained by gradients.

    Args:
        model: The configuration of the model.
    """
    return hasattr(MODELS[model["system"]], "fit")


def is_recurrent(model: Mapping[str, Any]) -> bool:
    """Return True if a model has recurrent layers, which ``cell`` and ``activation`` choose.

    >>> is_recurrent({"system": "iaan"}), is_recurrent({"system": "light_sernet"})
    (True, False)

    Args:
        model: The configuration of the model.
    """
    return "new_cell" in inspect.signature(MODELS[model["system"]]).parameters


def reads_dialogues(model: Mapping[str, Any]) -> bool:
    """Return True if the steps of a model are turns of a dialogue, not frames.

    Args:
        model: The configuration of the model.
    """
    return getattr(MODELS[model["system"]], "reads_dialogues", False)


def build_model(
    model: Mapping[str, Any],
    cell: Mapping[str, Any],
    activation: Mapping[str, Any],
    *,
    inputs: int,
    classes: int,
    corpus: CorpusInfo | None = None,
) -> nn.Module:
    """Build a system from the three nodes of a configuration.

    >>> import torch
    >>> from sercli.models.interface import Batch, Turns
    >>> model = build_model(
    ...     {"system": "bilstm_att", "dense_units": 8, "hidden": 4, "pooling": "mean"},
    ...     {"name": "gru"},
    ...     {"name": "arelu"},
    ...     inputs=45,
    ...     classes=4,
    ... )
    >>> turns = Turns(torch.randn(2, 7, 45), lengths=torch.tensor([7, 3]))
    >>> model(Batch(turns, turns, turns)).shape
    torch.Size([2, 4])

    Args:
        model: Node ``model``; ``system`` is the registered name, ``name`` is for tables.
        cell: Node ``cell``.
        activation: Node ``activation``.
        inputs: Features of a step.
        classes: Number of classes.
        corpus: Facts of the corpus; None: none are known.

    Returns:
        A module from `sercli.models.interface.Batch` to logits (B, classes), or to a
        `sercli.models.interface.Output` with them.

    Raises:
        RequestError: A name or a setting is unknown, a value is out of range, the corpus lacks
            facts that the model needs, or the model never reads the size of a stream, and so does
            not use it.
    """
    settings = {key: value for key, value in model.items() if key != "system"}
    part, corpus = MODELS[model["system"]], corpus or CorpusInfo()
    streams = AskedSizes(corpus.streams)
    given = {
        "inputs": inputs,
        "classes": classes,
        "new_cell": CellFactory(cell, activation),
        "corpus": replace(corpus, streams=streams),
    }
    asked = inspect.signature(part).parameters
    built = build("model", part, settings, **{k: v for k, v in given.items() if k in asked})
    for name in corpus.streams.keys() - streams.asked:
        raise RequestError(
            f"model {corpus.model} does not read the stream '{name}': remove streams.{name}, or "
            "choose a model that reads it"
        )
    return built
