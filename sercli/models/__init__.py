"""Systems: a batch in, logits out. One file each."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from sercli.config.component import build
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import CorpusInfo
from sercli.registry import Registry

MODELS: Registry[type[nn.Module]] = Registry("model", "sercli.models")


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

    Args:
        model: Node ``model``; its ``system`` says which, its ``name`` is for tables.
        cell: Node ``cell``.
        activation: Node ``activation``.
        inputs: Features of a step.
        classes: Number of classes.
        corpus: What a model may ask about the corpus; None: nothing is known.

    Returns:
        A module from `sercli.models.interface.Batch` to logits (B, classes), or to a
        `sercli.models.interface.Output` with them.

    Raises:
        RequestError: A name or a setting is unknown, a value is out of range, or the corpus
            lacks what the model needs.
    """
    settings = {key: value for key, value in model.items() if key != "system"}
    part = MODELS[model["system"]]
    given = {
        "inputs": inputs,
        "classes": classes,
        "new_cell": CellFactory(cell, activation),
        "corpus": corpus or CorpusInfo(),
    }
    asked = inspect.signature(part).parameters
    return build("model", part, settings, **{k: v for k, v in given.items() if k in asked})
