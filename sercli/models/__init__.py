"""Systems: a batch in, logits out. One file each."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Protocol

from torch import nn

from sercli.config.component import build
from sercli.models.cells import NewCell
from sercli.models.corpus import Corpus
from sercli.nn.layer import RecurrentLayer
from sercli.registry import Registry

MODELS: Registry[type[nn.Module]] = Registry("model", "sercli.models")


class MakeCell(Protocol):
    """Makes a new recurrent layer of the configured cell with the configured activation."""

    def __call__(
        self, input_size: int, hidden_size: int, *, bidirectional: bool = False
    ) -> RecurrentLayer:
        """Make a layer that reads (B, T, input_size), with weights of its own."""
        ...


def build_model(
    model: Mapping[str, Any],
    cell: Mapping[str, Any],
    activation: Mapping[str, Any],
    *,
    inputs: int,
    classes: int,
    corpus: Corpus | None = None,
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
        A module from `sercli.models.batch.Batch` to logits (B, classes), or to a
        `sercli.models.output.Output` with them.

    Raises:
        RequestError: A name or a setting is unknown, a value is out of range, or the corpus
            lacks what the model needs.
    """
    settings = {key: value for key, value in model.items() if key != "system"}
    part = MODELS[model["system"]]
    given = {
        "inputs": inputs,
        "classes": classes,
        "new_cell": NewCell(cell, activation),
        "corpus": corpus or Corpus(),
    }
    asked = inspect.signature(part).parameters
    return build("model", part, settings, **{k: v for k, v in given.items() if k in asked})
