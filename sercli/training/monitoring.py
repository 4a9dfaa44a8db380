"""Monitoring of stability: states, gradients and activation parameters of recurrent networks.

tanh keeps a state within 1. An unbounded activation does not: with AReLU the state can grow from
step to step (gain 1 + σ(β) > 1), and how far it does depends on α, β and the initial weights. So
an evaluation records the largest state, gradient norms and the learned parameters of the
activations. Numbers that are not finite are recorded as they are.

The square of a gradient above 1.8e19 is infinite in float32. Adam then divides by infinity: the
weight never moves again, though all that is computed with it is finite. So the share of such
weights is recorded too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sercli.nn.layer import recurrent_layers


class LargestState:
    """The largest |h| that was seen so far."""

    def __init__(self) -> None:
        self._largest: Tensor | None = None

    def see(self, states: Tensor) -> None:
        """Look at states of any shape; it waits for no device."""
        largest = torch.stack(torch.aminmax(states)).abs().amax()
        before = self._largest
        self._largest = largest if before is None else torch.maximum(before, largest)

    @property
    def value(self) -> float:
        """The largest |h|; NaN when one of them was, or when there was none."""
        return math.nan if self._largest is None else self._largest.item()


@contextmanager
def watched_states(model: nn.Module) -> Iterator[LargestState]:
    """Watch the states h of all recurrent layers, on every level of a stack, within the block.

    A forward hook would see the last level only, and nothing of layers that run in parallel
    (`sercli.nn.run_parallel`). Outside of the block nothing is watched, and training pays nothing.
    """
    layers = list(recurrent_layers(model))
    largest = LargestState()
    for layer in layers:
        layer.on_states.append(largest.see)
    try:
        yield largest
    finally:
        for layer in layers:
            layer.on_states.remove(largest.see)


def activation_numbers(model: nn.Module, *, per_unit: bool = False) -> dict[str, float]:
    """Return every number that the activations of the recurrent layers learn.

    Args:
        model: The model; a number that several layers share is returned once.
        per_unit: True if every hidden unit has parameters of its own; then their mean, smallest
            and largest stand for them.

    Returns:
        ``activation/<path of the module>.<parameter>`` → number. Of several numbers each
        has its position, and with ``per_unit`` ``mean``, ``min`` or ``max``, behind the name.
    """
    inside = {
        id(parameter)
        for layer in recurrent_layers(model)
        for parameter in layer.activations.parameters()
    }
    numbers: dict[str, float] = {}
    for path, parameter in model.named_parameters():
        if id(parameter) in inside and parameter.requires_grad:
            numbers |= _numbers(f"activation/{path}", parameter.detach(), per_unit)
    return numbers


def _numbers(name: str, value: Tensor, per_unit: bool) -> dict[str, float]:
    if value.dim() > int(per_unit):
        parts = enumerate(value.unbind())
        return {
            k: v for i, part in parts for k, v in _numbers(f"{name}.{i}", part, per_unit).items()
        }
    if per_unit:
        of_units = {"mean": value.mean(), "min": value.min(), "max": value.max()}
        return {f"{name}.{which}": number.item() for which, number in of_units.items()}
    return {name: value.item()}
