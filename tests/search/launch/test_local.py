"""Workers on this machine: real processes, really killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from helpers.fake_worker import work
from helpers.toy import RecordingProgress

from sercli.errors import Interrupted
from sercli.processes import available_cores
from sercli.search.launch.gpus import gpus_for
from sercli.search.launch.local import run_workers, share_machine
from sercli.search.worker.options import WorkerOptions


def workers(runs: Path, *overrides: str, grace: float = 20) -> list[WorkerOptions]:
    """Worker options for each override."""
    return [
        WorkerOptions("study", runs, name=f"w{place}", overrides=(override,), grace=grace)
        for place, override in enumerate(overrides)
    ]


def starts(runs: Path, name: str) -> list[str]:
    return (runs / name).read_text().splitlines()


def once_ready(runs: Path, workers: int, action: Callable[[], None]) -> Callable[[], None]:
    """An ``on_poll`` that acts once, when so many workers are running."""
    done = threading.Event()

    def on_poll() -> None:
        if len(list(runs.glob("*.ready"))) >= workers and not done.is_set():
            done.set()
            action()

    return on_poll


def test_run_workers_returns_when_all_have_exited_with_their_statuses(tmp_path: Path) -> None:
    exits = run_workers(work, workers(tmp_path, "status=0", "status=3"))
    assert exits.statuses == (0, 3)
    assert not exits.preempted
    assert len(starts(tmp_path, "w1")) == 1  # it failed by itself


def test_a_killed_worker_is_restarted_with_a_note(tmp_path: Path) -> None:
    watching = RecordingProgress()
    exits = run_workers(work, workers(tmp_path, "kill_until=2"), progress=watching)
    assert exits.statuses == (0,)
    assert len(set(starts(tmp_path, "w0"))) == 2
    assert watching.notes == [
        "worker 1 was killed (SIGKILL; out of memory?) and is restarted (1/5)"
    ]


@pytest.mark.parametrize("restarts", [1, pytest.param(5, marks=pytest.mark.exhaustive)])
def test_a_worker_that_is_killed_every_time_is_given_up_and_the_others_go_on(
    restarts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.search.launch.local.MAX_RESTARTS", restarts)
    watching = RecordingProgress()
    exits = run_workers(work, workers(tmp_path, "kill_until=99", "kill_until=2"), progress=watching)
    assert exits.statuses == (-signal.SIGKILL, 0)
    assert len(starts(tmp_path, "w0")) == 1 + restarts
    assert sum("is given up" in note for note in watching.notes) == 1


def test_sigterm_is_passed_on_to_the_workers_and_waited_for(tmp_path: Path) -> None:
    watching = RecordingProgress()
    stop = once_ready(tmp_path, 2, lambda: signal.raise_signal(signal.SIGTERM))
    exits = run_workers(work, workers(tmp_path, *2 * ["SIGTERM"]), on_poll=stop, progress=watching)
    assert exits.preempted
    assert exits.statuses == (0, 0)
    assert len(list(tmp_path.glob("*.left"))) == 2
    assert watching.notes == ["stopping: the workers finish their folds, for at most 20 s"]


def test_a_worker_that_outlives_its_grace_time_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.search.launch.local.EXIT_SECONDS", 0.2)
    stop = once_ready(tmp_path, 2, lambda: signal.raise_signal(signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    exits = run_workers(work, workers(tmp_path, "SIGTERM", "never", grace=2), on_poll=stop)
    assert exits.preempted
    assert exits.statuses == (0, -signal.SIGKILL)
    assert signal.getsignal(signal.SIGTERM) == before


def interrupt() -> NoReturn:
    raise Interrupted


def test_an_interrupt_stops_the_workers_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.search.launch.local.EXIT_SECONDS", 600)
    watch = once_ready(tmp_path, 2, interrupt)
    began = time.monotonic()
    with pytest.raises(Interrupted):
        run_workers(work, workers(tmp_path, "SIGUSR2", "SIGUSR2"), on_poll=watch)
    assert time.monotonic() - began < 300
    assert len(list(tmp_path.glob("*.left"))) == 2


def test_a_worker_that_ignores_an_interrupt_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.search.launch.local.EXIT_SECONDS", 0.2)
    with pytest.raises(Interrupted):
        run_workers(work, workers(tmp_path, "never"), on_poll=once_ready(tmp_path, 1, interrupt))
    (start,) = starts(tmp_path, "w0")
    with pytest.raises(ProcessLookupError):
        os.kill(int(start.split()[0]), 0)


def test_on_poll_is_called_about_twice_a_second(tmp_path: Path) -> None:
    called: list[float] = []

    def poll() -> None:
        called.append(time.monotonic())
        if len(called) == 4:
            signal.raise_signal(signal.SIGTERM)

    run_workers(work, workers(tmp_path, "SIGTERM"), on_poll=poll)
    assert 1.4 < called[3] - called[0] < 3


def test_each_worker_uses_one_gpu_in_turn(tmp_path: Path) -> None:
    run_workers(work, workers(tmp_path, *["status=0"] * 3), gpus=("GPU-a", "GPU-b"))
    seen = [starts(tmp_path, f"w{place}")[0].split()[1] for place in range(3)]
    assert seen == ["GPU-a", "GPU-b", "GPU-a"]


@pytest.mark.parametrize(
    ("cores", "workers", "fold_workers"),
    [(8, 2, [4, 4]), (5, 2, [3, 2]), (2, 4, [1, 1, 1, 1]), (7, 3, [3, 2, 2]), (4, 1, [4])],
)
def test_the_workers_share_the_cores(
    cores: int,
    workers: int,
    fold_workers: list[int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("sercli.search.launch.local.available_cores", lambda: cores)
    shared = share_machine(WorkerOptions("study", tmp_path, name="me"), workers)
    assert [options.fold_workers for options in shared] == fold_workers
    assert len({options.name for options in shared}) == workers


def test_a_worker_on_a_gpu_is_one_process_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    options = WorkerOptions("study", tmp_path)
    own = WorkerOptions("study", tmp_path, fold_workers=3)
    assert [each.fold_workers for each in share_machine(options, 2, gpus=("0",))] == [1, 1]
    assert [each.fold_workers for each in share_machine(own, 2)] == [3, 3]
    assert share_machine(options, 1) == [replace(options, fold_workers=available_cores())]


@pytest.mark.parametrize(
    ("listed", "device", "names"),
    [
        ("0,1", "auto", ["0", "1"]),
        ("GPU-a, GPU-b", "cuda", ["GPU-a", "GPU-b"]),
        ("0,1", "cpu", []),
        ("0,1", "cuda:1", []),
        ("", "auto", []),
        ("2,-1,3", "auto", ["2"]),
    ],
)
def test_the_gpus_are_those_that_cuda_may_see(
    listed: str, device: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert gpus_for(device) == names


@pytest.mark.parametrize(("status", "names"), [(0, ["GPU-1", "GPU-2"]), (9, [])])
def test_without_a_list_the_gpus_are_those_that_the_driver_names(
    status: int, names: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus_for("auto") == []
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho GPU-1; echo GPU-2; exit {status}\n")
    program.chmod(0o755)
    assert gpus_for("auto") == names
