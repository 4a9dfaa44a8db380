"""Memory that one training step hands on to the next.

What a forward pass keeps for the way back is large: as fresh memory, the system would have to
hand out and clear its pages at every step.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_MOST_FREE = 4
_free: list[NDArray[Any]] = []
"""Changed only by operations of one step, so that threads and finalisers cannot meet in them."""


def take(size: int, dtype: torch.dtype) -> Tensor:
    """Return a tensor of ``size`` numbers of any value; its memory comes back when it is gone."""
    if not size:
        return torch.empty(0, dtype=dtype)
    wanted = size * dtype.itemsize
    block = _found(wanted)
    view = block[:wanted]
    weakref.finalize(view, _give, block)
    return torch.from_numpy(view).view(dtype)


def _found(wanted: int) -> NDArray[Any]:
    """Take a free block of this many bytes or not many more, or a new one."""
    for _ in range(len(_free)):
        try:
            block = _free.pop(0)
        except IndexError:  # another thread was faster
            break
        if wanted <= block.nbytes <= 2 * wanted:
            return block
        _free.append(block)
    return np.empty(wanted, np.uint8)


def _give(block: NDArray[Any]) -> None:
    _free.append(block)
    del _free[:-_MOST_FREE]
