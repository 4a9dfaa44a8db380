"""A pool of processes that train folds in parallel, one core each.

A small recurrent network gains nothing from a second thread, and on a busy machine it loses
most of its time waiting for it. So the cores train different folds, each on one thread: a result
then depends on its seed alone, not on the machine's number of cores.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from sercli.config.schema import Config
from sercli.errors import SercliError
from sercli.models import is_fitted
from sercli.nn.device import device_name
from sercli.processes import (
    available_cores,
    possible_workers,
    start_thread,
    stop_workers,
    worker_pool,
    worker_queue,
)
from sercli.progress import SILENT, Progress
from sercli.results.fold_result import write_fold_result
from sercli.results.folds import Fold
from sercli.training.data import Data
from sercli.training.initial_weights import FoldWeights
from sercli.training.svm_fit import fit_fold, fit_trial
from sercli.training.trainer import train_fold, train_to_step

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class FoldJob:
    """A fold run to train.

    Attributes:
        config: The configuration.
        fold: The fold.
        seed: The seed.
        folder: The folder of the result.
        steps: Steps to train without selection, or the number of the trial to fit; None: select
            on dev.
        initial: Initial weights; None: random ones.
    """

    config: Config
    fold: Fold
    seed: int
    folder: Path
    steps: int | None = None
    initial: FoldWeights | None = None


@dataclass(frozen=True)
class Outcome:
    """The outcome of a fold run: True if it diverged, and its UA or CCC on dev."""

    diverged: bool
    dev_score: float


Finished = Callable[[FoldJob, Outcome], None]


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
    ) -> None:
        """Train folds and write each result to its folder.

        If one diverges, the other folds of its seed are skipped, since the seed then has no
        result. Those of other seeds go on.

        Args:
            jobs: The fold runs.
            progress: Progress bar.
            finished: Called in this process after each result is written. If it raises, no further
                fold is begun.

        Raises:
            SercliError: A worker was killed; finished folds are kept.
        """
        total = sum(_steps(job) for job in jobs)
        if not jobs:
            return
        with progress.task(f"training {len(jobs)} folds × seeds, steps", total) as task:
            workers = possible_workers(min(self._workers, len(jobs)), progress.note_once)
            if workers == 1:
                self._train_here(jobs, task.advance, finished)
            else:
                self._train_in_workers(jobs, workers, task.advance, finished)

    def _train_here(
        self, jobs: Sequence[FoldJob], stepped: Callable[[int], None], finished: Finished
    ) -> None:
        torch.set_num_threads(1)
        diverged: set[int] = set()
        for job in jobs:
            if job.seed not in diverged:
                outcome = _train_and_write(job, self._data, stepped)
                if outcome.diverged:
                    diverged.add(job.seed)
                finished(job, outcome)

    def _train_in_workers(
        self,
        jobs: Sequence[FoldJob],
        workers: int,
        stepped: Callable[[int], None],
        finished: Finished,
    ) -> None:
        pool = self._open(workers)
        try:
            with _reporting_steps(self._steps, stepped):
                futures = {pool.submit(_train_in_worker, job): job for job in jobs}
                try:
                    for future in as_completed(futures):
                        if not future.cancelled():
                            _take(futures[future], future.result(), futures, finished)
                except BaseException as error:
                    for future in futures:
                        future.cancel()
                    if isinstance(error, Exception):  # else there is no time: they are stopped
                        wait(futures)
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


def _take(
    job: FoldJob,
    outcome: Outcome,
    futures: Mapping[Future[Outcome], FoldJob],
    finished: Finished,
) -> None:
    if outcome.diverged:
        for other, its in futures.items():
            if its.seed == job.seed:
                other.cancel()
    finished(job, outcome)


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

    listener = start_thread(listen)
    try:
        yield
    finally:
        done.set()
        listener.join()
        _drain(steps, stepped)


def _drain(steps: SimpleQueue[int], stepped: Callable[[int], None]) -> None:
    while not steps.empty():
        stepped(steps.get())


def _steps(job: FoldJob) -> int:
    if job.steps is None:
        return job.config.trainer.steps
    return 1 if is_fitted(job.config.model) else job.steps


def _train_and_write(job: FoldJob, data: Data, stepped: Callable[[int], None]) -> Outcome:
    started = time.perf_counter()
    given = (job.config, data, job.fold, job.seed)
    if is_fitted(job.config.model):
        if job.steps is None:
            result = fit_fold(*given, stepped)
        else:
            result = fit_trial(*given, job.steps, stepped)
    elif job.steps is None:
        result = train_fold(*given, stepped, job.initial)
    else:
        result = train_to_step(*given, job.steps, stepped, job.initial)
    write_fold_result(job.folder, replace(result, seconds=time.perf_counter() - started))
    return Outcome(result.diverged_at is not None, result.dev_score)


_worker: tuple[Data, SimpleQueue[int]]


def _prepare_worker(data: Data, steps: SimpleQueue[int]) -> None:
    global _worker  # noqa: PLW0603 - a process pool has no other place for what workers share
    torch.set_num_threads(1)
    logging.getLogger("sercli").setLevel(logging.ERROR)  # the parent warns, once for all
    _worker = data, steps


def _train_in_worker(job: FoldJob) -> Outcome:
    data, steps = _worker
    return _train_and_write(job, data, steps.put)
