"""Workers that claim trials and train nothing, each in a process of its own.

The processes are forked from the server of all tests; an import in each of them would take longer
than their work.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from sercli.processes import start_worker
from sercli.search.study.liveness import register_worker
from sercli.search.study.study import Study


def exit_codes(work: Callable[..., int], given: Sequence[tuple[Any, ...]]) -> list[int | None]:
    """Run one process per tuple of arguments, all at the same time; return the exit codes.

    Args:
        work: A function of a module.
        given: The arguments after the first, which is a barrier that all pass together.
    """
    together = multiprocessing.get_context("forkserver").Barrier(len(given))
    processes = [start_worker(work, together, *each) for each in given]
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


def finish_all(together: Barrier, runs: Path, experiment: str, name: str, url: str | None) -> int:
    """Finish every trial that can be claimed, and write its number to a file of this name."""
    study = Study(experiment, runs, url)
    with register_worker(study.folder, name) as me, (runs / name).open("w") as finished:
        together.wait()
        while (trial := study.claim(me)) is not None:
            if study.complete(trial, {"run": "x", "seconds": 0.0, "diverged": False}, [0.5]):
                finished.write(f"{trial.number}\n")
    return 0


def claim_and_die(together: Barrier, runs: Path) -> int:
    """Claim a trial, and be killed."""
    study = Study("grid", runs)
    with register_worker(study.folder, "victim") as me:
        study.claim(me)
        os.kill(os.getpid(), signal.SIGKILL)
    return 0
