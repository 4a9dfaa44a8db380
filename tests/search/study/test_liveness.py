"""Liveness: trials of dead workers are requeued, those of living ones are left alone."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from helpers.claim_workers import claim_and_die, exit_codes
from helpers.study_factory import ME, OTHER, claim, complete, grid_study, states

from sercli.errors import BusyError
from sercli.search.study.failures import ALIKE, MAX_ATTEMPTS
from sercli.search.study.liveness import LivenessMonitor, Worker, register_worker
from sercli.search.study.study import Study


def kill_worker(study: Study, worker: Worker = OTHER, *, count_attempt: bool = True) -> None:
    """Let a worker elsewhere claim a trial and die; requeue the trial."""
    claim(study, worker)
    monitor = LivenessMonitor(study.folder, ME, stale_seconds=0.0)
    study.requeue_stale(monitor)
    assert study.requeue_stale(monitor, count_attempt=count_attempt) == 1


def test_the_trial_of_a_killed_worker_of_this_machine_is_requeued_at_once(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 2)
    assert exit_codes(claim_and_die, [(tmp_path,)]) == [-signal.SIGKILL]
    assert states(study) == {"waiting": 1, "running": 1}

    with register_worker(study.folder) as me:
        assert study.requeue_stale(LivenessMonitor(study.folder, me)) == 1

    assert states(study) == {"waiting": 2}
    _, trials = study.summarize()
    assert trials["attempts"].tolist() == [1, 0]


def test_the_trial_of_a_living_worker_is_left_alone(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 1)
    with register_worker(study.folder, "one") as one, register_worker(study.folder, "two") as two:
        claim(study, one)

        assert study.requeue_stale(LivenessMonitor(study.folder, two)) == 0
        assert study.requeue_stale(LivenessMonitor(study.folder, one)) == 0


def test_a_worker_that_is_started_again_requeues_what_it_had(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 1)
    with register_worker(study.folder, "steady") as before:
        claim(study, before)
    with register_worker(study.folder, "steady") as again:
        assert study.requeue_stale(LivenessMonitor(study.folder, again)) == 1


def test_a_worker_elsewhere_is_dead_when_its_heartbeat_is_stale(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 1)
    claim(study, OTHER)
    monitor = LivenessMonitor(study.folder, ME, stale_seconds=0.0)

    assert study.requeue_stale(monitor) == 0  # it is seen for the first time
    monitor.reset()
    assert study.requeue_stale(monitor) == 0  # the storage was away: no heartbeat could be written
    assert study.requeue_stale(monitor) == 1
    assert states(study) == {"waiting": 1}


def test_two_workers_of_one_name_are_refused(tmp_path: Path) -> None:
    with (
        register_worker(tmp_path, "me"),
        pytest.raises(
            BusyError, match="a worker 'me' is already running; give this one another --name"
        ),
        register_worker(tmp_path, "me"),
    ):
        pass
    with register_worker(tmp_path, "me"):
        pass


def test_a_trial_whose_workers_are_killed_again_and_again_fails(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 2)
    complete(study, claim(study))
    for _ in range(MAX_ATTEMPTS):
        kill_worker(study)

    _, trials = study.summarize()
    assert trials["state"].tolist() == ["complete", "failed"]
    assert trials["cause"].tolist()[1] == "its worker was killed (out of memory?)"
    assert study.stop_reason is None


def test_workers_that_were_stopped_on_purpose_cost_no_attempt(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 1)
    for _ in range(MAX_ATTEMPTS + 1):
        kill_worker(study, count_attempt=False)

    assert states(study) == {"waiting": 1}
    assert study.stop_reason is None


def test_a_sweep_whose_first_trials_all_kill_their_workers_stops(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 8)
    workers = [Worker(f"w{n}", f"machine{n}", str(n)) for n in range(ALIKE)]
    for _ in range(2):
        assert study.stop_reason is None
        for worker in workers:
            claim(study, worker)
        monitor = LivenessMonitor(study.folder, ME, stale_seconds=0.0)
        study.requeue_stale(monitor)
        assert study.requeue_stale(monitor) == ALIKE

    assert study.stop_reason == (
        "the first 3 trials failed alike: its worker was killed (out of memory?)"
    )
    assert states(study) == {"waiting": 8}


def test_killed_workers_stop_no_sweep_whose_trials_make_progress(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 8)
    for fold in range(MAX_ATTEMPTS):
        for n in range(ALIKE):
            trial = claim(study, Worker(f"w{n}", f"machine{n}", str(n)))
            study.report(trial, dict.fromkeys(range(fold + 1), 0.5))
        monitor = LivenessMonitor(study.folder, ME, stale_seconds=0.0)
        study.requeue_stale(monitor)
        assert study.requeue_stale(monitor) == ALIKE

    assert study.stop_reason is None
    assert states(study) == {"waiting": 8}
