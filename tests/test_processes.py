"""Worker processes that stop with the program that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from sercli.processes import (
    _can_share_locks,
    available_cores,
    possible_workers,
    start_thread,
    start_worker,
    stop_workers,
    worker_pool,
)


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Wait until the condition holds, but not for ever."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_gone(process: int) -> bool:
    """Return True if a process has exited, a zombie included."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


PARENT = """
import os, time
from sercli.processes import worker_pool

if __name__ == "__main__":
    pool = worker_pool(2)
    sleeps = [pool.submit(time.sleep, 600) for _ in range(2)]
    while len(pool._processes) < 2 or not all(future.running() for future in sleeps):
        time.sleep(0.01)
    print(*pool._processes, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("idle", [True, False])
def test_workers_leave_when_their_parent_is_killed(idle: bool) -> None:
    script = PARENT.replace("600) for", "0) for") if idle else PARENT
    if idle:
        script = script.replace("future.running()", "future.done()")
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        workers = [int(word) for word in parent.stdout.readline().split()]
        assert len(workers) >= 1
        assert not any(is_gone(worker) for worker in workers)

        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert eventually(lambda: all(is_gone(worker) for worker in workers))


def test_ctrl_c_does_not_reach_a_worker() -> None:
    # a shell's background job ignores Ctrl-C already, and its children inherit that
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with worker_pool(1) as pool:
            assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_worker_is_prepared_once_before_its_first_work(tmp_path: Path) -> None:
    with worker_pool(1, os.chdir, tmp_path) as pool:
        assert pool.submit(os.getcwd).result() == str(tmp_path)
        pool.submit(os.chdir, "/").result()
        assert pool.submit(os.getcwd).result() == "/"


def test_a_worker_is_no_fork_of_this_process() -> None:
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(usual + 123)
    try:
        with worker_pool(1) as pool:
            assert pool.submit(sys.getrecursionlimit).result() != usual + 123
    finally:
        sys.setrecursionlimit(usual)


IMPORTED = """
from sercli.processes import worker_pool

if __name__ == "__main__":
    with worker_pool(1, module="colorsys") as pool:
        print(pool.submit(eval, "'colorsys' in __import__('sys').modules").result())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, nothing is forked")
def test_the_module_of_the_work_is_imported_before_a_worker_is_forked() -> None:
    command = [sys.executable, "-c", IMPORTED]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"


def test_workers_have_the_environment_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("first", "second"):
        monkeypatch.setenv("SERCLI_TEST", value)
        with worker_pool(1) as pool:
            assert pool.submit(os.getenv, "SERCLI_TEST").result() == value


def test_stop_workers_kills_busy_workers() -> None:
    pool = worker_pool(1)
    worker = pool.submit(os.getpid).result()
    sleep = pool.submit(time.sleep, 600)

    stop_workers(pool)

    with pytest.raises(BrokenProcessPool):
        sleep.result(timeout=20)
    pool.shutdown()
    assert is_gone(worker)


def test_stopping_an_idle_pool_does_nothing() -> None:
    pool = worker_pool(2)
    stop_workers(pool)
    pool.shutdown()


def test_available_cores_are_those_of_this_process() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert available_cores() == len(allowed)


def test_sigterm_does_not_reach_a_worker_of_a_pool_from_its_first_moment() -> None:
    with worker_pool(1) as pool:
        while not pool._processes:
            time.sleep(0.001)
        (worker,) = pool._processes
        os.kill(worker, signal.SIGTERM)
        assert pool.submit(os.getpid).result(timeout=20) == worker


def test_the_others_do_not_outlive_a_pool_of_which_one_worker_is_killed() -> None:
    with worker_pool(2) as pool:
        sleep = pool.submit(time.sleep, 600)
        victim = pool.submit(os.getpid).result()
        workers = list(pool._processes)
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(BrokenProcessPool):
            sleep.result(timeout=20)
    assert all(is_gone(worker) for worker in workers)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("400000 100000", 4), ("50000 100000", 1), ("9900000 100000", 8), ("max 100000", 8)],
)
def test_a_container_has_the_cores_of_its_quota(
    quota: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.setattr("sercli.processes._QUOTA", tmp_path / "cpu.max")
    assert available_cores() == 8
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert available_cores() == cores


def leave_with(status: int) -> int:
    return status + int(os.environ.get("EXTRA", "0"))


def test_the_exit_status_of_a_single_worker_is_what_its_work_returns() -> None:
    workers = [
        start_worker(leave_with, 3),
        start_worker(leave_with, 0, environment={"EXTRA": "5"}),
    ]
    for worker in workers:
        worker.join(timeout=20)
    assert [worker.exitcode for worker in workers] == [3, 5]


def say_who_hears(path: Path) -> int:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    heard = {
        number.name: number not in blocked and signal.getsignal(number) != signal.SIG_IGN
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    path.write_text(f"{heard}")
    return 0


def test_a_single_worker_receives_sigterm_but_no_ctrl_c(tmp_path: Path) -> None:
    start_worker(say_who_hears, tmp_path / "heard").join(timeout=20)
    assert (tmp_path / "heard").read_text() == "{'SIGINT': False, 'SIGTERM': True}"


SINGLE = """
import time
from sercli.processes import start_worker

if __name__ == "__main__":
    print(start_worker(time.sleep, 600).pid, flush=True)
    time.sleep(600)
"""


def test_a_single_worker_leaves_when_its_parent_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SINGLE], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert eventually(lambda: is_gone(worker))


def test_without_shared_memory_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    assert possible_workers(2) == 2
    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", refuse)
    _can_share_locks.cache_clear()
    notes: list[str] = []
    assert possible_workers(2, notes.append) == 1
    assert "/dev/shm" in notes[0]
    assert possible_workers(1, notes.append) == 1
    assert len(notes) == 1
    _can_share_locks.cache_clear()


def test_a_long_folder_for_temporary_files_is_no_obstacle(tmp_path: Path) -> None:
    """The path of a socket has 107 bytes; those of a cluster's scratch disk can be longer."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    script = (
        "from sercli.processes import worker_pool\n"
        "if __name__ == '__main__':\n"
        "    with worker_pool(1) as pool:\n"
        "        print(pool.submit(int).result())\n"
    )
    environment = os.environ | {"TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "0\n", done.stderr


def test_no_request_reaches_a_worker_that_is_the_first_process_of_all() -> None:
    script = (
        "import os, signal\n"
        "from sercli.processes import start_worker, _starting\n"
        "with _starting(None):\n"
        "    from multiprocessing import forkserver\n"
        "    forkserver.ensure_running()\n"
        "    assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, [])\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_thread_leaves_signals_to_the_main_thread() -> None:
    masks = []
    thread = start_thread(lambda: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    thread.join()
    assert masks[0] >= {signal.SIGINT, signal.SIGTERM}
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & masks[0]
