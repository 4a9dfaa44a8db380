"""Recurrent cells, by name.

A cell reads a padded batch with lengths and returns every state and the last one. To add a
cell, register its class in a module of this folder and give it a file in ``conf/cell/``.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from sercli.registry import Registry


class Recurrent(Protocol):
    """What every cell offers a model.

    Attributes:
        output_size: Features of a state, over both directions.
    """

    output_size: int

    def __call__(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Run over a padded batch.

        Args:
            inputs: (B, T, inputs).
            lengths: Number of real steps of each sequence, (B,).

        Returns:
            All states (B, T, output_size), zero at padded steps, and the last valid state
            (B, output_size): of the backward direction, the state after the first step.
        """
        ...


CELLS: Registry[type[nn.Module]] = Registry("cell", "sercli.nn.cells")
