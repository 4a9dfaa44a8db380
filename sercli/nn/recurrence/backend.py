"""Which backend the loops over time run in."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from sercli.errors import RequestError, nearest
from sercli.nn.recurrence.cpp.build import NoKernelError

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
    refuse_if_asked_for(error)
    if error.worth_saying and str(error) not in _said:
        _said.add(str(error))
        _log.warning("recurrence runs in eager: %s", error)


def refuse_if_asked_for(error: NoKernelError) -> None:
    """Refuse to fall back where the fused kernel was asked for by name.

    Raises:
        RequestError: It was.
    """
    if _chosen == "cpp":
        raise RequestError(f"recurrence.backend=cpp: {error} (auto runs it in eager)") from None


def was_said(reasons: Iterable[str]) -> None:
    """Remember that the user knows why something runs in eager."""
    _said.update(reasons)
