"""Long short-term memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sercli.nn.cells import CELLS
from sercli.nn.layer import RecurrentLayer
from sercli.nn.recurrence import Cell, Phi, State, StepWeights, affine


def lstm_step(x: tuple[Tensor, ...], state: State, weights: StepWeights, phi: Phi) -> State:
    """Return h_t and c_t."""
    h, c = state
    hidden = h.shape[-1]
    gates = affine(x[0], h, weights.hidden[0])
    to_kept, to_candidate, to_output = gates.split_with_sizes([2 * hidden, hidden, hidden], -1)
    entered, forgotten = torch.sigmoid(to_kept).chunk(2, dim=-1)
    c = torch.addcmul(entered * phi(to_candidate), forgotten, c)
    return torch.sigmoid(to_output) * torch.tanh(c), c


CELL = Cell("lstm", (4,), (4,), states=2, step=lstm_step, fused=True)


@CELLS.register("lstm")
class LSTM(RecurrentLayer):
    """Long short-term memory (Hochreiter, Schmidhuber 1997; Gers et al. 2000), any activation φ.

    i, f and o are the input, forget and output gate, each σ(W x_t + b + U h_{t−1} + d):

        g_t = φ(W x_t + b + U h_{t−1} + d),   c_t = f_t ∘ c_{t−1} + i_t ∘ g_t,
        h_t = o_t ∘ tanh(c_t)

    φ replaces only the tanh of the candidate g. With tanh the layer equals ``torch.nn.LSTM``, and
    their state dicts are interchangeable. The blocks of the weights are in the order i, f, g, o.

    Args:
        layer: Arguments of `RecurrentLayer`.
        init: Initial weights: `sercli.nn.init.init_weights`.
        gate_bias: Added to the initial bias of the forget gate (TensorFlow's cells: 1.0).
        settings: Keyword arguments of `RecurrentLayer`.

    >>> import torch
    >>> from sercli.nn import LSTM
    >>> layer = LSTM(45, 64, activation="softsign", gate_bias=1.0)
    >>> output, (h_n, c_n) = layer(torch.randn(9, 3, 45))
    >>> output.shape, c_n.shape
    (torch.Size([9, 3, 64]), torch.Size([1, 3, 64]))
    """

    num_states = 2
    biased_gates = (1,)
    init_groups = (4,)

    def __init__(
        self, *layer: Any, init: str = "torch", gate_bias: float = 0.0, **settings: Any
    ) -> None:
        super().__init__(CELL, *layer, init=init, gate_bias=gate_bias, **settings)
