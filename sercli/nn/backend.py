"""Which backend the recurrent layers of a model will run in."""

from __future__ import annotations

from torch import nn

from sercli.nn.layer import recurrent_layers
from sercli.nn.recurrence.backend import chosen_backend, refuse_if_asked_for, was_said
from sercli.nn.recurrence.cpp import fused
from sercli.nn.recurrence.cpp.build import NoKernelError, capability


def describe(model: nn.Module, device: str = "cpu") -> str:
    """Say in one line which backend will run, and if it is not the fused kernel, why.

    Raises:
        RequestError: The fused kernel was asked for by name and cannot be had.
    """
    if chosen_backend() == "eager":
        return "eager"
    reasons = why_not_fused(model, device)
    was_said(reasons)
    return f"eager ({'; '.join(reasons)})" if reasons else f"cpp ({capability()})"


def why_not_fused(model: nn.Module, device: str = "cpu") -> list[str]:
    """Say what keeps layers of a model from the fused kernel: nothing, if all can run in it.

    What has to be compiled for them is compiled, so that processes started later find it.

    Raises:
        RequestError: The fused kernel was asked for by name and cannot be had.
    """
    reasons: dict[str, None] = {}
    for layer in recurrent_layers(model):
        for activation in layer.activations.values():
            try:
                fused.prepare(layer.cell, activation, device)
            except NoKernelError as error:
                refuse_if_asked_for(error)
                reasons[str(error)] = None
    return list(reasons)
