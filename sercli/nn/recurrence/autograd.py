"""Autograd and ``torch.func`` around the fused kernels."""

from __future__ import annotations

import torch

NO_SECOND_DERIVATIVE = (
    "the fused kernel has no second derivative: call sercli.nn.use_backend('eager') first"
)


def in_transform() -> bool:
    """Return true inside a transform of ``torch.func``, such as ``vmap`` or ``grad``.

    >>> in_transform()
    False
    """
    return bool(torch._C._are_functorch_transforms_active())
