"""The backends of the loop over time: choose one, run in it, describe it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from sercli.errors import RequestError, nearest
from sercli.nn.recurrence import eager, onnx_operators, scan
from sercli.nn.recurrence.cpp import fused as cpp
from sercli.nn.recurrence.cpp.build import NoKernelError, capability
from sercli.nn.recurrence.operands import Cell, Recurrence, Unrolled
from sercli.nn.recurrence.triton import fused as triton

BACKENDS = ("auto", "eager", "cpp", "triton")
"""``eager``: plain PyTorch, anywhere. ``cpp``: the fused CPU kernel. ``triton``: the fused GPU
kernels. ``auto``: the fused kernel of the device where it can run, else eager."""

_FUSED = {"cpp": cpp, "triton": triton}

_log = logging.getLogger("sercli")
_chosen = "auto"
_exported: dict[int, onnx_operators.OnnxActivation] | None = None
_reported: set[str] = set()


def use_backend(name: str) -> None:
    """Choose the backend of this process.

    Raises:
        RequestError: There is no backend of that name.

    >>> from sercli.nn import use_backend
    >>> use_backend("auto")
    """
    global _chosen  # noqa: PLW0603 - one setting of the process, as torch.set_num_threads
    if name not in BACKENDS:
        raise RequestError(f"recurrence.backend={name}: unknown.{nearest(name, BACKENDS)}")
    _chosen = name


def runs_fused_on_cpu() -> bool:
    """Return true if operations on the CPU may run in the fused kernel."""
    return _chosen in ("auto", "cpp") and _exported is None


def chosen_backend() -> str:
    """Return the backend of this process: one of `BACKENDS`."""
    return _chosen


@contextmanager
def exported(network: nn.Module) -> Iterator[None]:
    """Run every recurrence as one operator within the block, so that a network can be exported."""
    global _exported  # noqa: PLW0603 - as use_backend
    _exported = onnx_operators.onnx_activations(network)
    try:
        yield
    finally:
        _exported = None


def recur(cell: Cell, recurrences: Sequence[Recurrence]) -> list[Unrolled]:
    """Run a cell over several independent batches, each with weights of its own.

    Every recurrent layer runs through this function.

    Args:
        cell: The cell.
        recurrences: The batches; their shapes may differ.

    Returns:
        The states of each, in the same order.

    Raises:
        RequestError: An activation does not fit the states, or the fused kernel was requested by
            name and is not available.
    """
    if _exported is not None:
        return scan.unroll(cell, recurrences, _exported)
    if chosen_backend() != "eager":
        try:
            device = recurrences[0].weights.hidden.device if recurrences else "cpu"
            unrolled: list[Unrolled] = _FUSED[_fused_for(device)].run(cell, recurrences)
            return unrolled
        except NoKernelError as error:
            _fall_back(error)
    return eager.unroll(cell, recurrences)


def describe_backend(model: nn.Module, device: str = "cpu") -> str:
    """Describe in one line the backend of a model and, if it is not the fused kernel, the reason.

    Raises:
        RequestError: The fused kernel was requested by name and is not available.
    """
    if chosen_backend() == "eager":
        return "eager"
    reasons = why_not_fused(model, device)
    _reported.update(reasons)
    if reasons:
        return f"eager ({'; '.join(reasons)})"
    if _fused_for(device) == "cpp":
        return f"cpp ({capability()})"
    return f"triton ({torch.cuda.get_device_name(device) if device != 'cpu' else 'interpreted'})"


def why_not_fused(model: nn.Module, device: str = "cpu") -> list[str]:
    """Return the reasons why layers of a model cannot run in the fused kernel; none: all can.

    This compiles their kernels, so that processes started later find them.

    Raises:
        RequestError: The fused kernel was requested by name and is not available.
    """
    reasons: dict[str, None] = {}
    for layer in model.modules():
        if not isinstance(cell := getattr(layer, "cell", None), Cell):
            continue  # no RecurrentLayer, a class that this module cannot import
        for activation in layer.get_submodule("activations").children():
            try:
                _FUSED[_fused_for(device)].prepare(cell, activation, device)
            except NoKernelError as error:
                _refuse_if_requested(error)
                reasons[str(error)] = None
    return list(reasons)


def _fused_for(device: torch.device | str) -> str:
    """Return the fused backend to try on a device: ``cpp`` or ``triton``."""
    if _chosen in _FUSED:
        return _chosen
    return "triton" if torch.device(device).type == "cuda" else "cpp"


def _fall_back(error: NoKernelError) -> None:
    """Warn once that the loop runs in eager."""
    _refuse_if_requested(error)
    if error.worth_saying and str(error) not in _reported:
        _reported.add(str(error))
        _log.warning("recurrence runs in eager: %s", error)


def _refuse_if_requested(error: NoKernelError) -> None:
    if _chosen in _FUSED:
        message = f"recurrence.backend={_chosen}: {error} (auto runs it in eager)"
        raise RequestError(message) from None
