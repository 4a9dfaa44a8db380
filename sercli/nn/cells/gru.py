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
    """Gated recurrent units (Cho et al. 2014) whose candidate takes any activation φ.

    With r and z the reset and the update gate, and with the reset after the product, as in
    ``torch.nn.GRU`` and cuDNN, where W x and U h are the blocks of one matrix product each:

        c_t = φ(W x_t + b + r_t ∘ (U h_{t−1} + d)),   h_t = z_t ∘ h_{t−1} + (1 − z_t) ∘ c_t

    or with the reset before it, as Cho et al. write and as TensorFlow's ``GRUCell`` and so the
    code of IAAN compute (there without d):

        c_t = φ(W x_t + b + U (r_t ∘ h_{t−1}) + d)

    With tanh and the reset after the product the layer equals ``torch.nn.GRU``, and with either
    order it exchanges state dicts with it. The blocks of the weights stand in the order r, z, c.

    Args:
        layer: Everything that `RecurrentLayer` takes.
        reset: ``after`` or ``before`` the product.
        init: How the weights start: `sercli.nn.init.init_weights`.
        gate_bias: Added to the initial bias of both gates (TensorFlow's ``GRUCell``: 1.0).
        settings: Everything that `RecurrentLayer` takes, by name.
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
