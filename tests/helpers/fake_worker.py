"""Stand-in for a worker, controlled by its options, for tests of the launchers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from sercli.processes import worker_pool
from sercli.search.worker.options import WorkerOptions

_STATUS, _KILL_UNTIL = "status=", "kill_until="


def work(options: WorkerOptions) -> int:
    """Behave as the only override says.

    ``status=3``: exit with it. ``kill_until=2``: be killed until the second start. ``SIGTERM``,
    ``SIGUSR2``: run until that signal. ``pool``: start a pool, run until SIGTERM, and check that
    the pool still works. Every start writes a line with its process and its GPU.
    """
    (word,) = options.overrides
    assert options.runs is not None
    log = options.runs / f"{options.name}"
    with log.open("a") as file:
        file.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES', '-')}\n")
    if word.startswith(_STATUS):
        return int(word.removeprefix(_STATUS))
    if word.startswith(_KILL_UNTIL):
        if len(log.read_text().splitlines()) < int(word.removeprefix(_KILL_UNTIL)):
            os.kill(os.getpid(), signal.SIGKILL)
        return 0
    if word == "pool":
        with worker_pool(1) as pool:
            other = pool.submit(os.getpid).result()
            _wait_for("SIGTERM", log)
            alive = pool.submit(os.getpid).result() == other
        log.with_suffix(".left").write_text("the pool works" if alive else "the pool died")
        return 0
    _wait_for(word, log)
    log.with_suffix(".left").touch()
    return 0


def _wait_for(name: str, log: Path) -> None:
    heard: set[str] = set()
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, lambda number, frame: heard.add(signal.Signals(number).name))
    log.with_suffix(".ready").touch()
    while name not in heard:
        time.sleep(0.01)
