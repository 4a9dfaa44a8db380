"""A pool of processes that train folds in parallel, one core each.

A small recurrent network gains nothing from a second thread, and on a busy machine it loses
most of its time waiting for it. So the cores train different folds, each on one thread: a result
then depends on its seed alone, not on the machine's number of cores.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from sercli.config.schema import Config
from sercli.errors import SercliError
from sercli.processes import (
    available_cores,
    possible_workers,
    stop_workers,
    worker_pool,
    worker_queue,
)
from sercli.progress import SILENT, Progress
from sercli.results.fold_result import FoldResult, read_fold_result, write_fold_result
from sercli.training.data import Data
from sercli.training.device import device_name
from sercli.training.stacks import Failed, Finished, FoldJob, Outcome, Stacks, raise_error
from sercli.training.svm_fit import fit_fold, is_fitted
from sercli.training.together import train_together
from sercli.training.trainer import train_fold

_POLL_SECONDS = 0.1


def pool_size(config: Config, workers: int | None) -> int:
    """Return ``workers``, or as many as there are cores; on a GPU one."""
    if workers is not None:
        return workers
    return 1 if device_name(config.device).startswith("cuda") else available_cores()


class FoldPool:
    """Trains folds, in this process or in several; a context manager.

    Args:
        data: The corpus of all folds.
        workers: Maximum number of processes; with 1, and for a single fold, training is done in
            this one.
    """

    def __init__(self, data: Data, workers: int = 1) -> None:
        self._data = data
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._processes = 0
        self._steps: SimpleQueue[int]

    def __enter__(self) -> Self:
        """Start no worker before the first job."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Shut the workers down; at an error, without waiting for their folds."""
        self._close(at_once=kind is not None)

    def train(
        self,
        jobs: Sequence[FoldJob],
        progress: Progress = SILENT,
        finished: Finished = lambda job, outcome: None,
        *,
        failed: Failed = raise_error,
        wanted: Callable[[FoldJob], bool] = lambda job: True,
    ) -> None:
        """Train folds and write each result to its folder.

        Fold runs of several configurations that read the same batches are trained together, if
        their models have one structure (`sercli.training.together`). If one diverges, the other
        folds of its seed are skipped, since the seed then has no result. Those of other seeds go
        on.

        Args:
            jobs: The fold runs.
            progress: Progress bar.
            finished: Called in this process after each result is written. If it raises, no further
                fold is begun.
            failed: Called with the error of a fold run that cannot be trained; it may raise it.
            wanted: Asked before a fold is begun; False: the fold is left out.

        Raises:
            SercliError: A worker was killed; finished folds are kept.
        """
        total = sum(job.config.trainer.steps for job in jobs)
        if not jobs:
            return
        stacks = Stacks(jobs, self._workers, finished, failed, wanted, progress)
        with progress.task(f"training {len(jobs)} folds × seeds, steps", total) as task:
            workers = min(self._workers, len(stacks))
            if possible_workers(workers, progress.note_once) == 1:
                self._train_here(stacks, task.advance)
            else:
                self._train_in_workers(stacks, workers, task.advance)

    def _train_here(self, stacks: Stacks, stepped: Callable[[int], None]) -> None:
        torch.set_num_threads(1)
        while stack := stacks.take():
            try:
                outcomes = _train_and_write(stack, self._data, stepped)
            except Exception as error:
                stacks.failed(stack, error)
            else:
                stacks.finished(stack, outcomes)

    def _train_in_workers(
        self, stacks: Stacks, workers: int, stepped: Callable[[int], None]
    ) -> None:
        pool = self._open(workers)
        running: dict[Future[list[Outcome]], list[FoldJob]] = {}
        try:
            with _reporting_steps(self._steps, stepped):
                try:
                    while True:
                        while len(running) < workers and (stack := stacks.take()):
                            running[pool.submit(_train_in_worker, stack)] = stack
                        if not running:
                            break
                        for future in wait(running, return_when=FIRST_COMPLETED).done:
                            stacks.receive(running.pop(future), future)
                except BaseException as error:
                    if isinstance(error, Exception):  # else there is no time: they are stopped
                        wait(running)
                    raise
        except BrokenProcessPool:
            self._close()  # it takes no more work; the next orders start another
            raise SercliError(
                "a training process was killed (out of memory?); finished folds are kept: "
                "run the same command again, perhaps with fewer --workers"
            ) from None

    def _open(self, processes: int) -> ProcessPoolExecutor:
        """Return a pool of at least ``processes``: none is started that has nothing to do."""
        if self._pool is None or self._processes < processes:
            self._close()
            self._steps = worker_queue()
            self._pool = worker_pool(processes, _prepare_worker, self._data, self._steps)
            self._processes = processes
        return self._pool

    def _close(self, *, at_once: bool = False) -> None:
        if self._pool is not None:
            if at_once:
                stop_workers(self._pool)
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


@contextmanager
def _reporting_steps(steps: SimpleQueue[int], stepped: Callable[[int], None]) -> Iterator[None]:
    """Advance the progress bar as the workers report steps.

    The queue is polled: a killed worker may die holding its write lock, so that no end marker
    could be put there.
    """
    done = threading.Event()

    def listen() -> None:
        while not done.wait(_POLL_SECONDS):
            _drain(steps, stepped)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield
    finally:
        done.set()
        listener.join()
        _drain(steps, stepped)


def _drain(steps: SimpleQueue[int], stepped: Callable[[int], None]) -> None:
    while not steps.empty():
        stepped(steps.get())


def _train_and_write(
    stack: Sequence[FoldJob], data: Data, stepped: Callable[[int], None]
) -> list[Outcome]:
    """Train fold runs that read the same batches; those that have a result are not repeated."""
    outcomes: dict[Path, Outcome] = {}

    def write(job: FoldJob, result: FoldResult) -> None:
        write_fold_result(job.folder, result)
        outcomes[job.folder] = Outcome(result.diverged_at is not None, result.dev_ua, len(waiting))

    waiting = [job for job in stack if not job.folder.is_dir()]
    for job in stack:
        if job not in waiting:  # it left a stack that failed afterwards
            result = read_fold_result(job.folder)
            outcomes[job.folder] = Outcome(
                result.diverged_at is not None, result.dev_ua, len(stack)
            )
    if waiting and is_fitted(waiting[0].config):
        for job in waiting:
            write(job, _timed(fit_fold, job, data, stepped))
    elif len(waiting) == 1:
        write(waiting[0], _timed(train_fold, waiting[0], data, stepped))
    elif waiting:
        first = waiting[0]
        configs = [job.config for job in waiting]
        train_together(
            configs, data, first.fold, first.seed, lambda i, made: write(waiting[i], made), stepped
        )
    return [outcomes[job.folder] for job in stack]


def _timed(
    train: Callable[..., FoldResult], job: FoldJob, data: Data, stepped: Callable[[int], None]
) -> FoldResult:
    started = time.perf_counter()
    result = train(job.config, data, job.fold, job.seed, stepped)
    return replace(result, seconds=time.perf_counter() - started)


_worker: tuple[Data, SimpleQueue[int]]


def _prepare_worker(data: Data, steps: SimpleQueue[int]) -> None:
    global _worker  # noqa: PLW0603 - a process pool has no other place for what workers share
    torch.set_num_threads(1)
    logging.getLogger("sercli").setLevel(logging.ERROR)  # the parent warns, once for all
    _worker = data, steps


def _train_in_worker(stack: Sequence[FoldJob]) -> list[Outcome]:
    data, steps = _worker
    return _train_and_write(stack, data, steps.put)
