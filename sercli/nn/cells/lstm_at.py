"""The LSTM of Xie et al., with an attention gate in place of its forget and input gates."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sercli.nn.cells import CELLS
from sercli.nn.layer import RecurrentLayer
from sercli.nn.recurrence import Cell, Phi, State, StepWeights, affine, product


def _step(x: tuple[Tensor, ...], state: State, weights: StepWeights, phi: Phi) -> State:
    h, c = state
    w, v = weights.extra
    to_candidate, to_output = affine(x[0], h, weights.hidden[0]).chunk(2, dim=-1)
    kept = torch.sigmoid(product(torch.tanh(product(c, w)), v))
    c = torch.lerp(phi(to_candidate), c, kept)
    return torch.sigmoid(to_output) * torch.tanh(c), c


CELL = Cell("lstm_at", (2,), (2,), states=2, step=_step, fused=True)


@CELLS.register("lstm_at")
class LSTMAT(RecurrentLayer):
    """The LSTM of Xie et al. (2019, TASLP), with one gate that depends on the cell state alone.

    The attention gate f takes the place of both the forget and the input gate (their figure):

        f_t = σ(V tanh(W c_{t−1})),   g_t = φ(U x_t + R h_{t−1} + b),
        c_t = f_t ∘ c_{t−1} + (1 − f_t) ∘ g_t,   h_t = o_t ∘ tanh(c_t)

    with o_t as in `sercli.nn.cells.lstm`. So c is a mean of candidates, and |c| ≤ 1 with tanh. A
    step has six products of matrices where an LSTM has eight. V and W are H × H without bias (our
    reading); the parameters ``weight_V`` and ``weight_W`` are their transposes. The blocks of the
    other weights are in the order g, o.

    The paper's attention over the outputs, along time and along features, is not part of the
    cell: see `sercli.nn.attention`.

    Args:
        layer: Arguments of `RecurrentLayer`.
        settings: Keyword arguments of `RecurrentLayer`.

    >>> import torch
    >>> from sercli.nn.cells import CELLS
    >>> layer = CELLS["lstm_at"](45, 64)
    >>> output, final = layer(torch.randn(9, 3, 45), lengths=[9, 4, 7])
    >>> output.shape
    torch.Size([9, 3, 64])
    """

    num_states = 2
    init_groups = (2,)

    def __init__(self, *layer: Any, **settings: Any) -> None:
        super().__init__(CELL, *layer, **settings)

    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        square = self.hidden_size, self.hidden_size
        return super().parameter_shapes(inputs) | {"weight_W": square, "weight_V": square}
