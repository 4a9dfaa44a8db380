"""The GRU recurrence in plain PyTorch, on any device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def gru(
    projected: Tensor,
    weight: Tensor,
    bias: Tensor,
    padded: Tensor,
    activation: Callable[[Tensor], Tensor],
) -> Tensor:
    """Run G independent GRU recurrences side by side.

    With r and z the reset and update gates and φ the activation (Cho et al. 2014, with the
    reset after the product as in cuDNN and ``torch.nn.GRU``):

        c_t = φ(x_t W_c + b_c + r_t ∘ (h_{t−1} U_c + d_c)),   h_t = z_t ∘ h_{t−1} + (1 − z_t) ∘ c_t

    A padded step holds the state: its update gate is exactly 1, so neither its value nor its
    gradient can reach a real step. Its reset gate is exactly 0, so that the proposal there,
    which counts nothing, does not grow with the state: an infinite one would count as
    0 · ∞ = NaN.

    Time is taken apart once by ``unbind``: indexing a step inside the loop would make the
    backward pass quadratic in T.

    Args:
        projected: x_t W + b for all steps, (T, G, B, 3H), gates in the order r, z, c; x_t = 0
            at padded steps.
        weight: U of each recurrence, (G, H, 3H).
        bias: d of each recurrence, (G, 1, 3H).
        padded: (T, G, B, 1), true where a step is padding.
        activation: φ.

    Returns:
        The states h_1 … h_T, (T, G, B, H).
    """
    hidden = weight.shape[1]
    to_reset, to_update, to_candidate = projected.chunk(3, dim=-1)
    to_gates = torch.cat(
        [to_reset.masked_fill(padded, -torch.inf), to_update.masked_fill(padded, torch.inf)],
        dim=-1,
    )
    state = projected.new_zeros((*projected.shape[1:-1], hidden))
    states = []
    for gates, candidate in zip(to_gates.unbind(0), to_candidate.unbind(0), strict=True):
        recurrent = torch.baddbmm(bias, state, weight)
        reset, update = torch.sigmoid(gates + recurrent[..., : 2 * hidden]).chunk(2, dim=-1)
        proposal = activation(candidate + reset * recurrent[..., 2 * hidden :])
        state = torch.lerp(proposal, state, update)
        states.append(state)
    return torch.stack(states)
