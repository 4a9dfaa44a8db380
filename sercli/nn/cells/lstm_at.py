"""The long short-term memory whose forget gate attends to the memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sercli.nn.cells import CELLS
from sercli.nn.layer import RecurrentLayer
from sercli.nn.recurrence import Cell, Phi, State, StepWeights, affine, product


def _step(x: tuple[Tensor, ...], state: State, weights: StepWeights, phi: Phi) -> State:
    h, c = state
    look, judge = weights.extra
    to_entered, to_candidate, to_output = affine(x[0], h, weights.hidden[0]).chunk(3, dim=-1)
    forgotten = torch.sigmoid(product(torch.tanh(product(c, look)), judge))
    c = torch.addcmul(torch.sigmoid(to_entered) * phi(to_candidate), forgotten, c)
    return torch.sigmoid(to_output) * torch.tanh(c), c


CELL = Cell("lstm_at", (3,), (3,), states=2, step=_step)


@CELLS.register("lstm_at")
class LSTMAT(RecurrentLayer):
    """The LSTM of Xie et al. (2019, TASLP), whose forget gate sees the memory alone.

        f_t = σ(V tanh(W c_{t−1}))

    takes the place of the forget gate of an LSTM; the rest is as in `sercli.nn.cells.lstm`. V
    and W are H × H and have no bias (our reading); they are kept transposed, as ``weight_V``
    and ``weight_W``. The blocks of the other weights stand in the order i, g, o.

    Their attention over the outputs, along time and along features, is no part of the cell.

    Args:
        layer: Everything that `RecurrentLayer` takes.
        settings: Everything that `RecurrentLayer` takes, by name.
    """

    num_states = 2
    init_groups = (3,)

    def __init__(self, *layer: Any, **settings: Any) -> None:
        super().__init__(CELL, *layer, **settings)

    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Those of torch, and W and V."""
        square = self.hidden_size, self.hidden_size
        return super().parameter_shapes(inputs) | {"weight_W": square, "weight_V": square}
