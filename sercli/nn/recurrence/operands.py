"""What a loop over time is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
"""What a cell carries from step to step, the visible state h first; each (…, B, H)."""

Phi = Callable[[Tensor], Tensor]
"""The activation of the candidate."""


@dataclass(frozen=True)
class StepWeights:
    """The weights as one step uses them: of one recurrence, or of G side by side.

    Attributes:
        hidden: Recurrent weights, transposed: for each product of the cell ([G,] H, n·H).
        bias: Recurrent bias, ([G,] 1, gates·H); counts only where ``Cell.inner_bias``.
        extra: What else the cell needs, as in `Weights`, each with the G in front.
    """

    hidden: tuple[Tensor, ...]
    bias: Tensor
    extra: tuple[Tensor, ...] = ()


Step = Callable[[tuple[Tensor, ...], State, StepWeights, Phi], State]
"""One step in plain PyTorch, for one recurrence or for G side by side.

From the projected input (a block ([G,] B, n·H) for each entry of ``Cell.inputs``), the state
(each ([G,] B, H)), the weights and the activation to the next state. It knows nothing of
padding.
"""


@dataclass(frozen=True)
class Cell:
    """What happens in one step, as a description that every backend understands.

    Attributes:
        name: What it is called in messages and in the fused kernel.
        inputs: How the gates' blocks of H rows, the candidate's included, are grouped in the
            projected input W x_t + b that a step receives.
        products: How they are grouped in the products of the state with recurrent weights.
        states: How many tensors it carries from step to step.
        step: What a step computes.
        inner_bias: Whether the recurrent bias takes part in the step itself; else it is added
            to that of the input, once for the whole sequence.
        fused: Whether the fused CPU kernel has it.
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
        """Blocks of H rows in the weights."""
        return sum(self.inputs)


@dataclass(frozen=True)
class Weights:
    """The weights of one recurrence, as the modules of torch lay them out.

    Attributes:
        input: (gates·H, I); None: the inputs are projected already, I = gates·H.
        hidden: (gates·H, H).
        input_bias: (gates·H,), or None.
        hidden_bias: (gates·H,), or None.
        extra: What else the cell needs, each a matrix.
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
        inputs: (T, B, I) of any strides; what stands in the padding never counts.
        lengths: Number of real steps of each sequence, (B,), each in 1 … T.
        weights: The weights, of the dtype of the inputs.
        activation: The activation of the candidate.
        initial: The state before the first step, each (B, H); what is missing is zero.
        reverse: Whether time runs from the last real step to the first.
    """

    inputs: Tensor
    lengths: Tensor
    weights: Weights
    activation: nn.Module
    initial: State = ()
    reverse: bool = False


@dataclass(frozen=True)
class Unrolled:
    """What came of a `Recurrence`.

    Attributes:
        states: h at every step, in the order of the inputs also where time ran backwards,
            zero at padded steps: (T, B, H).
        final: The state after the last real step (backwards: after the first), each (B, H).
    """

    states: Tensor
    final: State


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
