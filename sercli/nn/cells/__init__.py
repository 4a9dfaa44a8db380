"""Recurrent cells, by name.

To add one, write its step and its layer in a module of this folder, register the layer and give
it a file in ``conf/cell/``. `sercli.nn.layer.RecurrentLayer` adds stacks, directions, lengths,
activations and initial weights.
"""

from __future__ import annotations

from collections.abc import Callable

from sercli.nn.layer import RecurrentLayer
from sercli.registry import Registry

CELLS: Registry[Callable[..., RecurrentLayer]] = Registry("cell", "sercli.nn.cells")
