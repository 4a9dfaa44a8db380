"""Memory that one training step hands on to the next.

What a forward pass keeps for the way back is large: as fresh memory, the system would have to
hand out and clear its pages at every step.
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
"""Changed only by operations of one step, so that threads and finalisers cannot meet in them."""


def take(size: int, dtype: torch.dtype) -> Tensor:
    """Return a tensor of ``size`` numbers of any value; its memory comes back when it is gone.

    As many blocks are kept as were in use at the same time, each as large as the largest that
    stood in its place.
    """
    if not size:
        return torch.empty(0, dtype=dtype)
    wanted = size * dtype.itemsize
    block = _found(wanted)
    view = block[:wanted]
    weakref.finalize(view, _free.append, block)
    return torch.from_numpy(view).view(dtype)


def _found(wanted: int) -> NDArray[Any]:
    """Return the smallest free block that is large enough; else a new one in place of another."""
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
