"""Results of recurrent layers as a list of tensors, and a mark for tests of the C++ kernel."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from sercli.nn.recurrence.cpp.build import NoKernelError
from sercli.nn.recurrence.cpp.launch import kernel


def flat(result: Any) -> list[Tensor]:
    """Return the tensors of the output and the final state of a layer."""
    output, final = result
    output = output.data if isinstance(output, PackedSequence) else output
    return [output, *((final,) if isinstance(final, Tensor) else final)]


def _can_compile() -> bool:
    try:
        kernel()
    except NoKernelError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not _can_compile(), reason="no C++ compiler")
