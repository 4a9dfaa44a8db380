"""Matrix products of a step, for one recurrence or for G side by side.

A weight of lower precision than the state, as autocast makes it, lowers the precision of the
product only: sums and states keep theirs.
"""

from __future__ import annotations

import torch
from torch import Tensor


def for_products(weight: Tensor) -> Tensor:
    """Return a weight in the dtype of products: rounded for autocast once, not at each step."""
    kind = weight.device.type
    if weight.dtype is torch.float32 and torch.is_autocast_enabled(kind):
        return weight.to(torch.get_autocast_dtype(kind))
    return weight


def product(x: Tensor, weight: Tensor) -> Tensor:
    """``x`` · ``weight`` in the dtype of ``x``, ([G,] B, n)."""
    if weight.dtype is x.dtype:
        return x @ weight
    return (x.to(weight.dtype) @ weight).to(x.dtype)


def affine(add: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """``add`` + ``x`` · ``weight`` in the dtype of ``x``, ([G,] B, n)."""
    if weight.dtype is not x.dtype:
        return add + product(x, weight)
    return torch.addmm(add, x, weight) if x.dim() == 2 else torch.baddbmm(add, x, weight)
