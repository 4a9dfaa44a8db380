"""Worker processes that stop when the program that started them does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any

_REQUESTS = (signal.SIGINT, signal.SIGTERM)
"""What a user or a scheduler sends to ask a program to stop."""


_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Processor time that a container may use, and in what time (cgroup 2), in microseconds."""


def available_cores() -> int:
    """Return how many cores this process may use.

    A container with a quota sees all cores of its machine, and may use no more than that.
    """
    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        used, period = map(int, _QUOTA.read_text().split())
    except (OSError, ValueError):  # no container, or one without a quota: "max"
        return seen
    return max(1, min(seen, used // period))


def worker_pool(
    workers: int, prepare: Callable[..., None] | None = None, *given: Any
) -> ProcessPoolExecutor:
    """Start a pool of fresh processes.

    Each is spawned, not forked, because a fork copies the locks of torch's threads but not the
    threads. Ctrl-C and SIGTERM reach only the parent, which decides what to keep, even where a
    scheduler sends them to all processes of a job, as Slurm does; and a worker whose parent was
    killed leaves at once instead of waiting for work for ever.

    Args:
        workers: Number of processes.
        prepare: Called once in each process with ``given``, before its first work.
        given: Arguments of ``prepare``.
    """
    pool = ProcessPoolExecutor(
        workers,
        mp_context=_DeafContext(),
        initializer=_start,
        initargs=(prepare, given),
    )
    try:
        with _held_back(*_REQUESTS):  # a process inherits that: it is deaf from its first moment
            for _ in range(workers):
                pool.submit(int)
    except BaseException:  # the interrupt that was held back
        stop_workers(pool)
        raise
    return pool


class _DeafProcess(SpawnProcess):
    """Does not hear SIGTERM, so that its parent has to end it otherwise."""

    terminate = SpawnProcess.kill


class _DeafContext(SpawnContext):
    Process = _DeafProcess


def start_worker(
    work: Callable[..., int], *given: Any, environment: Mapping[str, str] | None = None
) -> SpawnProcess:
    """Start one fresh process that works on its own and can have processes of its own.

    Ctrl-C does not reach it, SIGTERM does. It leaves when its parent is killed.

    Args:
        work: Called with ``given``; what it returns is the exit status.
        given: Its arguments.
        environment: Variables that the process has besides those of this one.
    """
    process = multiprocessing.get_context("spawn").Process(
        target=_work, args=(work, given, dict(environment or {}))
    )
    try:
        with _held_back(signal.SIGINT):
            process.start()
    except BaseException:  # the interrupt that was held back
        if process.pid is not None:
            process.kill()
        raise
    return process


def _work(work: Callable[..., int], given: tuple[Any, ...], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    _follow_parent(signal.SIGINT)
    sys.exit(work(*given))


@contextmanager
def _held_back(*requests: signal.Signals) -> Iterator[None]:
    """Let signals wait until the block is done; a process that starts in it never gets them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, requests)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(prepare: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    _follow_parent(*_REQUESTS)
    if prepare is not None:
        prepare(*given)


def _follow_parent(*deaf_to: signal.Signals) -> None:
    for number in deaf_to:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def stop_workers(pool: ProcessPoolExecutor) -> None:
    """Stop a pool's processes in the middle of their work."""
    for process in list((pool._processes or {}).values()):  # public from Python 3.14 on
        process.terminate()
