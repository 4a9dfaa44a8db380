"""Several workers on one sweep: killed, asked to leave, short of a database."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.servers.postgres import Postgres, postgres
from helpers.shell import SERCLI, Shell, spawned

from sercli.search.study.study import Study

POINTS = "arelu.alpha=0.1,0.2,0.3,0.4"


@pytest.fixture(name="sweep")
def _sweep(small: list[str]) -> list[str]:
    """A sweep of four points; a fold takes about half a second."""
    return [
        "sweep",
        "--fold-workers",
        "1",
        *small[:-2],
        "activation=arelu",
        POINTS,
        "trainer.steps=40",
        "experiment=s",
    ]


@pytest.fixture(name="server")
def _server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(name="one_core")
def _one_core() -> Iterator[None]:
    """Let a worker train its folds itself: to start a pool takes longer than these folds."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {random.choice(sorted(cores))})
    yield
    os.sched_setaffinity(0, cores)


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start(sercli: Shell, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [SERCLI, *arguments],
        cwd=sercli.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(sercli: Shell) -> dict[Path, int]:
    pages = (sercli.folder / "runs" / "s").glob("[!.]*/run.json")
    return {summary: summary.stat().st_mtime_ns for summary in pages}


def units(sercli: Shell) -> list[Path]:
    return list((sercli.folder / "runs" / "s").glob(".*.partial/seed*/fold.json"))


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks for processes in /proc")
def test_two_workers_of_which_one_is_killed_finish_each_point_once(
    sercli: Shell, sweep: list[str]
) -> None:
    process = start(sercli, *sweep, "--workers", "2")
    until(lambda: len(units(sercli)) >= 2)
    os.kill(spawned(1, process.pid)[0], signal.SIGKILL)
    _, said = process.communicate(timeout=200)

    assert process.returncode == 0, said
    assert "was killed (SIGKILL; out of memory?) and is restarted" in said
    summary, trials = Study("s", sercli.folder / "runs").summarize()
    assert summary.states["complete"] == trials["run"].nunique() == len(finished(sercli)) == 4
    assert trials["worker"].nunique() >= 2
    assert not units(sercli)


@pytest.mark.usefixtures("one_core")
def test_a_worker_that_is_asked_to_leave_hands_its_point_back_and_another_goes_on(
    sercli: Shell, sweep: list[str]
) -> None:
    process = start(sercli, *sweep, "--workers", "1", "trainer.patience=null")
    until(lambda: bool(units(sercli)))
    process.send_signal(signal.SIGTERM)
    out, said = process.communicate(timeout=60)
    kept = {unit: unit.stat().st_mtime_ns for unit in units(sercli)}
    assert process.returncode == 0, said
    assert "wait" in out

    states = Study("s", sercli.folder / "runs").summarize()[0].states
    assert (states["running"], states["waiting"]) == (0, 4 - len(finished(sercli)))
    worker = sercli("worker", "s", "--fold-workers", "1")
    assert worker.returncode == 0, worker.stderr
    if kept:
        assert "folds × seeds were done before: going on" in worker.stderr
    assert len(finished(sercli)) == 4
    assert Study("s", sercli.folder / "runs").summarize()[0].complete


@pytest.mark.usefixtures("one_core")
def test_a_stopped_sweep_claims_nothing_more_until_it_is_started_again(
    sercli: Shell, sweep: list[str]
) -> None:
    process = start(sercli, *sweep, "--workers", "1")
    until(lambda: bool(units(sercli)))
    assert "run the sweep command again to resume" in sercli.ok("stop", "s")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "is stopped: by sercli stop" in said
    assert len(finished(sercli)) < 4

    assert "4 trials" in sercli.ok(*sweep, "--workers", "1")
    assert len(finished(sercli)) == 4


@pytest.mark.usefixtures("one_core")
def test_a_database_that_is_away_for_a_while_is_waited_for(
    sercli: Shell, sweep: list[str], server: Postgres
) -> None:
    process = start(sercli, *sweep, "--workers", "1", "--storage", server.url)
    until(lambda: bool(units(sercli)))
    server.stop()
    assert process.stderr is not None
    assert any("the storage of the study does not answer" in line for line in process.stderr)
    server.start()
    _, said = process.communicate(timeout=200)

    assert process.returncode == 0, said
    assert "the storage of the study answers again: resuming" in said
    assert len(finished(sercli)) == 4
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
