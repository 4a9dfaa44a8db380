"""A worker: how it trains the trials that it claims, and how it shuts down."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers.study_factory import grid_study

from sercli.bench.sweep import IdleRunner
from sercli.config.schema import Config
from sercli.errors import BusyError, Interrupted, RequestError, SercliError
from sercli.results.sweep_summary import read_sweep, read_trials
from sercli.search.study.liveness import register_worker
from sercli.search.study.study import Study
from sercli.search.worker.options import WorkerOptions
from sercli.search.worker.runner import TrialResult
from sercli.search.worker.worker import run_worker
from sercli.training.run import OnFoldFinished

Act = Callable[[OnFoldFinished], None]


class Runner(IdleRunner):
    """A runner that first does what a test says at its first, second, … trial."""

    def __init__(self, runs: Path, **acts: Act) -> None:
        super().__init__(runs, 0.0)
        self._acts = acts
        self.configs: list[Config] = []
        self.origins: list[Mapping[str, Any]] = []
        self.cancelled = False

    @property
    def steps(self) -> list[int]:
        """The training steps of the trials, in the order in which they came."""
        return [config.trainer.steps for config in self.configs]

    def train(
        self, config: Config, finished: OnFoldFinished, origin: Mapping[str, Any] | None
    ) -> TrialResult:
        self.configs.append(config)
        self.origins.append(origin or {})
        places = ("first", "second", "third")
        act = self._acts.get("every") or self._acts.get(places[min(len(self.configs) - 1, 2)])
        if act is not None:
            act(finished)
        return super().train(config, finished, origin)

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture(name="study")
def _study(tmp_path: Path) -> Study:
    """A grid of three trials, of 1, 2 and 3 steps."""
    return grid_study(tmp_path, 3)


@pytest.fixture(name="notes")
def _notes() -> list[str]:
    return []


@pytest.fixture(name="do")
def _do(tmp_path: Path, study: Study, watching: Any, notes: list[str]) -> Callable[..., int]:
    """Run a worker with a runner and options; its notes are kept."""

    def do(runner: Runner, *overrides: str, **options: Any) -> int:
        progress = watching()
        told = WorkerOptions("grid", tmp_path, overrides=overrides, **options)
        try:
            return run_worker(told, lambda fold_workers, progress: runner, progress)
        finally:
            notes.extend(progress.notes)

    return do


def states(study: Study) -> dict[str, int]:
    return {state: n for state, n in study.summarize()[0].states.items() if n}


def signalled(*numbers: signal.Signals, dev_uas: int = 0, seconds: float = 0.0) -> Act:
    """Send these signals to the worker; then finish so many folds of five, or train for so long."""

    def act(finished: OnFoldFinished) -> None:
        for number in numbers:
            os.kill(os.getpid(), number)
        if dev_uas:
            finished(dict.fromkeys(range(dev_uas), 0.5), 5)
        time.sleep(seconds)

    return act


def raising(*errors: BaseException) -> Act:
    """Raise these, one each time."""
    left = list(errors)

    def act(finished: OnFoldFinished) -> None:
        raise left.pop(0)

    return act


def test_a_worker_trains_until_no_trial_is_waiting_and_writes_a_summary(
    study: Study, do: Callable[..., int], tmp_path: Path
) -> None:
    runner = Runner(tmp_path)

    assert do(runner, name="steady") == 0

    assert runner.steps == [1, 2, 3]
    assert states(study) == {"complete": 3}
    summary = read_sweep(tmp_path / "grid")
    assert summary is not None
    trials = read_trials(tmp_path / "grid")
    assert summary.winner == trials["run"][0]  # of equal ones the first
    assert set(trials["worker"]) == {"steady"}
    assert {(origin["sweep"], origin["worker"]) for origin in runner.origins} == {
        ("grid", "steady")
    }


def test_sigterm_lets_a_worker_finish_its_fold_and_requeue_its_trial(
    study: Study, do: Callable[..., int], tmp_path: Path
) -> None:
    runner = Runner(tmp_path, first=signalled(signal.SIGTERM, dev_uas=2))

    assert do(runner) == 0

    assert runner.steps == [1]
    assert not runner.cancelled
    assert states(study) == {"waiting": 3}
    _, trials = study.summarize()
    assert trials["fold_runs"].tolist() == [2, 0, 0]
    assert trials["attempts"].tolist() == [0, 0, 0]
    assert do(runner) == 0
    assert runner.steps == [1, 1, 2, 3]


def test_the_last_fold_completes_a_trial_even_after_sigterm(
    study: Study, do: Callable[..., int], tmp_path: Path
) -> None:
    runner = Runner(tmp_path, first=signalled(signal.SIGTERM))

    assert do(runner) == 0

    assert runner.steps == [1]
    assert states(study) == {"waiting": 2, "complete": 1}


@pytest.mark.parametrize(
    ("numbers", "grace"),
    [
        ((signal.SIGTERM,), 0.05),
        ((signal.SIGTERM,), 0.0),
        ((signal.SIGUSR2,), 0.05),
        ((signal.SIGTERM, signal.SIGUSR2), 60.0),  # a second request
    ],
)
def test_a_fold_that_takes_longer_than_the_grace_time_is_discarded(
    study: Study,
    do: Callable[..., int],
    tmp_path: Path,
    notes: list[str],
    numbers: tuple[signal.Signals, ...],
    grace: float,
) -> None:
    runner = Runner(tmp_path, second=signalled(*numbers, seconds=600))
    started = time.monotonic()

    assert do(runner, grace=grace) == 0

    assert time.monotonic() - started < 300
    assert runner.steps == [1, 2]
    assert runner.cancelled
    assert states(study) == {"waiting": 2, "complete": 1}
    assert notes[1:] == ["shutdown requested: the unfinished fold was discarded"]
    assert study.summarize()[1]["attempts"].tolist() == [0, 0, 0]
    summary = read_sweep(tmp_path / "grid")
    assert summary is not None
    assert summary.states["waiting"] == 2


def test_a_worker_restores_the_signal_handlers(do: Callable[..., int], tmp_path: Path) -> None:
    numbers = (signal.SIGTERM, signal.SIGUSR2, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]

    do(Runner(tmp_path, first=signalled(signal.SIGTERM, seconds=600)), grace=0.05)

    assert [signal.getsignal(number) for number in numbers] == before


def test_ctrl_c_requeues_the_trial_and_is_raised(
    study: Study, do: Callable[..., int], tmp_path: Path
) -> None:
    runner = Runner(tmp_path, second=raising(Interrupted()))

    with pytest.raises(Interrupted):
        do(runner)

    assert runner.steps == [1, 2]
    assert runner.cancelled
    assert states(study) == {"waiting": 2, "complete": 1}


def test_a_trial_whose_run_is_trained_elsewhere_is_requeued_last(
    study: Study,
    do: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sercli.search.worker.worker._BUSY_SECONDS", 0.0)
    runner = Runner(tmp_path, first=raising(BusyError("another process is at work on it")))

    assert do(runner) == 0

    assert runner.steps == [1, 2, 3, 1]
    assert states(study) == {"complete": 3}
    assert study.summarize()[1]["attempts"].tolist() == [0, 0, 0]


def test_a_worker_sends_heartbeats_while_a_trial_runs(
    study: Study, do: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.search.worker.worker.HEARTBEAT_SECONDS", 0.02)
    watcher = Study("grid", tmp_path)

    def heard(finished: OnFoldFinished) -> None:
        ((_, before),) = watcher._queue.running()
        deadline = time.monotonic() + 10
        while watcher._queue.running()[0][1] == before:  # the storage counts seconds
            assert time.monotonic() < deadline
            time.sleep(0.05)

    do(Runner(tmp_path, first=heard))

    assert states(study) == {"complete": 3}


def test_a_heartbeat_that_cannot_be_written_stops_nobody(
    study: Study, do: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def away(*arguments: Any) -> None:
        tried.append("beat")
        raise SercliError("the storage is away")

    def wait(finished: OnFoldFinished) -> None:
        while len(tried) < 2:
            time.sleep(0.01)

    monkeypatch.setattr("sercli.search.worker.worker.HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(Study, "heartbeat", away)

    assert do(Runner(tmp_path, first=wait)) == 0

    assert states(study) == {"complete": 3}


def test_a_worker_runs_trials_with_the_overrides_of_its_machine(
    do: Callable[..., int], tmp_path: Path
) -> None:
    runner = Runner(tmp_path)

    do(runner, "device=cpu", "paths.store=/scratch/store", "recurrence.backend=eager")

    assert runner.steps == [1, 2, 3]
    for config in runner.configs:
        assert (config.device, config.recurrence.backend) == ("cpu", "eager")
        assert (config.paths.store, config.paths.runs) == ("/scratch/store", str(tmp_path))


@pytest.mark.parametrize(
    "override",
    ["optim.lr=1", "seeds=[1]", "experiment=other", "+trainer.x=1", "model=iaan", "device"],
)
def test_an_override_that_would_change_results_is_refused_before_any_work(
    study: Study, do: Callable[..., int], tmp_path: Path, override: str
) -> None:
    runner = Runner(tmp_path)

    with pytest.raises(RequestError, match="the trials of a sweep are fixed; a worker accepts"):
        do(runner, "device=cpu", override)

    assert states(study) == {"waiting": 3}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("paths.stroe=x", "paths.stroe"),
        ("device=cuda:99", "device=cuda:99 is not available here"),
        ("paths.runs=elsewhere", "paths.runs"),
        ("recurrence.backend=fast", "fast"),
    ],
)
def test_an_invalid_override_is_refused_and_fails_no_trial(
    study: Study, do: Callable[..., int], tmp_path: Path, override: str, words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        do(Runner(tmp_path), override)

    assert states(study) == {"waiting": 3}


def test_a_worker_exits_when_the_study_is_stopped_and_notes_the_reason(
    study: Study, do: Callable[..., int], tmp_path: Path, notes: list[str]
) -> None:
    runner = Runner(tmp_path, first=lambda finished: study.stop("by the test"))

    assert do(runner) == 0

    assert runner.steps == [1]  # its current trial is finished
    assert states(study) == {"waiting": 2, "complete": 1}
    trial, stopped = notes
    line = r"\d\d:\d\d:\d\d trial 0 \(trainer.steps=1\): 50.0 % dev UA, 0 fold runs, 0 s"
    assert re.fullmatch(line, trial)
    assert stopped == "sweep 'grid' is stopped: by the test"


class OutOfMemoryError(RuntimeError):
    """As torch.cuda has it."""


def test_trials_that_run_out_of_memory_have_one_cause_however_much_each_needed(
    study: Study, do: Callable[..., int], tmp_path: Path, notes: list[str]
) -> None:
    errors = [OutOfMemoryError(f"Tried to allocate {n}.50 GiB on GPU {n}") for n in range(1, 10)]

    assert do(Runner(tmp_path, every=raising(*errors))) == 0

    said = "out of memory: Tried to allocate 1.50 GiB on GPU 1"
    assert list(study.tracebacks()) == [said]
    assert "OutOfMemoryError" in study.tracebacks()[said]
    assert study.stop_reason == f"the first 3 trials failed alike: {said}"
    assert states(study) == {"waiting": 3}  # each was tried once
    assert notes[0] == f"trial 0 failed: {said}"


def test_two_workers_of_one_name_do_not_run_at_once(
    study: Study, do: Callable[..., int], tmp_path: Path
) -> None:
    with (
        register_worker(study.folder, "me"),
        pytest.raises(BusyError, match="a worker 'me' is already running"),
    ):
        do(Runner(tmp_path), name="me")

    assert states(study) == {"waiting": 3}


def test_a_worker_of_an_unknown_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no study 'nothing'"):
        run_worker(WorkerOptions("nothing", tmp_path, quiet=True))
