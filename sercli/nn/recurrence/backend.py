"""Which backend the loops over time run in."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from torch import nn

from sercli.errors import RequestError, nearest
from sercli.nn.recurrence.cpp import fused
from sercli.nn.recurrence.cpp.build import NoKernelError, capability
from sercli.nn.recurrence.operands import Cell

BACKENDS = ("auto", "eager", "cpp")
"""``eager``: plain PyTorch, anywhere. ``cpp``: the fused CPU kernel. ``auto``: the fused kernel
where it can run, else eager."""

_log = logging.getLogger("sercli")
_chosen = "auto"
_said: set[str] = set()


def use_backend(name: str) -> None:
    """Choose the backend of this process.

    Raises:
        RequestError: There is none of that name.
    """
    global _chosen  # noqa: PLW0603 - one setting of the process, as torch.set_num_threads
    if name not in BACKENDS:
        raise RequestError(f"recurrence.backend={name}: unknown.{nearest(name, BACKENDS)}")
    _chosen = name


def chosen_backend() -> str:
    """Return the backend of this process: one of `BACKENDS`."""
    return _chosen


def fall_back(error: NoKernelError) -> None:
    """Say once that something runs in eager because the kernel cannot be had.

    Raises:
        RequestError: The fused kernel was asked for by name.
    """
    _refuse_if_asked_for(error)
    if error.worth_saying and str(error) not in _said:
        _said.add(str(error))
        _log.warning("recurrence runs in eager: %s", error)


def _refuse_if_asked_for(error: NoKernelError) -> None:
    if _chosen == "cpp":
        raise RequestError(f"recurrence.backend=cpp: {error} (auto runs it in eager)") from None


def describe(model: nn.Module, device: str = "cpu") -> str:
    """Say in one line which backend the recurrent layers of a model will run in.

    What has to be compiled for them is compiled, so that processes started later find it. The
    reason why something is not is in the line, and is not said again.

    Raises:
        RequestError: The fused kernel was asked for by name and cannot be had.
    """
    if _chosen == "eager":
        return "eager"
    reasons: dict[str, None] = {}
    for cell, activation in _recurrent(model):
        try:
            fused.prepare(cell, activation, device)
        except NoKernelError as error:
            _refuse_if_asked_for(error)
            reasons[str(error)] = None
    _said.update(reasons)
    if not reasons:
        return f"cpp ({capability()})"
    return f"eager ({'; '.join(reasons)})"


def _recurrent(model: nn.Module) -> Iterator[tuple[Cell, nn.Module]]:
    for module in model.modules():
        cell = getattr(module, "cell", None)
        if isinstance(cell, Cell):
            for activation in getattr(module, "activations", nn.ModuleDict()).values():
                yield cell, activation
