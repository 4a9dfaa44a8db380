"""Worker processes that exit with the process that started them."""

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
"""Signals by which a user or a scheduler stops a program."""


_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""CPU quota and period of a container (cgroup 2), microseconds."""


def available_cores() -> int:
    """Return the number of cores that this process may use.

    A container with a CPU quota sees all cores of its machine; the quota counts.
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
    """Start a pool of processes.

    They are spawned, not forked: a fork copies the locks of torch's threads but not the threads.
    They ignore SIGINT and SIGTERM, which a terminal or Slurm sends to all processes of a job, and
    leave the decision what to keep to the parent. They exit when the parent dies.

    Args:
        workers: Number of processes.
        prepare: Initialiser, called once in each process with ``given``.
        given: Arguments of ``prepare``.
    """
    pool = ProcessPoolExecutor(
        workers,
        mp_context=_SignalIgnoringContext(),
        initializer=_start,
        initargs=(prepare, given),
    )
    try:
        with _blocked(*_REQUESTS):  # inherited: a process ignores them from its start
            for _ in range(workers):
                pool.submit(int)
    except BaseException:  # an interrupt that was blocked until here
        stop_workers(pool)
        raise
    return pool


class _SignalIgnoringProcess(SpawnProcess):
    """A process that ignores SIGTERM: ``terminate`` sends SIGKILL."""

    terminate = SpawnProcess.kill


class _SignalIgnoringContext(SpawnContext):
    Process = _SignalIgnoringProcess


def start_worker(
    work: Callable[..., int], *given: Any, environment: Mapping[str, str] | None = None
) -> SpawnProcess:
    """Start one process that may start processes of its own.

    It ignores SIGINT, not SIGTERM, and exits when its parent dies.

    Args:
        work: Function called with ``given``; it returns the exit status.
        given: Arguments of ``work``.
        environment: Environment variables to add.
    """
    process = multiprocessing.get_context("spawn").Process(
        target=_work, args=(work, given, dict(environment or {}))
    )
    try:
        with _blocked(signal.SIGINT):
            process.start()
    except BaseException:  # an interrupt that was blocked until here
        if process.pid is not None:
            process.kill()
        raise
    return process


def _work(work: Callable[..., int], given: tuple[Any, ...], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    _follow_parent(signal.SIGINT)
    sys.exit(work(*given))


@contextmanager
def _blocked(*requests: signal.Signals) -> Iterator[None]:
    """Block signals until the block ends; a process started in it never receives them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, requests)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(prepare: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    _follow_parent(*_REQUESTS)
    if prepare is not None:
        prepare(*given)


def _follow_parent(*ignored: signal.Signals) -> None:
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def stop_workers(pool: ProcessPoolExecutor) -> None:
    """Kill the processes of a pool."""
    for process in list((pool._processes or {}).values()):  # public from Python 3.14 on
        process.terminate()
