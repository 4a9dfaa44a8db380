"""Memory that training steps reuse.

A forward pass keeps a lot for the backward pass. In fresh memory, the operating system would have
to map and clear its pages at every step.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_free: list[NDArray[Any]] = []
"""Changed by atomic operations only, so that threads and finalisers need no lock."""


def take(size: int, dtype: torch.dtype) -> Tensor:
    """Return an uninitialised tensor of ``size`` numbers, whose memory is reused when it is freed.

    There are as many blocks as were ever in use at the same time, each as large as the largest
    tensor in its place.
    """
    if not size:
        return torch.empty(0, dtype=dtype)
    wanted = size * dtype.itemsize
    block = _found(wanted)
    view = block[:wanted]
    weakref.finalize(view, _free.append, block)
    return torch.from_numpy(view).view(dtype)


def _found(wanted: int) -> NDArray[Any]:
    """Return the smallest free block that is large enough, or a new one in place of the largest."""
    blocks = sorted(_all_free(), key=lambda each: each.nbytes)
    fitting = next((i for i, each in enumerate(blocks) if each.nbytes >= wanted), None)
    if fitting is not None:
        block = blocks.pop(fitting)
    else:
        del blocks[-1:]
        block = np.empty(wanted, np.uint8)
    _free.extend(blocks)
    return block


def _all_free() -> Iterator[NDArray[Any]]:
    while True:
        try:
            yield _free.pop()
        except IndexError:
            return
