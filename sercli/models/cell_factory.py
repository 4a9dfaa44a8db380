"""Factory of a system's recurrent layers, as configured."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from sercli.config.component import build
from sercli.errors import RequestError
from sercli.nn.activations import ACTIVATIONS
from sercli.nn.cells import CELLS
from sercli.nn.checks import check_one_of
from sercli.nn.layer import MakeActivation, RecurrentLayer


class CellFactory:
    """Makes recurrent layers of the configured cell with the configured activation.

    >>> new_cell = CellFactory({"name": "gru"}, {"name": "arelu"})
    >>> new_cell(45, 16, bidirectional=True).output_size
    32

    The learned parameters of the activation are shared as its node says. ``share``: each
    ``direction`` of each layer has its own, each ``layer``, or all layers made here have one
    (``model``).
    ``per_unit``: every unit has its own.

    Args:
        cell: Node ``cell`` of the configuration.
        activation: Node ``activation``.

    Raises:
        RequestError: A name or a setting is unknown, or a value is out of range.
    """

    def __init__(self, cell: Mapping[str, Any], activation: Mapping[str, Any]) -> None:
        self._layer = CELLS[cell["name"]]
        self._settings = dict(cell)
        stack = {key: self._settings.pop(key) for key in ("layers", "dropout") if key in cell}
        self._stack = build("cell", _stack, stack)
        self._activation = dict(activation)
        self._share = self._activation.pop("share", "layer")
        self._per_unit = self._activation.pop("per_unit", False)
        self._common: tuple[int, nn.Module] | None = None
        check_one_of("activation.share", self._share, ("direction", "layer", "model"))

    def __call__(
        self, input_size: int, hidden_size: int, *, bidirectional: bool = False
    ) -> RecurrentLayer:
        """Make a layer that reads (B, T, input_size), with weights of its own."""
        make: MakeActivation = partial(self._new_activation, hidden_size)
        return build(
            "cell",
            self._layer,
            self._settings,
            input_size=input_size,
            hidden_size=hidden_size,
            batch_first=True,
            bidirectional=bidirectional,
            activation=self._shared(hidden_size) if self._share == "model" else make,
            share="direction" if self._share == "direction" else "layer",
            **self._stack,
        )

    def _shared(self, hidden_size: int) -> nn.Module:
        """The activation of all layers, made with the first of them."""
        if self._common is None:
            self._common = hidden_size, self._new_activation(hidden_size)
        units, activation = self._common
        if self._per_unit and units != hidden_size:
            raise RequestError(
                f"activation.per_unit: layers of {units} and of {hidden_size} units cannot share "
                "one (activation.share=model): set activation.share=layer"
            )
        return activation

    def _new_activation(self, hidden_size: int) -> nn.Module:
        name = self._activation["name"]
        part = ACTIVATIONS[name]
        learns = "units" in inspect.signature(part).parameters
        if self._per_unit and not learns:
            raise RequestError(f"activation.per_unit: {name} learns nothing")
        units = {"units": hidden_size if self._per_unit else None} if learns else {}
        return build("activation", part, self._activation, **units)


def _stack(layers: int = 1, dropout: float = 0.0) -> dict[str, Any]:
    """The settings of every cell, by the names that the layers of torch give them."""
    if layers < 1:
        raise RequestError(f"cell.layers={layers}: must be 1 or more")
    if not 0 <= dropout < 1:
        raise RequestError(f"cell.dropout={dropout:g}: must be in [0, 1)")
    if dropout and layers == 1:
        raise RequestError(
            f"cell.dropout={dropout:g} acts between layers, and cell.layers=1: set model.dropout, "
            "or more layers"
        )
    return {"num_layers": layers, "dropout": dropout}
