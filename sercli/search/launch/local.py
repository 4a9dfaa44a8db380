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
from sercli.search.worker.options import WorkerOptions

MAX_RESTARTS = 5
"""Restarts of a worker that is killed (our choice: a sweep of days outlives a few bad moments of a
shared machine; a worker that is killed every time is given up)."""

EXIT_SECONDS = 10.0
"""Time of a worker to requeue its trial and exit (our choice)."""

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class WorkerExits:
    """The ends of the workers.

    Attributes:
        statuses: Exit status of each worker; a negative one is the signal that killed it at last.
        preempted: True if SIGTERM ended them.
    """

    statuses: tuple[int, ...]
    preempted: bool


def share_machine(
    options: WorkerOptions, workers: int, gpus: Sequence[str] = ()
) -> list[WorkerOptions]:
    """Share the cores of this machine among workers.

    Unless the options say otherwise, each worker has its share of the cores as ``fold_workers``, or
    one where there are GPUs. A name in the options is numbered.

    >>> from pathlib import Path
    >>> options = WorkerOptions("study", Path("runs"), fold_workers=2, name="me")
    >>> [worker.name for worker in share_machine(options, 2)]
    ['me-1', 'me-2']

    Args:
        options: The options common to all workers.
        workers: Number of workers.
        gpus: The GPUs that the workers use.

    Returns:
        The options of each worker.
    """
    cores = 1 if gpus else available_cores()
    numbered = options.name is not None and workers > 1
    return [
        replace(
            options,
            fold_workers=options.fold_workers or max(1, (cores + workers - 1 - place) // workers),
            name=f"{options.name}-{place + 1}" if numbered else options.name,
        )
        for place in range(workers)
    ]


def run_workers(
    target: Callable[[WorkerOptions], int],
    workers: Sequence[WorkerOptions],
    *,
    gpus: Sequence[str] = (),
    on_poll: Callable[[], None] = lambda: None,
    progress: Progress = SILENT,
) -> WorkerExits:
    """Run workers, and return when all have exited.

    A worker that is killed is restarted, at most `MAX_RESTARTS` times; one that exits by itself is
    not. SIGTERM is passed on: each worker then has its grace time. At an exception, e.g. Ctrl-C,
    the workers exit at once. Call it in the main thread, which alone can handle SIGTERM.

    Args:
        target: Runs one worker and returns its exit status; a function of a module. It exits within
            the grace time at SIGTERM, and at once at SIGUSR2 after that.
        workers: The options of each worker.
        gpus: Values of CUDA_VISIBLE_DEVICES; each worker gets one, in turn.
        on_poll: Called about twice a second.
        progress: Shows a note when a worker is killed.
    """
    slots: list[_WorkerSlot] = []
    with _record_sigterm() as received:
        try:
            for place, options in enumerate(workers):
                environment = {"CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]} if gpus else {}
                slots.append(_WorkerSlot(f"worker {place + 1}", target, options, environment))
            while not received and (busy := [slot for slot in slots if slot.is_running(progress)]):
                wait([slot.process.sentinel for slot in busy], _POLL_SECONDS)
                on_poll()
            if received:
                _stop_in_time(slots, progress)
        finally:
            _stop_at_once(slots)
    return WorkerExits(tuple(slot.process.exitcode or 0 for slot in slots), bool(received))


class _WorkerSlot:
    """A worker whose process is replaced when it is killed."""

    def __init__(
        self,
        name: str,
        target: Callable[[WorkerOptions], int],
        options: WorkerOptions,
        environment: Mapping[str, str],
    ) -> None:
        self._name = name
        self._start = partial(start_worker, target, options, environment=environment)
        self._restarts_left = MAX_RESTARTS
        self.grace = options.grace
        self.process = self._start()

    def is_running(self, progress: Progress) -> bool:
        """Return True if the worker runs; restart it if it was killed."""
        status = self.process.exitcode
        if status is None:
            return True
        if status >= 0 or status == -signal.SIGTERM or self._restarts_left < 0:
            return False
        killed = f"{self._name} was killed ({signal.Signals(-status).name}; out of memory?)"
        self._restarts_left -= 1
        if self._restarts_left < 0:
            progress.note(f"{killed} once more and is given up; try fewer --workers")
            return False
        restart = MAX_RESTARTS - self._restarts_left
        progress.note(f"{killed} and is restarted ({restart}/{MAX_RESTARTS})")
        self.process = self._start()
        return True

    def send(self, number: signal.Signals) -> None:
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, number)


def _stop_in_time(slots: Sequence[_WorkerSlot], progress: Progress) -> None:
    """Give the workers their grace time."""
    grace = max(slot.grace for slot in slots)
    progress.note(f"stopping: the workers finish their folds, for at most {grace:.0f} s")
    for slot in slots:
        slot.send(signal.SIGTERM)
    _wait_for(slots, grace + EXIT_SECONDS)


def _stop_at_once(slots: Sequence[_WorkerSlot]) -> None:
    """Give the remaining workers time to requeue their trials only, then kill them."""
    for number in (signal.SIGTERM, signal.SIGUSR2):  # the same signal twice would arrive as one
        for slot in slots:
            slot.send(number)
    _wait_for(slots, EXIT_SECONDS)
    for slot in slots:
        slot.process.kill()
        slot.process.join()


def _wait_for(slots: Sequence[_WorkerSlot], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for slot in slots:
        slot.process.join(max(0.0, deadline - time.monotonic()))


@contextmanager
def _record_sigterm() -> Iterator[list[int]]:
    """Yield a list that is empty until SIGTERM arrives."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)
