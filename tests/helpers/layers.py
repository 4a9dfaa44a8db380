"""Results of recurrent layers as a list of tensors, and a mark for tests of the C++ kernel."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sercli.nn import use_backend
from sercli.nn.recurrence.cpp.build import NoKernelError
from sercli.nn.recurrence.cpp.launch import kernel


def flat(result: Any) -> list[Tensor]:
    """Return the tensors of the output and the final state of a layer."""
    output, final = result
    output = output.data if isinstance(output, PackedSequence) else output
    return [output, *((final,) if isinstance(final, Tensor) else final)]


def results(layer: nn.Module, inputs: Tensor, lengths: Tensor | None, name: str) -> list[Tensor]:
    """Return outputs, final states and all gradients in one backend."""
    use_backend(name)
    given = inputs.clone().requires_grad_()
    output, final = layer(given, lengths=lengths)
    finals = list(final) if isinstance(final, tuple) else [final]
    weights = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view_as(output)
    loss = (weights * output).sum() + sum(
        (part.sin().sum() for part in finals), output.new_zeros(())
    )
    wanted = [given, *(each for each in layer.parameters() if each.requires_grad)]
    return [output, *finals, *torch.autograd.grad(loss, wanted, materialize_grads=True)]


def _can_compile() -> bool:
    try:
        kernel()
    except NoKernelError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not _can_compile(), reason="no C++ compiler")
