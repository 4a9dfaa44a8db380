"""The simple recurrent network."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sercli.nn.cells import CELLS
from sercli.nn.layer import RecurrentLayer
from sercli.nn.recurrence import Cell, Phi, State, StepWeights, affine


def _step(x: tuple[Tensor, ...], state: State, weights: StepWeights, phi: Phi) -> State:
    return (phi(affine(x[0], state[0], weights.hidden[0])),)


CELL = Cell("rnn", (1,), (1,), states=1, step=_step, fused=True)


@CELLS.register("rnn")
class RNN(RecurrentLayer):
    """The network of Elman (1990), h_t = φ(W x_t + b + U h_{t−1} + d), with any activation φ.

    With tanh or ReLU it equals ``torch.nn.RNN``, and their state dicts are interchangeable.

    Args:
        layer: Arguments of `RecurrentLayer`.
        settings: Keyword arguments of `RecurrentLayer`.

    >>> import torch
    >>> from sercli.nn import RNN
    >>> RNN(45, 64, activation="relu")(torch.randn(9, 3, 45))[0].shape
    torch.Size([9, 3, 64])
    """

    def __init__(self, *layer: Any, **settings: Any) -> None:
        super().__init__(CELL, *layer, **settings)
