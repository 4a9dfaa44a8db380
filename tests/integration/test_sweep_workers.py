"""Several workers on one sweep: killed, preempted, stopped, without their database."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.servers.postgres import Postgres, postgres
from helpers.shell import Shell, workers_of

from sercli.search.study.study import Study


@pytest.fixture(name="sweep")
def _sweep(small: list[str]) -> list[str]:
    """Arguments of a sweep of three trials; each fold takes about 0.1 s."""
    return [
        "sweep",
        "--fold-workers",
        "1",
        *small[:-2],
        "activation=arelu",
        "arelu.alpha=0.1,0.2,0.3",
        "trainer.steps=8",
        "experiment=s",
    ]


@pytest.fixture(name="server")
def _server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def study(sercli: Shell) -> Study:
    return Study("s", sercli.folder / "runs")


def finished(sercli: Shell) -> dict[Path, int]:
    records = (sercli.folder / "runs" / "s").glob("[!.]*/run.json")
    return {record: record.stat().st_mtime_ns for record in records}


def folds(sercli: Shell) -> list[Path]:
    return list((sercli.folder / "runs" / "s").glob(".*.partial/seed*/fold.json"))


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks for processes in /proc")
def test_two_workers_of_which_one_is_killed_finish_each_trial_once(
    sercli: Shell, sweep: list[str]
) -> None:
    process = sercli.start(*sweep, "--workers", "2")
    until(lambda: len(folds(sercli)) >= 2)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    out, err = process.communicate(timeout=200)

    assert process.returncode == 0, err
    assert "was killed (SIGKILL; out of memory?) and is restarted" in err
    assert "s: 3 trials: 3 finished now, 0 earlier, 0 diverged, 0 failed" in out
    summary, trials = study(sercli).summarize()
    assert summary.states["complete"] == trials["run"].nunique() == len(finished(sercli)) == 3
    assert trials["worker"].nunique() >= 2
    assert not folds(sercli)


def test_a_preempted_worker_requeues_its_trial_and_another_resumes_it(
    sercli: Shell, sweep: list[str]
) -> None:
    process = sercli.start(*sweep, "--workers", "1", "trainer.patience=null")
    process.stop_when(lambda: bool(folds(sercli)))
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    kept = folds(sercli)
    assert process.returncode == 0, err
    assert "waiting" in out

    states = study(sercli).summarize()[0].states
    assert (states["running"], states["waiting"]) == (0, 3 - len(finished(sercli)))
    worker = sercli("worker", "s", "--fold-workers", "1")
    assert worker.returncode == 0, worker.stderr
    if kept:
        assert "folds × seeds were finished before: resuming" in worker.stderr
    assert len(finished(sercli)) == 3
    assert study(sercli).summarize()[0].complete


@pytest.mark.exhaustive  # daily: test_preview.py (the verb) and test_worker.py (the worker)
def test_a_stopped_sweep_claims_nothing_more_until_it_is_resumed(
    sercli: Shell, sweep: list[str]
) -> None:
    process = sercli.start(*sweep, "--workers", "1")
    until(lambda: bool(folds(sercli)))
    assert "to resume" in sercli.ok("stop", "s")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "is stopped: by sercli stop" in err
    assert len(finished(sercli)) < 3

    assert "3 trials" in sercli.ok(*sweep, "--workers", "1")
    assert len(finished(sercli)) == 3


@pytest.mark.exhaustive  # daily: test_storage.py, without the command
def test_an_outage_of_the_database_is_waited_for(
    sercli: Shell, sweep: list[str], server: Postgres
) -> None:
    process = sercli.start(*sweep, "trainer.steps=20", "--workers", "1", "--storage", server.url)
    until(lambda: bool(folds(sercli)))
    server.stop()
    assert any("the storage of the study does not answer" in line for line in process.stderr)
    server.start()
    _, err = process.communicate(timeout=200)

    assert process.returncode == 0, err
    assert "the storage of the study answers again: resuming" in err
    assert len(finished(sercli)) == 3
    assert "--storage" not in sercli.ok("report", "s", "--unseal")


def test_bad_requests_of_a_sweep_are_one_line(sercli: Shell, sweep: list[str]) -> None:
    for arguments, words in (
        (["sweep", "arelu.alpha=interval(0,1)"], "is an interval, but a grid needs values"),
        (["sweep", "arelu.alfa=1,2"], "Did you mean 'arelu.alpha'?"),
        (["sweep", "arelu.alpha=1,2", "--sampler", "tpee"], "Did you mean 'tpe'?"),
        (["sweep", "arelu.alpha=1,2", "--sampler", "tpe"], "needs a number of trials"),
        (["status", "nothing"], "no study 'nothing'"),
        (["worker", "nothing"], "no study 'nothing'"),
        (["worker", "nothing", "optim.lr=1"], "the trials of a sweep are fixed"),
        (["sweep", *sweep[1:], "--storage", "what"], "is not a database URL"),
    ):
        assert words in sercli.refused(*arguments)
    line = sercli.refused(*sweep, "--storage", "postgresql+psycopg://me:pw@127.0.0.1:1/x", status=1)
    assert "does not answer" in line
    assert "pw" not in line
