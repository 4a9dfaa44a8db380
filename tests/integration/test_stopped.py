"""Kill the real command in its midst, start it again, and lose nothing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import optuna
import pytest
from helpers.shell import Shell, workers_of


def finished_folds(runs: Path) -> list[Path]:
    """Folds that are finished, of runs that are not."""
    finished = {page.parent.name for page in runs.glob("[!.]*/run.json")}
    return [
        fold
        for fold in runs.glob(".*.partial/seed*/fold.json")
        if fold.parents[1].name.removeprefix(".").removesuffix(".partial") not in finished
    ]


@pytest.mark.exhaustive  # daily: test_sweep_workers.py
def test_a_killed_sweep_goes_on_and_finishes_each_point_once(
    sercli: Shell, small: list[str]
) -> None:
    runs = sercli.folder / "runs" / "grid"
    sweep = [
        "sweep",
        "--fold-workers",
        "1",
        *small,
        "trainer.steps=12",
        "arelu.alpha=0.01,0.5",
        "experiment=grid",
    ]
    sercli.killed(lambda: any(runs.glob("[!.]*/run.json")) and bool(finished_folds(runs)), *sweep)
    finished = {page: page.stat().st_mtime_ns for page in runs.glob("[!.]*/run.json")}
    assert len(finished) == 1
    kept = {fold: fold.stat().st_mtime_ns for fold in finished_folds(runs)}
    assert kept

    done = sercli(*sweep)
    assert done.returncode == 0, done.stderr
    assert "of 5 folds × seeds were finished before" in done.stderr
    assert len(list(runs.glob("[!.]*/run.json"))) == 2
    assert all(page.stat().st_mtime_ns == when for page, when in finished.items())
    study = optuna.load_study(storage=f"sqlite:///{runs / 'study.db'}", study_name="grid")
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    assert len(complete) == len({trial.user_attrs["run"] for trial in complete}) == 2
    assert not [trial for trial in study.trials if trial.state.name in ("RUNNING", "WAITING")]
    assert not list(runs.glob(".*.partial"))


def test_ctrl_c_keeps_finished_folds_and_says_so(sercli: Shell, small: list[str]) -> None:
    runs = sercli.folder / "runs" / "default"
    train = ["train", *small, "trainer.steps=20", "trainer.patience=null"]
    assert sercli.stopped(signal.SIGINT, lambda: bool(finished_folds(runs)), *train) == 130
    kept = {fold: fold.stat().st_mtime_ns for fold in finished_folds(runs)}
    assert kept
    assert not list(runs.glob("[!.]*/run.json"))
    done = sercli(*train)
    assert done.returncode == 0, done.stderr
    assert f"{len(kept)} of 5 folds × seeds were finished before" in done.stderr


def test_sigterm_stops_workers_at_once(sercli: Shell, small: list[str]) -> None:
    runs = sercli.folder / "runs" / "default"
    train = ["train", *small, "trainer.steps=100000", "trainer.patience=null", "--workers", "2"]
    started = sercli.folder / "runs" / "default"
    status = sercli.stopped(signal.SIGTERM, started.is_dir, *train)
    assert status == 130
    assert not finished_folds(runs)


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks for processes in /proc")
def test_ctrl_c_while_workers_start_stops_the_program_and_interrupts_no_worker(
    sercli: Shell, small: list[str]
) -> None:
    train = ["train", *small, "trainer.steps=100000", "trainer.patience=null", "--workers", "2"]
    process = sercli.start(*train, leads=True)
    while len(workers_of(process.pid)) < 2 and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "sercli: interrupted; finished work is kept" in said
    assert "KeyboardInterrupt" not in said
