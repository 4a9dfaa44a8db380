"""Memory that one training step hands on to the next.

What a forward pass keeps for the way back is large: as fresh memory, the system would have to
hand out and clear its pages at every step.
"""

from __future__ import annotations

import weakref

import numpy as np
import torch
from torch import Tensor

_MOST_FREE = 4
_free: list[np.ndarray] = []


def take(size: int, dtype: torch.dtype) -> Tensor:
    """Return a tensor of ``size`` numbers of any value; its memory comes back when it is gone."""
    if not size:
        return torch.empty(0, dtype=dtype)
    wanted = size * dtype.itemsize
    fitting = [block for block in _free if wanted <= block.nbytes <= 2 * wanted]
    block = min(fitting, key=lambda each: each.nbytes, default=None)
    if block is None:
        block = np.empty(wanted, np.uint8)
    else:
        _remove(block)
    view = block[:wanted]
    weakref.finalize(view, _give, block)
    return torch.from_numpy(view).view(dtype)


def _give(block: np.ndarray) -> None:
    _free.append(block)
    del _free[:-_MOST_FREE]


def _remove(block: np.ndarray) -> None:
    _free[:] = [each for each in _free if each is not block]
