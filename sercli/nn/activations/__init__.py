"""Activations that can stand in the candidate state of a recurrent cell, by name.

To add one, write a class in a module of this folder, register it, and give it a file in
``conf/activation/``. From its formula every backend makes what it needs: the eager loop calls
it, the fused kernel is compiled from it together with its derivative
(`sercli.nn.recurrence.cpp.generate`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.registry import Registry


class Activation(nn.Module):
    """A function of one number with coefficients, applied to every element of a tensor.

    It is written in two parts. `coefficients` does, once for a whole sequence, everything that
    does not depend on the input: clamping what is learned, normalising it, drawing noise.
    `formula` is what happens to each element, and nothing else.
    """

    def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
        """Return the numbers that the formula uses, at this moment.

        Args:
            shape: Shape of the input; in a recurrent cell, of one step: (B, H).

        Returns:
            Tensors that broadcast to ``shape``: (), (H,) or (B, H) in a cell.
        """
        return ()

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Apply the activation element by element, with torch's functions.

        It uses no tensor but its arguments and does not branch on their values, so that it can
        be traced.
        """
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation to every element of ``x``."""
        return self.formula(x, *self.coefficients(x.shape))


ACTIVATIONS: Registry[type[Activation]] = Registry("activation", "sercli.nn.activations")
