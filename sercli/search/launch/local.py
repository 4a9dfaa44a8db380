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

RESTARTS = 5
"""How often one worker that was killed is started again (our choice: a sweep of days outlives a
few bad moments of a shared machine; what kills a worker time after time would do so for ever)."""

LEAVE_SECONDS = 10.0
"""How long a worker may take to hand its point back and end (our choice)."""

_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class WorkerExits:
    """How the workers ended.

    Attributes:
        statuses: Exit status of each; a negative one is the signal that killed it at last.
        stopped: Whether they were asked to leave by SIGTERM.
    """

    statuses: tuple[int, ...]
    stopped: bool


def share(options: WorkerOptions, workers: int, gpus: Sequence[str] = ()) -> list[WorkerOptions]:
    """Divide this machine among workers.

    Unless the options say how many processes each has, it is its share of the cores, or one where
    there are GPUs. Where the options have a name, they are numbered.

    Args:
        options: Options common to all workers.
        workers: How many.
        gpus: GPUs of the machine that they use.

    Returns:
        The options of each worker.
    """
    cores = 1 if gpus else available_cores()
    return [
        replace(
            options,
            fold_workers=options.fold_workers or max(1, (cores + workers - 1 - place) // workers),
            name=f"{options.name}-{place + 1}" if options.name and workers > 1 else options.name,
        )
        for place in range(workers)
    ]


def run_local(
    target: Callable[[WorkerOptions], int],
    workers: Sequence[WorkerOptions],
    *,
    gpus: Sequence[str] = (),
    watch: Callable[[], None] = lambda: None,
    progress: Progress = SILENT,
) -> WorkerExits:
    """Run the workers, and return when all have ended.

    A worker that is killed is started again, at most `RESTARTS` times; one that ends by itself is
    not. SIGTERM is passed on: each worker then has its grace to finish. At an exception, as of
    Ctrl-C, the workers leave at once. Call it in the main thread: no other can listen for SIGTERM.

    Args:
        target: What a worker does, a function of a module; it returns the exit status. SIGTERM
            asks it to leave within its grace, SIGUSR2 after that at once.
        workers: The options of each worker.
        gpus: Names for CUDA_VISIBLE_DEVICES; each worker sees one, in turn.
        watch: Called about twice a second.
        progress: Told when a worker is killed.
    """
    slots: list[_WorkerSlot] = []
    with _sigterm_noted() as asked:
        try:
            for place, options in enumerate(workers):
                slots.append(
                    _WorkerSlot(f"worker {place + 1}", target, options, _one_of(gpus, place))
                )
            while not asked and (busy := [slot for slot in slots if slot.goes_on(progress)]):
                wait([slot.process.sentinel for slot in busy], _LOOK_SECONDS)
                watch()
            if asked:
                _let_leave(slots, progress)
        finally:
            _leave_at_once(slots)
    return WorkerExits(tuple(slot.process.exitcode or 0 for slot in slots), bool(asked))


class _WorkerSlot:
    """The place of one worker, whose process changes when it is killed."""

    def __init__(
        self,
        name: str,
        target: Callable[[WorkerOptions], int],
        options: WorkerOptions,
        environment: Mapping[str, str],
    ) -> None:
        self._name = name
        self._start = partial(start_worker, target, options, environment=environment)
        self._restarts_left = RESTARTS
        self.grace = options.grace
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


def _let_leave(slots: Sequence[_WorkerSlot], progress: Progress) -> None:
    """Ask the workers to leave, and wait as long as they may take."""
    grace = max(slot.grace for slot in slots)
    progress.note(f"asked to stop: the workers finish their folds, for at most {grace:.0f} s")
    for slot in slots:
        slot.ask(signal.SIGTERM)
    _wait_for(slots, grace + LEAVE_SECONDS)


def _leave_at_once(slots: Sequence[_WorkerSlot]) -> None:
    """Let whoever is still there hand its point back and no more, then end it."""
    for number in (signal.SIGTERM, signal.SIGUSR2):  # the same signal twice would arrive as one
        for slot in slots:
            slot.ask(number)
    _wait_for(slots, LEAVE_SECONDS)
    for slot in slots:
        slot.process.kill()
        slot.process.join()


def _wait_for(slots: Sequence[_WorkerSlot], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for slot in slots:
        slot.process.join(max(0.0, deadline - time.monotonic()))


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
