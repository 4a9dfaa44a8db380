"""Autograd and ``torch.func`` around the fused kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch._functorch.utils import unwrap_dead_wrappers
from torch.autograd import Function

NO_SECOND_DERIVATIVE = (
    "the fused kernel has no second derivative: call sercli.nn.use_backend('eager') first"
)


def in_transform() -> bool:
    """Return true inside a transform of ``torch.func``, such as ``vmap`` or ``grad``.

    >>> in_transform()
    False
    """
    return bool(torch._C._are_functorch_transforms_active())


def apply(function: type[Function], *arguments: Any) -> Any:
    """Apply an autograd function with ``setup_context``, with little overhead outside transforms.

    ``Function.apply`` inspects the signature of the forward pass at every call.
    """
    if in_transform():
        return function.apply(*arguments)  # type: ignore[no-untyped-call]
    plain: Any = super(Function, function)
    return plain.apply(*unwrap_dead_wrappers(arguments))
