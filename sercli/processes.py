"""Worker processes that exit with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Libraries of macOS do not survive a fork. The fork server listens on a socket in TMPDIR; a path
# of a socket has at most 107 bytes, of which its name takes 32.
if TYPE_CHECKING or sys.platform != "linux" or len(os.environ.get("TMPDIR", "")) > 107 - 32:
    from multiprocessing.context import SpawnContext as _Context
    from multiprocessing.context import SpawnProcess as _Process
else:
    from multiprocessing.context import ForkServerContext as _Context
    from multiprocessing.context import ForkServerProcess as _Process

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


def possible_workers(workers: int, note: Callable[[str], None] = lambda text: None) -> int:
    """Return ``workers``, or 1 on a machine whose processes cannot share a lock.

    Args:
        workers: Number of processes wanted.
        note: Called with the reason if there can be only one.
    """
    if workers > 1 and not _can_share_locks():
        note(
            "one process instead of several: this machine has no shared memory; mount /dev/shm "
            "(docker run --shm-size=1g)"
        )
        return 1
    return workers


@cache
def _can_share_locks() -> bool:
    try:
        multiprocessing.get_context("spawn").Lock()
    except (OSError, ImportError):  # /dev/shm is missing or cannot be written; no semaphores
        return False
    return True


def worker_pool(
    workers: int,
    prepare: Callable[..., None] | None = None,
    *given: Any,
    module: str | None = None,
) -> ProcessPoolExecutor:
    """Start a pool of processes.

    They are forked from the fork server, not from this process: a fork copies the locks of torch's
    threads but not the threads. They ignore SIGINT and SIGTERM, which a terminal or Slurm sends to
    all processes of a job, and leave the decision what to keep to the parent. They exit when the
    parent dies.

    Args:
        workers: Number of processes.
        prepare: Initialiser, called once in each process with ``given``.
        given: Arguments of ``prepare``.
        module: Module of the work, imported once for all processes (default: that of ``prepare``).
    """
    pool = ProcessPoolExecutor(
        workers,
        mp_context=_SignalIgnoringContext(),
        initializer=_start,
        initargs=(dict(os.environ), prepare, given),
    )
    try:
        with _starting(module or getattr(prepare, "__module__", None)):
            for _ in range(workers):
                pool.submit(int)
    except BaseException:  # an interrupt that was blocked until here
        stop_workers(pool)
        raise
    return pool


def limit_memory(address_space: int) -> None:
    """Limit the address space of this process, so that hostile data cannot exhaust the machine.

    Args:
        address_space: Bytes.
    """
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = address_space if most == resource.RLIM_INFINITY else min(address_space, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def own_address_space() -> int:
    """Return the bytes of address space of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def worker_queue() -> SimpleQueue[Any]:
    """Return a queue that can be given to workers."""
    return _Context().SimpleQueue()


class _SignalIgnoringProcess(_Process):
    """A process that ignores SIGTERM: ``terminate`` sends SIGKILL."""

    terminate = _Process.kill


class _SignalIgnoringContext(_Context):
    Process = _SignalIgnoringProcess


def start_worker(
    work: Callable[..., int], *given: Any, environment: Mapping[str, str] | None = None
) -> BaseProcess:
    """Start one process that may start processes of its own.

    It ignores SIGINT, not SIGTERM, and exits when its parent dies.

    Args:
        work: Function called with ``given``; it returns the exit status.
        given: Arguments of ``work``.
        environment: Environment variables to add.
    """
    process = _Process(target=_work, args=(work, given, {**os.environ, **(environment or {})}))
    try:
        with _starting(work.__module__):
            process.start()
    except BaseException:  # an interrupt that was blocked until here
        if process.pid is not None:
            process.kill()
        raise
    return process


@contextmanager
def _starting(module: str | None) -> Iterator[None]:
    """Block SIGINT and SIGTERM in this block; a process started in it inherits the mask.

    Args:
        module: Module that the fork server imports for all its processes, if this block starts it.
            It must not start threads.
    """
    multiprocessing.set_forkserver_preload([module] if module else [])
    resource_tracker.ensure_running()  # its start, else within the block, would unblock them
    with _requests_blocked():
        yield


@contextmanager
def _requests_blocked() -> Iterator[None]:
    """Block SIGINT and SIGTERM in this block; threads and processes inherit the mask."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _REQUESTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(work: Callable[..., int], given: tuple[Any, ...], environment: dict[str, str]) -> None:
    _follow_parent(environment, signal.SIGINT)
    sys.exit(work(*given))


def _start(
    environment: dict[str, str], prepare: Callable[..., None] | None, given: tuple[Any, ...]
) -> None:
    _follow_parent(environment, *_REQUESTS)
    if prepare is not None:
        prepare(*given)


def _follow_parent(environment: dict[str, str], *ignored: signal.Signals) -> None:
    os.environ.clear()
    os.environ.update(environment)  # a fork has the environment of the server at its start
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _REQUESTS)
    start_thread(_exit_with_parent)


def start_thread(work: Callable[[], None]) -> threading.Thread:
    """Start a daemon thread that takes no SIGINT and SIGTERM.

    A signal to a process that was stopped (Ctrl-Z, a suspended job) goes to any of its threads when
    it continues, and a main thread that waits for a lock would not wake up to handle it.
    """
    thread = threading.Thread(target=work, daemon=True)
    with _requests_blocked():
        thread.start()
    return thread


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def stop_workers(pool: ProcessPoolExecutor) -> None:
    """Kill the processes of a pool."""
    for process in list((pool._processes or {}).values()):  # public from Python 3.14 on
        process.terminate()
