"""The study: planned configurations, retries of failed trials, stopping and resuming."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.study_factory import ME, claim, complete, grid_plan, grid_study, states

from sercli.errors import RequestError
from sercli.search.study.failures import MAX_ATTEMPTS, cause_of
from sercli.search.study.study import Study


def test_trials_are_claimed_in_order_each_once_with_their_configuration(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 3)

    steps = []
    while (trial := study.claim(ME)) is not None:
        config = study.configuration(trial)
        assert config is not None
        steps.append(config.trainer.steps)
    assert steps == [1, 2, 3]


def test_a_planned_trial_keeps_its_configuration_whatever_is_edited_since(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 2)
    plan = grid_plan(3)
    bases = {k: v.replace("batch_size: 32", "batch_size: 8") for k, v in plan.space.bases.items()}
    assert bases != plan.space.bases
    notes: list[str] = []

    again = Study("grid", tmp_path, note=notes.append, create=("dev_ua",))
    again.plan(replace(plan, space=replace(plan.space, bases=bases)))

    sizes = []
    while (trial := study.claim(ME)) is not None:
        config = again.configuration(trial)
        assert config is not None
        sizes.append(config.trainer.batch_size)
    assert sizes == [32, 32, 8]
    assert notes == [
        "2 trials of 'grid' keep the settings that they were planned with, though the same "
        "overrides now give others; for these, give another experiment="
    ]


def test_a_requeued_trial_comes_first_and_one_that_failed_last(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 3)
    first, second = claim(study), claim(study)

    study.requeue(first)
    study.fail(second, cause_of(ValueError("by chance")))

    assert [claim(study).number for _ in range(3)] == [0, 2, 1]


def test_a_trial_fails_after_so_many_attempts(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 2)
    complete(study, claim(study))  # one went well: not all fail alike

    for _ in range(MAX_ATTEMPTS):
        assert states(study) == {"waiting": 1, "complete": 1}
        study.fail(claim(study), cause_of(ValueError("always")))

    assert states(study) == {"complete": 1, "failed": 1}
    _, trials = study.summarize()
    assert trials["cause"].tolist()[1] == "ValueError: always"
    assert "ValueError: always" in study.tracebacks()["ValueError: always"]


def test_a_finished_fold_makes_up_for_earlier_attempts(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 2)
    complete(study, claim(study))
    for fold in range(MAX_ATTEMPTS + 2):
        trial = claim(study)
        study.report(trial, dict.fromkeys(range(fold + 1), 0.5))
        study.fail(trial, cause_of(ValueError("now and then")))

    assert states(study) == {"waiting": 1, "complete": 1}


def test_an_invalid_request_is_not_retried(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 2)
    complete(study, claim(study))

    study.fail(claim(study), cause_of(RequestError("no such activation")))

    assert states(study) == {"complete": 1, "failed": 1}


def test_failed_trials_are_requeued_when_the_sweep_is_started_again(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 2)
    complete(study, claim(study))
    study.fail(claim(study), cause_of(RequestError("no such activation")))

    study = grid_study(tmp_path, 2)

    assert states(study) == {"waiting": 1, "complete": 1}
    _, trials = study.summarize()
    assert trials["attempts"].tolist() == [0, 0]


def test_a_stopped_study_resumes_when_it_is_planned_again(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 1)
    study.stop("by me")
    assert Study("grid", tmp_path).stop_reason == "by me"

    study = grid_study(tmp_path, 1)
    assert study.stop_reason is None


def test_a_study_that_does_not_exist_is_refused_with_the_nearest(tmp_path: Path) -> None:
    grid_study(tmp_path, 1)

    with pytest.raises(RequestError, match=r"no study 'gird'. Did you mean 'grid'\? Create one by"):
        Study("gird", tmp_path)
