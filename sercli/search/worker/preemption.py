"""Leaving in time: what a scheduler's signal means to a worker."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from sercli.errors import Interrupted

_SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
"""What Slurm, Kubernetes and submitit send to a process that shall leave."""


class GraceExpired(Interrupted):
    """The time that a worker had to finish its fold is over."""


_ECHO_SECONDS = 2.0
"""How long the same signal is taken for the same wish: a scheduler that signals all processes of a
job reaches a worker directly, and once more by the command that started it."""


class ShutdownRequest:
    """Whether this worker was asked to leave.

    Args:
        grace: Seconds that a fold may then still take.

    Attributes:
        requested: True once a signal has arrived.
    """

    def __init__(self, grace: float) -> None:
        self.requested = False
        self._grace = grace
        self._first = (0, 0.0)

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Let the fold be finished within the grace time; asked again, give it up at once."""
        signal_before, when = self._first
        now = time.monotonic()
        if self.requested and number == signal_before and now - when < _ECHO_SECONDS:
            return
        if self.requested or self._grace <= 0:
            self.requested = True
            raise GraceExpired
        self.requested, self._first = True, (number, now)
        signal.setitimer(signal.ITIMER_REAL, self._grace)

    def disarm(self) -> None:
        """The fold is finished or given up: from now on nothing interrupts."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def shutdown_on_signal(grace: float) -> Iterator[ShutdownRequest]:
    """Take a scheduler's signals as the wish that this worker leaves soon.

    Args:
        grace: Seconds that a fold may still take; then `GraceExpired` is raised.
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
