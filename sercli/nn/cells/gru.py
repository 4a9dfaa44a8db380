"""The gated recurrent unit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sercli.nn.cells import CELLS
from sercli.nn.checks import check_one_of
from sercli.nn.layer import RecurrentLayer
from sercli.nn.recurrence import Cell, Phi, State, StepWeights, affine


def _reset_after(x: tuple[Tensor, ...], state: State, weights: StepWeights, phi: Phi) -> State:
    (h,) = state
    hidden = h.shape[-1]
    recurrent = affine(weights.bias, h, weights.hidden[0])
    to_gates, to_candidate = recurrent.split_with_sizes([2 * hidden, hidden], -1)
    reset, update = torch.sigmoid(x[0] + to_gates).chunk(2, dim=-1)
    candidate = phi(torch.addcmul(x[1], reset, to_candidate))
    return (torch.lerp(candidate, h, update),)


def _reset_before(x: tuple[Tensor, ...], state: State, weights: StepWeights, phi: Phi) -> State:
    (h,) = state
    to_gates, to_candidate = weights.hidden
    reset, update = torch.sigmoid(affine(x[0], h, to_gates)).chunk(2, dim=-1)
    candidate = phi(affine(x[1], reset * h, to_candidate))
    return (torch.lerp(candidate, h, update),)


AFTER = Cell("gru", (2, 1), (3,), states=1, step=_reset_after, inner_bias=True, fused=True)
BEFORE = Cell("gru_before", (2, 1), (2, 1), states=1, step=_reset_before, fused=True)


@CELLS.register("gru")
class GRU(RecurrentLayer):
    """The gated recurrent unit (Cho et al. 2014) with any activation φ of the candidate.

    r and z are the reset and the update gate. The reset comes after the product, as in
    ``torch.nn.GRU`` and cuDNN, where all gates share one product of each of x and h:

        c_t = φ(W x_t + b + r_t ∘ (U h_{t−1} + d)),   h_t = z_t ∘ h_{t−1} + (1 − z_t) ∘ c_t

    or before it, as in Cho et al. and in TensorFlow's ``GRUCell``, which the code of IAAN uses:

        c_t = φ(W x_t + b + U (r_t ∘ h_{t−1}))

    With tanh and the reset after the product the layer equals ``torch.nn.GRU``, and their state
    dicts are interchangeable. With the reset before it there is one bias, ``bias_ih``, for each
    gate and the candidate: a second one would have the same gradient, so that Adam would move
    their sum twice as far. The blocks of the weights are in the order r, z, c.

    Args:
        layer: Arguments of `RecurrentLayer`.
        reset: ``after`` or ``before`` the product.
        init: Initial weights: `sercli.nn.init.init_weights`.
        gate_bias: Added to the initial bias of both gates (TensorFlow's ``GRUCell``: 1.0).
        settings: Keyword arguments of `RecurrentLayer`.

    >>> import torch
    >>> from sercli.nn import GRU, AReLU
    >>> layer = GRU(45, 64, bidirectional=True, activation=AReLU(alpha=0.01, beta=1.0))
    >>> output, h_n = layer(torch.randn(9, 3, 45), lengths=[9, 4, 7])
    >>> output.shape
    torch.Size([9, 3, 128])
    """

    biased_gates = (0, 1)
    init_groups = (2, 1)

    def __init__(
        self,
        *layer: Any,
        reset: str = "after",
        init: str = "torch",
        gate_bias: float = 0.0,
        **settings: Any,
    ) -> None:
        check_one_of("reset", reset, ("after", "before"))
        cell = AFTER if reset == "after" else BEFORE
        super().__init__(cell, *layer, init=init, gate_bias=gate_bias, **settings)

    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        shapes = super().parameter_shapes(inputs)
        if self.cell is BEFORE:
            shapes.pop("bias_hh", None)
        return shapes
