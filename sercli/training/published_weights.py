"""Weights in the layout that the authors of a model published.

A model with such a layout has ``name_in_file``, a function from the name of its tensor to the name
in the file, and ``unused_in_file``, prefixes of the names in the file that it does not load.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from torch import nn

from sercli.errors import RequestError, SercliError
from sercli.files import why_denied
from sercli.results.weights import Shapes, first_misfit, read_shapes
from sercli.training.weights import weight_shapes

_COUNT = "num_batches_tracked"
"""Buffer of batch normalisation, an integer in torch's layers."""


def published_names(
    path: Path, model: nn.Module, name: str, anew: Collection[str], where: str
) -> dict[str, str]:
    """Check that a published file fits a model, and return the names of its tensors.

    Args:
        path: The file, in safetensors.
        model: The model.
        name: Its name, for messages.
        anew: Tensors of the model that are not loaded.
        where: The setting, for messages.

    Returns:
        Tensor of the model → its name in the file.

    Raises:
        RequestError: The model has no published layout; there is no such file; it is no safetensors
            file; or a tensor is missing, unknown, or of another shape or dtype.
    """
    layout: Any = type(model)
    if not hasattr(layout, "name_in_file"):
        raise RequestError(
            f"{where}: no layout of published weights is known for model {name}; use model=cnn14, "
            "or init.run for the weights of a run"
        )
    wanted = {own: each for own, each in weight_shapes(model).items() if own not in anew}
    names = {own: layout.name_in_file(own) for own in wanted}
    expected = {
        names[own]: ("I64" if own.endswith(_COUNT) else dtype, shape)
        for own, (dtype, shape) in wanted.items()
    }
    found = {
        each: shape
        for each, shape in _shapes(path, where).items()
        if not each.startswith(layout.unused_in_file)
    }
    if wrong := first_misfit(found, expected):
        raise RequestError(f"{where}: {wrong}; use the published file, or a model of its size")
    return names


def _shapes(path: Path, where: str) -> Shapes:
    if (denied := why_denied(path)) is not None:
        raise RequestError(f"{where}: {denied}")
    if not path.is_file():
        raise RequestError(f"{where}: there is no such file")
    try:
        return read_shapes(path)
    except SercliError as error:
        raise RequestError(
            f"{where}: not a safetensors file; docs/systems.md states how to convert a "
            "checkpoint of PyTorch"
        ) from error
