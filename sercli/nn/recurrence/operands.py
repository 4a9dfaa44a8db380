"""The operands and results of a loop over time, and the products of its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
"""The tensors that a cell carries from step to step, the output h first; each (…, B, H)."""

Phi = Callable[[Tensor], Tensor]
"""The activation of the candidate."""


@dataclass(frozen=True)
class StepWeights:
    """The weights as one step uses them: of one recurrence, or of G in parallel.

    Attributes:
        hidden: Recurrent weights, transposed: for each product of the cell ([G,] H, n·H).
        bias: Recurrent bias, ([G,] 1, gates·H); used only with ``Cell.inner_bias``.
        extra: Further weights of the cell, as in `Weights`, each with the G in front.
    """

    hidden: tuple[Tensor, ...]
    bias: Tensor
    extra: tuple[Tensor, ...] = ()


Step = Callable[[tuple[Tensor, ...], State, StepWeights, Phi], State]
"""One step in plain PyTorch, for one recurrence or for G in parallel.

From the projected input (a block ([G,] B, n·H) for each entry of ``Cell.inputs``), the state
(each ([G,] B, H)), the weights and the activation to the next state. Padding is handled outside.
"""


@dataclass(frozen=True)
class Cell:
    """A cell, described so that every backend can run it.

    Attributes:
        name: Its name in messages and in the kernels.
        inputs: The number of gates, the candidate included, in each block of the projected input
            W x_t + b that a step receives.
        products: The same for the products of the state with recurrent weights.
        states: Number of tensors in its state.
        step: The step.
        inner_bias: True if the step adds the recurrent bias itself; else it is added to that of
            the input, once for the whole sequence.
        fused: True if the fused CPU kernel has it.
    """

    name: str
    inputs: tuple[int, ...]
    products: tuple[int, ...]
    states: int
    step: Step
    inner_bias: bool = False
    fused: bool = False

    @property
    def gates(self) -> int:
        """Number of blocks of H rows in the weights."""
        return sum(self.inputs)


@dataclass(frozen=True)
class Weights:
    """The weights of one recurrence, laid out as in the modules of torch.

    Attributes:
        input: (gates·H, I); None: the inputs are projected already, I = gates·H.
        hidden: (gates·H, H).
        input_bias: (gates·H,), or None.
        hidden_bias: (gates·H,), or None.
        extra: Further weights of the cell, each a matrix.
    """

    input: Tensor | None
    hidden: Tensor
    input_bias: Tensor | None = None
    hidden_bias: Tensor | None = None
    extra: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Recurrence:
    """One cell run over one padded batch in one direction.

    Attributes:
        inputs: (T, B, I) of any strides; the padding may hold anything.
        lengths: Number of real steps of each sequence, (B,), each in 1 … T.
        weights: The weights, of the dtype of the inputs.
        activation: The activation of the candidate.
        initial: The state before the first step, each (B, H); missing tensors are zero.
        reverse: True if time runs from the last real step to the first.
        padded: True if a sequence may be shorter than T.
    """

    inputs: Tensor
    lengths: Tensor
    weights: Weights
    activation: nn.Module
    initial: State = ()
    reverse: bool = False
    padded: bool = True


@dataclass(frozen=True)
class Unrolled:
    """The result of a `Recurrence`.

    Attributes:
        states: h at every step, (T, B, H), in the order of the inputs even if time ran backwards,
            zero at padded steps.
        final: The state after the last real step (backwards: after the first), each (B, H).
        joint: The states of all recurrences over the same inputs side by side, (T, B, ΣH), of which
            ``states`` are columns; None if the states are a tensor of their own.
    """

    states: Tensor
    final: State
    joint: Tensor | None = None


def for_products(weight: Tensor) -> Tensor:
    """Return a weight in the dtype of products, rounded for autocast once instead of at each step.

    A weight of lower precision than the state lowers the precision of the product only: sums and
    states keep theirs.
    """
    kind = weight.device.type
    if weight.dtype is torch.float32 and torch.is_autocast_enabled(kind):
        return weight.to(torch.get_autocast_dtype(kind))
    return weight


def product(x: Tensor, weight: Tensor) -> Tensor:
    """Return ``x`` · ``weight`` in the dtype of ``x``, ([G,] B, n)."""
    if weight.dtype is x.dtype:
        return x @ weight
    return (x.to(weight.dtype) @ weight).to(x.dtype)


def affine(add: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Return ``add`` + ``x`` · ``weight`` in the dtype of ``x``, ([G,] B, n)."""
    if weight.dtype is not x.dtype:
        return add + product(x, weight)
    return torch.addmm(add, x, weight) if x.dim() == 2 else torch.baddbmm(add, x, weight)
