"""The queue of trials: each planned once, claimed once, and finished once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.claim_workers import exit_codes, finish_all
from helpers.servers.postgres import Postgres, postgres
from helpers.study_factory import OTHER, claim, complete, grid_study, states
from optuna.storages._rdb import models
from optuna.trial import TrialState

SCHEMA: dict[Any, str] = {
    models.StudyModel: "study_id study_name",
    models.StudyUserAttributeModel: "key study_id study_user_attribute_id value_json",
    models.TrialModel: "datetime_complete datetime_start number state study_id trial_id",
    models.TrialUserAttributeModel: "key trial_id trial_user_attribute_id value_json",
    models.TrialParamModel: "distribution_json param_id param_name param_value trial_id",
    models.TrialValueModel: "objective trial_id trial_value_id value value_type",
    models.TrialHeartbeatModel: "heartbeat trial_heartbeat_id trial_id",
}
"""The columns of Optuna's tables that the queue was written for."""


@pytest.mark.parametrize("table", SCHEMA, ids=lambda table: str(table.__tablename__))
def test_the_tables_of_optuna_are_those_that_the_queue_knows(table: Any) -> None:
    found = " ".join(sorted(column.name for column in table.__table__.columns))
    assert found == SCHEMA[table], "Optuna's schema has changed: revise study/trial_queue.py"


def test_the_states_and_the_version_of_optunas_schema_are_known() -> None:
    assert models.SCHEMA_VERSION == 12
    assert [state.name for state in TrialState] == [
        "RUNNING",
        "COMPLETE",
        "PRUNED",
        "FAIL",
        "WAITING",
    ]
    assert models.TrialValueModel.TrialValueType.FINITE.value == 1


def test_trials_are_planned_once_however_often_a_sweep_is_started(tmp_path: Path) -> None:
    grid_study(tmp_path, 2)
    study = grid_study(tmp_path, 3)

    assert states(study) == {"waiting": 3}
    _, trials = study.summarize()
    assert trials["param/trainer.steps"].tolist() == [1, 2, 3]


def test_of_two_workers_that_finish_a_trial_the_first_counts(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 1)
    mine = claim(study)
    study.requeue(mine)  # as if its worker had seemed to be dead
    again = claim(study, OTHER)

    assert complete(study, mine, 0.6)
    assert not complete(study, again, 0.7)
    study.requeue(again)
    _, trials = study.summarize()
    assert trials["dev_ua"].tolist() == [0.6]


def test_only_a_trial_of_ones_own_can_be_requeued(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 1)
    mine = claim(study)
    study.requeue(mine)
    claim(study, OTHER)

    study.requeue(mine)

    assert states(study) == {"running": 1}


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    ("trials", "workers"), [(30, 3), pytest.param(200, 4, marks=pytest.mark.exhaustive)]
)
def test_processes_finish_each_instant_trial_exactly_once(
    tmp_path: Path, kind: str, trials: int, workers: int, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("server").url if kind == "postgresql" else None
    name = f"grid{trials}"
    study = grid_study(tmp_path, trials, name, url)
    names = [f"worker{n}" for n in range(workers)]

    ended = exit_codes(finish_all, [(tmp_path, name, each, url) for each in names])

    assert ended == [0] * workers
    counts = Counter(int(n) for each in names for n in (tmp_path / each).read_text().split())
    assert counts == Counter(range(trials))
    assert states(study) == {"complete": trials}
