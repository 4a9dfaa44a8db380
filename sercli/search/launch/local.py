"""Workers of a sweep as processes of this machine."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import wait

from sercli.processes import available_cores, start_worker
from sercli.progress import SILENT, Progress
from sercli.search.order import WorkOrder

RESTARTS = 5
"""How often one worker that was killed is started again (our choice: a sweep of days outlives a
few bad moments of a shared machine; what kills a worker time after time would do so for ever)."""

LEAVE_SECONDS = 10.0
"""How long a worker may take to hand its point back and end (our choice)."""

_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Ended:
    """How the workers ended.

    Attributes:
        statuses: Exit status of each; a negative one is the signal that killed it at last.
        stopped: Whether they were asked to leave by SIGTERM.
    """

    statuses: tuple[int, ...]
    stopped: bool


def share(order: WorkOrder, workers: int, gpus: Sequence[str] = ()) -> list[WorkOrder]:
    """Divide this machine among workers.

    Unless the order says how many processes each has, it is its share of the cores, or one where
    there are GPUs. Where the order has a name, they are numbered.

    Args:
        order: What all of them are told.
        workers: How many.
        gpus: GPUs of the machine that they use.

    Returns:
        The order of each worker.
    """
    cores = 1 if gpus else available_cores()
    return [
        replace(
            order,
            crew=order.crew or max(1, (cores + workers - 1 - place) // workers),
            name=f"{order.name}-{place + 1}" if order.name and workers > 1 else order.name,
        )
        for place in range(workers)
    ]


def run_local(
    target: Callable[[WorkOrder], int],
    orders: Sequence[WorkOrder],
    *,
    gpus: Sequence[str] = (),
    watch: Callable[[], None] = lambda: None,
    progress: Progress = SILENT,
) -> Ended:
    """Run one worker for each order, and return when all have ended.

    A worker that is killed is started again, at most `RESTARTS` times; one that ends by itself is
    not. SIGTERM is passed on: each worker then has its grace to finish. At an exception, as of
    Ctrl-C, the workers leave at once. Call it in the main thread: no other can listen for SIGTERM.

    Args:
        target: What a worker does, a function of a module; it returns the exit status. SIGTERM
            asks it to leave within its grace, SIGUSR2 after that at once.
        orders: What each is told.
        gpus: Names for CUDA_VISIBLE_DEVICES; each worker sees one, in turn.
        watch: Called about twice a second.
        progress: Told when a worker is killed.
    """
    seats: list[_Seat] = []
    with _sigterm_noted() as asked:
        try:
            for place, order in enumerate(orders):
                seats.append(_Seat(f"worker {place + 1}", target, order, _one_of(gpus, place)))
            while not asked and (busy := [seat for seat in seats if seat.goes_on(progress)]):
                wait([seat.process.sentinel for seat in busy], _LOOK_SECONDS)
                watch()
            if asked:
                _let_leave(seats, progress)
        finally:
            _leave_at_once(seats)
    return Ended(tuple(seat.process.exitcode or 0 for seat in seats), bool(asked))


class _Seat:
    """The place of one worker, whose process changes when it is killed."""

    def __init__(
        self,
        name: str,
        target: Callable[[WorkOrder], int],
        order: WorkOrder,
        environment: Mapping[str, str],
    ) -> None:
        self._name = name
        self._start = partial(start_worker, target, order, environment=environment)
        self._restarts_left = RESTARTS
        self.grace = order.grace
        self.process = self._start()

    def goes_on(self, progress: Progress) -> bool:
        """Whether the worker works; one that was killed is started again."""
        status = self.process.exitcode
        if status is None:
            return True
        if status >= 0 or status == -signal.SIGTERM or self._restarts_left < 0:
            return False
        what = f"{self._name} was killed ({signal.Signals(-status).name}; out of memory?)"
        self._restarts_left -= 1
        if self._restarts_left < 0:
            progress.note(f"{what} once more and is given up; perhaps give fewer --workers")
            return False
        progress.note(f"{what} and is started again ({RESTARTS - self._restarts_left}/{RESTARTS})")
        self.process = self._start()
        return True

    def ask(self, number: signal.Signals) -> None:
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, number)


def _let_leave(seats: Sequence[_Seat], progress: Progress) -> None:
    """Ask the workers to leave, and wait as long as they may take."""
    grace = max(seat.grace for seat in seats)
    progress.note(f"asked to stop: the workers finish their folds, for at most {grace:.0f} s")
    for seat in seats:
        seat.ask(signal.SIGTERM)
    _wait_for(seats, grace + LEAVE_SECONDS)


def _leave_at_once(seats: Sequence[_Seat]) -> None:
    """Let whoever is still there hand its point back and no more, then end it."""
    for number in (signal.SIGTERM, signal.SIGUSR2):  # the same signal twice would arrive as one
        for seat in seats:
            seat.ask(number)
    _wait_for(seats, LEAVE_SECONDS)
    for seat in seats:
        seat.process.kill()
        seat.process.join()


def _wait_for(seats: Sequence[_Seat], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for seat in seats:
        seat.process.join(max(0.0, deadline - time.monotonic()))


def _one_of(gpus: Sequence[str], place: int) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]} if gpus else {}


@contextmanager
def _sigterm_noted() -> Iterator[list[int]]:
    """Give a list that stays empty until SIGTERM comes."""
    asked: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)
