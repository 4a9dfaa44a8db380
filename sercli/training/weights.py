"""Weights of a trained model on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from sercli.results.weights import DTYPES, Shapes, read_weights


def load_weights(model: nn.Module, path: Path) -> None:
    """Load the weights of a model, whose names, dtypes and shapes the file must have.

    Raises:
        SercliError: The file cannot be read, or is of another model.
    """
    tensors = read_weights(path, weight_shapes(model))
    found = {name: torch.from_numpy(value) for name, value in tensors.items()}
    model.load_state_dict(found, strict=False)  # those not kept are missing


def kept_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights that are written to disk.

    Those of a checkpoint that the model does not train (its attribute ``not_kept``) are not: they
    are read from the checkpoint.
    """
    left_out = getattr(model, "not_kept", ())
    return {name: value for name, value in model.state_dict().items() if name not in left_out}


def weight_shapes(model: nn.Module) -> Shapes:
    """Return the names, dtypes and shapes of the weights of a model that are written to disk.

    The model may be on the device meta.
    """
    return {
        name: (DTYPES[str(value.dtype).removeprefix("torch.")], tuple(value.shape))
        for name, value in kept_weights(model).items()
    }
