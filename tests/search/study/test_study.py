"""The study: every point planned once, claimed once, and none lost with its worker."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.claim_workers import claim_and_die, exit_codes, finish_all
from helpers.servers.postgres import Postgres, postgres

from sercli.errors import BusyError, RequestError, SercliError
from sercli.search.plan.plan import Plan, make_plan
from sercli.search.study.failures import MAX_ATTEMPTS, cause_of
from sercli.search.study.liveness import LivenessMonitor, Worker, register_worker
from sercli.search.study.study import Study
from sercli.search.study.trial_queue import ClaimedTrial

ME = Worker("me", "here", "1")
OTHER = Worker("other", "elsewhere", "2")


def grid(runs: Path, points: int, name: str = "grid") -> Plan:
    values = ",".join(str(1 + n) for n in range(points))
    return make_plan(
        [f"trainer.steps=choice({values})", f"experiment={name}", f"paths.runs={runs}"]
    )


def planned(runs: Path, points: int, name: str = "grid", url: str | None = None) -> Study:
    study = Study(name, runs, url, create=("dev_ua",))
    study.plan(grid(runs, points, name))
    return study


def number(study: Study, state: str) -> int:
    return study.summarize()[0].states[state]


def claimed(study: Study, worker: Worker = ME) -> ClaimedTrial:
    claim = study.claim(worker)
    assert claim is not None
    return claim


def finish(study: Study, claim: ClaimedTrial, dev_ua: float = 0.5) -> bool:
    run = f"run{claim.number}"
    (study.folder / run).mkdir(parents=True, exist_ok=True)
    (study.folder / run / "run.json").touch()
    return study.complete(claim, {"run": run, "seconds": 1.0, "diverged": False}, [dev_ua])


def test_points_are_planned_once_however_often_a_sweep_is_started(tmp_path: Path) -> None:
    planned(tmp_path, 2)
    study = planned(tmp_path, 3)

    assert number(study, "waiting") == 3
    _, trials = study.summarize()
    assert trials["param/trainer.steps"].tolist() == [1, 2, 3]


def test_points_are_claimed_in_order_each_once_with_their_configuration(tmp_path: Path) -> None:
    study = planned(tmp_path, 3)

    steps = []
    while (claim := study.claim(ME)) is not None:
        config = study.configuration(claim)
        assert config is not None
        steps.append(config.trainer.steps)
    assert steps == [1, 2, 3]


def test_a_planned_point_stays_as_it_was_whatever_is_edited_since(tmp_path: Path) -> None:
    study = planned(tmp_path, 2)
    plan = grid(tmp_path, 3)
    bases = {k: v.replace("batch_size: 32", "batch_size: 8") for k, v in plan.space.bases.items()}
    assert bases != plan.space.bases
    notes: list[str] = []

    again = Study("grid", tmp_path, note=notes.append, create=("dev_ua",))
    again.plan(replace(plan, space=replace(plan.space, bases=bases)))

    sizes = []
    while (claim := study.claim(ME)) is not None:
        config = again.configuration(claim)
        assert config is not None
        sizes.append(config.trainer.batch_size)
    assert sizes == [32, 32, 8]
    assert notes == [
        "2 trials of 'grid' keep the settings that they were planned with, though the same "
        "overrides now give others; for these, give another experiment="
    ]


def test_a_point_that_is_handed_back_comes_first_and_one_that_failed_last(tmp_path: Path) -> None:
    study = planned(tmp_path, 3)
    first, second = claimed(study), claimed(study)

    study.requeue(first)
    study.fail(second, cause_of(ValueError("by chance")))

    assert [claimed(study).number for _ in range(3)] == [0, 2, 1]


def test_a_point_fails_for_good_after_so_many_attempts(tmp_path: Path) -> None:
    study = planned(tmp_path, 1)
    finish(planned(tmp_path, 2), claimed(study))  # one went well: not all fail alike

    for attempt in range(MAX_ATTEMPTS):
        assert number(study, "failed") == 0, attempt
        study.fail(claimed(study), cause_of(ValueError("always")))

    assert number(study, "failed") == 1
    _, trials = study.summarize()
    assert trials["cause"].tolist()[1] == "ValueError: always"
    assert "ValueError: always" in study.tracebacks()["ValueError: always"]


def test_a_finished_fold_makes_up_for_earlier_attempts(tmp_path: Path) -> None:
    study = planned(tmp_path, 2)
    finish(study, claimed(study))
    for fold in range(MAX_ATTEMPTS + 2):
        claim = claimed(study)
        study.report(claim, dict.fromkeys(range(fold + 1), 0.5))
        study.fail(claim, cause_of(ValueError("now and then")))

    assert number(study, "waiting") == 1


def test_a_request_that_makes_no_sense_is_not_tried_again(tmp_path: Path) -> None:
    study = planned(tmp_path, 2)
    finish(study, claimed(study))

    study.fail(claimed(study), cause_of(RequestError("no such activation")))

    assert number(study, "failed") == 1


def test_failed_points_wait_again_when_the_sweep_is_started_again(tmp_path: Path) -> None:
    study = planned(tmp_path, 2)
    finish(study, claimed(study))
    study.fail(claimed(study), cause_of(RequestError("no such activation")))

    study = planned(tmp_path, 2)

    assert (number(study, "waiting"), number(study, "complete")) == (1, 1)
    _, trials = study.summarize()
    assert trials["attempts"].tolist() == [0, 0]


def test_of_two_workers_that_finish_a_point_the_first_counts(tmp_path: Path) -> None:
    study = planned(tmp_path, 1)
    claim = claimed(study)
    study.requeue(claim)  # as if its worker had seemed to be dead
    again = claimed(study, OTHER)

    assert finish(study, claim, 0.6)
    assert not finish(study, again, 0.7)
    study.requeue(again)
    _, trials = study.summarize()
    assert trials["dev_ua"].tolist() == [0.6]


def test_only_a_claim_of_ones_own_can_be_handed_back(tmp_path: Path) -> None:
    study = planned(tmp_path, 1)
    mine = claimed(study)
    study.requeue(mine)
    claimed(study, OTHER)

    study.requeue(mine)

    assert number(study, "running") == 1


def test_the_point_of_a_killed_worker_of_this_machine_waits_again_at_once(tmp_path: Path) -> None:
    study = planned(tmp_path, 2)
    assert exit_codes(claim_and_die, [(tmp_path,)]) == [-signal.SIGKILL]
    assert (number(study, "waiting"), number(study, "running")) == (1, 1)

    with register_worker(study.folder) as me:
        assert study.requeue_stale(LivenessMonitor(study.folder, me)) == 1

    assert number(study, "waiting") == 2
    _, trials = study.summarize()
    assert trials["attempts"].tolist() == [1, 0]


def test_the_point_of_a_living_worker_is_left_alone(tmp_path: Path) -> None:
    study = planned(tmp_path, 1)
    with register_worker(study.folder, "one") as one, register_worker(study.folder, "two") as two:
        claimed(study, one)

        assert study.requeue_stale(LivenessMonitor(study.folder, two)) == 0
        assert study.requeue_stale(LivenessMonitor(study.folder, one)) == 0


def test_a_worker_that_comes_again_takes_what_it_had(tmp_path: Path) -> None:
    study = planned(tmp_path, 1)
    with register_worker(study.folder, "steady") as before:
        claimed(study, before)
    with register_worker(study.folder, "steady") as again:
        assert study.requeue_stale(LivenessMonitor(study.folder, again)) == 1


def test_a_worker_elsewhere_is_dead_when_its_heart_is_not_heard_for_long(tmp_path: Path) -> None:
    study = planned(tmp_path, 1)
    claimed(study, OTHER)
    watch = LivenessMonitor(study.folder, ME, stale_seconds=0.0)

    assert study.requeue_stale(watch) == 0  # it is seen for the first time
    watch.reset()
    assert study.requeue_stale(watch) == 0  # the storage was away: nobody could be heard
    assert study.requeue_stale(watch) == 1
    assert number(study, "waiting") == 1


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


def test_a_point_whose_workers_are_killed_again_and_again_fails(tmp_path: Path) -> None:
    study = planned(tmp_path, 1)
    for _ in range(MAX_ATTEMPTS):
        claimed(study, OTHER)
        watch = LivenessMonitor(study.folder, ME, stale_seconds=0.0)
        study.requeue_stale(watch)
        assert study.requeue_stale(watch) == 1

    _, trials = study.summarize()
    assert trials["state"].tolist() == ["failed"]
    assert trials["cause"].tolist() == ["its worker was killed (out of memory?)"]


def test_what_was_not_the_fault_of_a_point_costs_it_no_attempt(tmp_path: Path) -> None:
    study = planned(tmp_path, 1)
    for _ in range(MAX_ATTEMPTS + 1):
        claimed(study, OTHER)
        watch = LivenessMonitor(study.folder, ME, stale_seconds=0.0)
        study.requeue_stale(watch)
        assert study.requeue_stale(watch, count_attempt=False) == 1
    assert number(study, "waiting") == 1


def test_a_study_is_stopped_and_goes_on(tmp_path: Path) -> None:
    study = planned(tmp_path, 1)
    study.stop("by me")
    assert Study("grid", tmp_path).stop_reason == "by me"

    study = planned(tmp_path, 1)
    assert study.stop_reason is None


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_four_processes_finish_each_of_two_hundred_instant_points_exactly_once(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("server").url if kind == "postgresql" else None
    study = planned(tmp_path, 200, url=url)
    names = [f"worker{n}" for n in range(4)]

    ended = exit_codes(finish_all, [(tmp_path, name, url) for name in names])

    assert ended == [0] * 4
    counts = Counter(int(n) for name in names for n in (tmp_path / name).read_text().split())
    assert counts == Counter(range(200))
    assert number(study, "complete") == 200


def test_a_storage_that_goes_away_is_waited_for(tmp_path: Path, server: Postgres) -> None:
    notes: list[str] = []
    planned(tmp_path, 2, name="away", url=server.url)
    study = Study("away", tmp_path, server.url, note=notes.append)
    first = claimed(study)
    server.stop()
    back = threading.Timer(2.0, server.start)
    back.start()

    assert finish(study, first)
    back.join()

    assert number(study, "complete") == 1
    assert len(notes) == 2
    assert notes[0].startswith("the storage of the study does not answer (")
    assert notes[0].endswith("): waiting")
    assert notes[1] == "the storage of the study answers again: resuming"


def test_a_storage_that_stays_away_is_given_up_in_one_line(
    tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = planned(tmp_path, 1, name="gone", url=server.url)
    monkeypatch.setattr("sercli.search.study.storage.RETRY_SECONDS", 0.0)
    server.stop()
    try:
        with pytest.raises(SercliError, match="did not answer for 0 s; finished folds are kept"):
            study.claim(ME)
        with pytest.raises(SercliError, match=r"--storage .* does not answer .*; start it"):
            Study("gone", tmp_path, server.url)
    finally:
        server.start()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("no url", "--storage no url is not a database URL; expected e.g. postgresql"),
        ("nosuch://me:secret@there/x", r"nosuch://me:\*\*\*@there/x is not a database URL"),
        ("mysql+mysqldb://me@there/x", "needs the driver mysqldb: pip install 'mysqldb'"),
    ],
)
def test_a_url_that_is_none_is_refused_without_its_password(
    tmp_path: Path, url: str, words: str
) -> None:
    with pytest.raises(RequestError, match=words) as error:
        Study("grid", tmp_path, url)
    assert "secret" not in str(error.value)


def test_a_study_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    planned(tmp_path, 1)

    with pytest.raises(RequestError, match=r"no study 'gird'. Did you mean 'grid'\? Create one by"):
        Study("gird", tmp_path)


def test_a_damaged_storage_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid" / "study.db").write_bytes(b"no database" * 1000)

    with pytest.raises(SercliError, match=r"study.db cannot be opened: file is not a database"):
        Study("grid", tmp_path)


def test_processes_may_open_a_new_study_at_the_same_moment(tmp_path: Path) -> None:
    barrier = threading.Barrier(6)

    def open_study(_: int) -> dict[str, int]:
        barrier.wait()
        return Study("grid", tmp_path, create=("dev_ua",)).counts()

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(open_study, range(6))) == [{}] * 6


@pytest.mark.parametrize("name", ["50% off", "a?b", "a#b", "{x}", "ä ö"])
def test_an_experiment_may_have_any_name(tmp_path: Path, name: str) -> None:
    Study(name, tmp_path, create=("dev_ua",))

    assert (tmp_path / name / "study.db").is_file()
    assert Study(name, tmp_path).counts() == {}
