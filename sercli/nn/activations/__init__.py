"""Activations of the candidate state of a recurrent cell, by name.

To add one, write a class in a module of this folder, register it, and give it a file in
``conf/activation/``. Its formula serves every backend: the eager loop calls it, kernels are
compiled from it and its derivative (`sercli.nn.recurrence.formula`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.registry import Registry


class Activation(nn.Module):
    """An element-wise function with coefficients.

    It has two parts. `coefficients` does, once for a whole sequence, everything that does not
    depend on the input: clamping and normalising learned numbers, drawing noise. `formula` is
    applied to each element at every step.

    >>> import torch
    >>> from sercli.nn import GRU
    >>> from sercli.nn.activations import Activation
    >>> class Squareplus(Activation):
    ...     def formula(self, x, *coefficients):
    ...         return (x + torch.sqrt(x * x + 4)) / 2
    >>> Squareplus()(torch.tensor([-1.5, 0.0, 1.5]))
    tensor([0.5000, 1.0000, 2.0000])
    >>> layer = GRU(45, 64, activation=Squareplus())
    """

    def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
        """Return the current coefficients of the formula.

        Args:
            shape: Shape of the input; in a recurrent cell that of one step, (B, H).

        Returns:
            Tensors that broadcast to ``shape``: (), (H,) or (B, H) in a cell.
        """
        return ()

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        """Apply the activation element by element, with torch's functions.

        It must be traceable: it uses no tensors but its arguments and does not branch on their
        values.
        """
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation to every element of ``x``."""
        return self.formula(x, *self.coefficients(x.shape))


ACTIVATIONS: Registry[type[Activation]] = Registry("activation", "sercli.nn.activations")
