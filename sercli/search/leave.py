"""Leaving in time: what a scheduler's signal means to a worker."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from sercli.errors import Interrupted

_ASKING = (signal.SIGTERM, signal.SIGUSR2)
"""What Slurm, Kubernetes and submitit send to a process that shall leave."""


class TimeIsUp(Interrupted):
    """The time that a worker had to finish its fold is over."""


_ECHO_SECONDS = 2.0
"""How long the same signal is taken for the same wish: a scheduler that signals all processes of a
job reaches a worker directly, and once more by the command that started it."""


class Leave:
    """Whether this worker was asked to leave.

    Args:
        grace: Seconds that a fold may then still take.

    Attributes:
        asked: Whether it was.
    """

    def __init__(self, grace: float) -> None:
        self.asked = False
        self._grace = grace
        self._first = (0, 0.0)

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Let the fold be finished within the grace time; asked again, give it up at once."""
        signal_before, when = self._first
        now = time.monotonic()
        if self.asked and number == signal_before and now - when < _ECHO_SECONDS:
            return
        if self.asked or self._grace <= 0:
            self.asked = True
            raise TimeIsUp
        self.asked, self._first = True, (number, now)
        signal.setitimer(signal.ITIMER_REAL, self._grace)

    def wound_up(self) -> None:
        """The fold is finished or given up: from now on nothing interrupts."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in _ASKING:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def asked_to_leave(grace: float) -> Iterator[Leave]:
    """Take a scheduler's signals as the wish that this worker leaves soon.

    Args:
        grace: Seconds that a fold may still take; then `TimeIsUp` is raised.
    """
    leave = Leave(grace)
    handlers: dict[signal.Signals, Any] = {
        number: signal.signal(number, leave.ask) for number in _ASKING
    }
    handlers[signal.SIGALRM] = signal.signal(signal.SIGALRM, _time_is_up)
    try:
        yield leave
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _time_is_up(number: int, frame: FrameType | None) -> None:
    raise TimeIsUp
