"""Device and precision of a model."""

from __future__ import annotations

import torch

from sercli.errors import RequestError


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; see `device_name` for ``auto``.

    Raises:
        RequestError: There is no such device on this machine.
    """
    try:
        return torch.empty(0, device=device_name(name)).device
    except (RuntimeError, AssertionError) as error:
        raise RequestError(f"device={name} is not available here; try auto, cpu or cuda") from error


def device_name(name: str) -> str:
    """Return ``name``; for ``auto`` a GPU where there is one, else the CPU."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def describe_device(name: str) -> str:
    """Return the type of the device ``name`` on this machine, and the name of a GPU."""
    device = choose_device(name)
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the autocast context of a forward pass.

    Args:
        device: Device of the model.
        precision: ``float32``, or ``bf16``: products in bfloat16. Weights, gradients, the
            optimiser and the states of recurrences stay in float32 with both.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
