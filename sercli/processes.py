"""Worker processes that stop when the program that started them does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_pool(
    workers: int, prepare: Callable[..., None] | None = None, *given: Any
) -> ProcessPoolExecutor:
    """Start a pool of fresh processes.

    Each is spawned, not forked, because a fork copies the locks of torch's threads but not the
    threads. Ctrl-C reaches only the parent, which decides what to keep; and a worker whose
    parent was killed leaves at once instead of waiting for work for ever.

    Args:
        workers: Number of processes.
        prepare: Called once in each process with ``given``, before its first work.
        given: Arguments of ``prepare``.
    """
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(prepare, given),
    )
    try:
        with _interrupts_held_back():  # a process inherits that: it is deaf from its first moment
            for _ in range(workers):
                pool.submit(int)
    except BaseException:  # the interrupt that was held back
        stop_workers(pool)
        raise
    return pool


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let a Ctrl-C wait until the block is done; a process that starts in it never gets one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(prepare: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    if prepare is not None:
        prepare(*given)


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def stop_workers(pool: ProcessPoolExecutor) -> None:
    """Stop a pool's processes in the middle of their work."""
    for process in list((pool._processes or {}).values()):  # public from Python 3.14 on
        process.terminate()
