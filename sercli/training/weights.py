"""Weights of a trained model on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from sercli.results.weights import DTYPES, Shapes, read_weights


def load_weights(model: nn.Module, path: Path) -> None:
    """Load the weights of a model, whose names, dtypes and shapes the file must have.

    Raises:
        SercliError: The file cannot be read, or is of another model.
    """
    tensors = read_weights(path, weight_shapes(model))
    model.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})


def weight_shapes(model: nn.Module) -> Shapes:
    """Return the names, dtypes and shapes of a model's weights; it may be on the device meta."""
    return {
        name: (DTYPES[str(value.dtype).removeprefix("torch.")], tuple(value.shape))
        for name, value in model.state_dict().items()
    }
