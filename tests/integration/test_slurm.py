"""A sweep on a real Slurm of two nodes, with its states in a real PostgreSQL."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from helpers.servers.postgres import Postgres, postgres
from helpers.servers.slurm import Slurm, slurm
from helpers.shell import Shell

pytest.importorskip("submitit", reason="pip install 'sercli[slurm]'")

TRIALS = 6


@pytest.fixture(name="database")
def _database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(name="cluster")
def _cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    with slurm() as cluster:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        yield cluster


def until(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(name="sweep")
def _sweep(small: list[str], database: Postgres) -> list[str]:
    """Arguments of a sweep on the cluster, without its space."""
    return [
        "sweep",
        "--fold-workers",
        "1",
        *small[:-2],  # without --workers
        "trainer.steps=12",
        "experiment=grid",
        "launcher=submitit",
        "launcher.cpus=1",
        "launcher.memory_gb=1",
        "--storage",
        database.url,
    ]


def complete(sercli: Shell, database: Postgres) -> int:
    """Return the number of complete trials, of which each has a run of its own."""
    status = sercli.json("status", "grid", "--storage", database.url)
    (complete,) = [n for state, n in status["states"].items() if n]
    trials = optuna.load_study(study_name="grid", storage=database.url).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * complete
    assert len({run_of(trial) for trial in trials}) == complete
    return int(complete)


def test_a_job_finishes_each_trial(
    sercli: Shell, sweep: list[str], database: Postgres, cluster: Slurm
) -> None:
    jobs = sercli.json(*sweep, "launcher.array=1", "arelu.alpha=0.1,0.2")["jobs"]
    assert len(jobs) == 1
    until(lambda: not cluster.states())
    assert complete(sercli, database) == 2


@pytest.mark.exhaustive  # daily: test_sweep_workers.py, on one machine
def test_an_array_of_workers_of_which_some_are_killed_finishes_each_trial_once(
    sercli: Shell, sweep: list[str], database: Postgres, cluster: Slurm
) -> None:
    runs = sercli.folder / "runs" / "grid"
    sweep += ["arelu.alpha=0.1,0.2,0.3", "arelu.beta=1,2", "launcher.array=2"]

    def finished() -> dict[Path, int]:
        return {record: record.stat().st_mtime_ns for record in runs.glob("[!.]*/run.json")}

    first = sercli.json(*sweep)["jobs"]
    assert len(first) == 2
    until(lambda: len(finished()) >= 2 and bool(cluster.processes(first[1])))
    for process in cluster.processes(first[1]):
        os.kill(process, signal.SIGKILL)  # as if out of memory
    cluster("scancel", "--signal=KILL", first[0])  # Slurm asks it to leave before that
    until(lambda: not cluster.states())
    before = finished()
    assert 2 <= len(before) < TRIALS

    second = sercli.json(*sweep, "launcher.minutes=30", "launcher.array=1")["jobs"]
    assert not set(first) & set(second)
    until(lambda: not cluster.states())
    assert complete(sercli, database) == TRIALS
    assert len(finished()) == TRIALS
    assert before.items() <= finished().items()


def run_of(trial: optuna.trial.FrozenTrial) -> Any:
    return trial.user_attrs["run"]
