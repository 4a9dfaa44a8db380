"""How the weights of recurrent layers start."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

INITS = ("torch", "glorot", "orthogonal")
"""Names for `init_weights`."""


def init_weights(init: str, weight_ih: Tensor, weight_hh: Tensor, kernels: Sequence[int]) -> None:
    """Draw the weights of one recurrence in place; biases are the caller's.

    ``torch`` is U(±1/√H), as in the modules of torch. ``glorot`` is the Glorot-uniform
    distribution of TensorFlow's cells, which keep several gates, of the input and of the state
    together, in one kernel: U(±√(6 / (I + H + n·H))). ``orthogonal`` makes every recurrent
    block H × H orthogonal (Saxe et al. 2014) and every block of the input Glorot-uniform on
    its own, as Ravanelli et al. (2018) do for the Li-GRU.

    Args:
        init: One of `INITS`.
        weight_ih: (gates·H, I).
        weight_hh: (gates·H, H).
        kernels: How many gates each kernel of TensorFlow's cell holds.
    """
    hidden = weight_hh.shape[1]
    if init == "torch":
        uniform(1 / math.sqrt(hidden), weight_ih, weight_hh)
    elif init == "glorot":
        widths = [gates * hidden for gates in kernels]
        for parts in zip(
            weight_ih.split_with_sizes(widths), weight_hh.split_with_sizes(widths), strict=True
        ):
            uniform(math.sqrt(6 / (weight_ih.shape[1] + hidden + len(parts[0]))), *parts)
    else:
        for block in weight_hh.chunk(sum(kernels)):
            nn.init.orthogonal_(block)
        for block in weight_ih.chunk(sum(kernels)):
            nn.init.xavier_uniform_(block)


def uniform(bound: float, *tensors: Tensor) -> None:
    """Draw from U(±bound) in place."""
    with torch.no_grad():
        for tensor in tensors:
            tensor.uniform_(-bound, bound)
