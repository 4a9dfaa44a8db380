"""Initial weights of layers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

INITS = ("torch", "glorot", "orthogonal")
"""The names that `init_weights` takes."""


def init_weights(init: str, weight_ih: Tensor, weight_hh: Tensor, groups: Sequence[int]) -> None:
    """Draw the weights of one recurrence in place; biases are left to the caller.

    ``torch`` is U(±1/√H), as in the modules of torch. ``glorot`` is the Glorot-uniform
    distribution of TensorFlow's cells, which hold the weights of n gates, of input and state, in
    one kernel: U(±√(6 / (I + H + n·H))). ``orthogonal`` makes every recurrent block H × H
    orthogonal (Saxe et al. 2014) and every block of the input Glorot-uniform on its own, as
    Ravanelli et al. (2018) do for the Li-GRU.

    Args:
        init: One of `INITS`.
        weight_ih: (gates·H, I).
        weight_hh: (gates·H, H).
        groups: Number of gates in each kernel of TensorFlow's cell.

    >>> import torch
    >>> weight_ih, weight_hh = torch.empty(12, 3), torch.empty(12, 4)
    >>> init_weights("orthogonal", weight_ih, weight_hh, groups=(2, 1))
    >>> torch.allclose(weight_hh[:4] @ weight_hh[:4].T, torch.eye(4), atol=1e-6)
    True
    """
    hidden = weight_hh.shape[1]
    if init == "torch":
        uniform(1 / math.sqrt(hidden), weight_ih, weight_hh)
    elif init == "glorot":
        widths = [gates * hidden for gates in groups]
        for parts in zip(
            weight_ih.split_with_sizes(widths), weight_hh.split_with_sizes(widths), strict=True
        ):
            uniform(math.sqrt(6 / (weight_ih.shape[1] + hidden + len(parts[0]))), *parts)
    else:
        for block in weight_hh.chunk(sum(groups)):
            nn.init.orthogonal_(block)
        for block in weight_ih.chunk(sum(groups)):
            nn.init.xavier_uniform_(block)


def uniform(bound: float, *tensors: Tensor) -> None:
    """Draw from U(±bound) in place."""
    with torch.no_grad():
        for tensor in tensors:
            tensor.uniform_(-bound, bound)


def initialise_as_keras(module: nn.Module) -> None:
    """Draw dense layers and convolutions as Keras does: Glorot-uniform weights, biases of zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
