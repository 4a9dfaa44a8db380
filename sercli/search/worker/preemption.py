"""Preemption: a scheduler's signals as requests to shut a worker down in time."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from sercli.errors import Interrupted

_SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
"""The signals of Slurm, Kubernetes and submitit to a process that is to exit."""

_ECHO_SECONDS = 2.0
"""Time within which the same signal is the same request: a scheduler that signals all processes of
a job reaches a worker directly, and once more by the command that started it."""


class GraceExpired(Interrupted):
    """The grace time to finish a fold is over."""


class ShutdownRequest:
    """A request to shut this worker down, once a signal has arrived.

    Args:
        grace: Seconds to finish a fold.

    Attributes:
        requested: True once a signal has arrived.
    """

    def __init__(self, grace: float) -> None:
        self.requested = False
        self._grace = grace
        self._first = (0, 0.0)

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: start the grace time, or end it at a second one."""
        first_number, first_time = self._first
        now = time.monotonic()
        if self.requested and number == first_number and now - first_time < _ECHO_SECONDS:
            return
        if self.requested or self._grace <= 0:
            self.requested = True
            raise GraceExpired
        self.requested, self._first = True, (number, now)
        signal.setitimer(signal.ITIMER_REAL, self._grace)

    def disarm(self) -> None:
        """Ignore signals from now on: the fold is finished or discarded."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def shutdown_on_signal(grace: float) -> Iterator[ShutdownRequest]:
    """Take SIGTERM and SIGUSR2 as requests to shut down; restore their handlers at the end.

    Args:
        grace: Seconds to finish a fold; then `GraceExpired` is raised.
    """
    request = ShutdownRequest(grace)
    handlers: dict[signal.Signals, Any] = {
        number: signal.signal(number, request.receive) for number in _SIGNALS
    }
    handlers[signal.SIGALRM] = signal.signal(signal.SIGALRM, _expire)
    try:
        yield request
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _expire(number: int, frame: FrameType | None) -> None:
    raise GraceExpired
