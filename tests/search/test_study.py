"""The study: every point planned once, claimed once, and none lost with its process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest

from sercli.config.schema import Config
from sercli.errors import RequestError
from sercli.search.plan import Point
from sercli.search.study import RUN, Study


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return tmp_path / "experiment"


@pytest.fixture(name="study")
def _study(folder: Path) -> Study:
    return Study(folder)


def points(*keys: str) -> dict[str, Point]:
    return {key: Point((f"point={key}",), Config()) for key in keys}


def claimed(study: Study, keys: Iterable[str]) -> list[str]:
    """Claim all points that wait, and leave them at that."""
    names = []
    while (trial := study.claim(list(keys))) is not None:
        names.append(str(trial.user_attrs[RUN]))
    return names


def finish(study: Study, folder: Path, key: str, dev_ua: float | None = 0.5) -> None:
    """Claim a point, write what stands for its record, and tell the result."""
    trial = study.claim([key])
    assert trial is not None
    (folder / key).mkdir()
    (folder / key / "run.json").touch()
    study.finish(trial, dev_ua)


def test_points_are_planned_once_however_often_a_sweep_is_started(
    study: Study, folder: Path
) -> None:
    study.plan(points("a", "b"))
    Study(folder).plan(points("a", "b", "c"))

    assert study.count_waiting("abc") == 3


def test_points_are_claimed_in_order_each_once(study: Study) -> None:
    study.plan(points("c", "a", "b"))

    assert claimed(study, "abc") == ["c", "a", "b"]
    assert study.claim("abc") is None


def test_only_points_that_are_asked_for_are_counted_and_claimed(study: Study) -> None:
    study.plan(points("a", "b"))

    assert study.count_waiting(["b", "x"]) == 1
    assert claimed(study, ["b", "x"]) == ["b"]


def test_a_trial_remembers_its_overrides(study: Study) -> None:
    study.plan(points("a"))

    trial = study.claim("a")
    assert trial is not None
    assert trial.user_attrs["overrides"] == ["point=a"]


@pytest.mark.parametrize("dev_ua", [0.5, None])
def test_a_finished_or_diverged_point_is_not_planned_again(
    study: Study, folder: Path, dev_ua: float | None
) -> None:
    study.plan(points("a"))
    finish(study, folder, "a", dev_ua)

    study.plan(points("a"))

    assert study.count_waiting("a") == 0


@pytest.mark.parametrize("dev_ua", [0.5, None])
def test_a_point_whose_record_is_gone_is_planned_again(
    study: Study, folder: Path, dev_ua: float | None
) -> None:
    study.plan(points("a"))
    finish(study, folder, "a", dev_ua)
    (folder / "a" / "run.json").unlink()

    study.plan(points("a"))
    study.plan(points("a"))

    assert study.count_waiting("a") == 1


def test_a_failed_point_waits_again_after_the_next_plan_only(study: Study) -> None:
    study.plan(points("a"))
    trial = study.claim("a")
    assert trial is not None

    study.fail(trial, "no memory")
    assert study.count_waiting("a") == 0

    study.plan(points("a"))
    assert claimed(study, "a") == ["a"]


ABANDON = """
import os, signal, sys
from pathlib import Path
from sercli.search.study import Study

study = Study(Path(sys.argv[1]))
with study.alone():
    study.claim(["a"])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_point_of_a_killed_process_is_taken_again(study: Study, folder: Path) -> None:
    study.plan(points("a", "b"))
    killed = subprocess.run([sys.executable, "-c", ABANDON, str(folder)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert study.count_waiting("ab") == 1

    with study.alone():
        study.plan(points("a", "b"))
        assert sorted(claimed(study, "ab")) == ["a", "b"]
        storage = f"sqlite:///{folder / 'study.db'}"
        abandoned = optuna.load_study(study_name=folder.name, storage=storage).trials[0]
        assert abandoned.state == optuna.trial.TrialState.FAIL
        assert abandoned.user_attrs["reason"] == "its process was killed"


def test_a_second_process_on_a_study_is_refused(study: Study, folder: Path) -> None:
    with study.alone():
        study.plan(points("a"))
        study.claim("a")
        with (
            pytest.raises(RequestError, match=r"'experiment' is being run by another process"),
            Study(folder).alone(),
        ):
            pass
        study.plan(points("a"))
        assert study.count_waiting("a") == 1  # would be 2 had the other one given "a" back


def test_a_study_is_free_again_when_its_process_is_done(study: Study, folder: Path) -> None:
    with study.alone():
        pass
    with Study(folder).alone():
        pass


@pytest.mark.parametrize("finishes", [True, False])
def test_a_point_that_another_process_took_a_moment_ago_is_passed_over(
    study: Study, folder: Path, finishes: bool
) -> None:
    other = Study(folder)

    class Keys(list[str]):
        """Where it is asked for "a", the other process takes it first."""

        def __contains__(self, key: object) -> bool:
            if key == "a" and (trial := other.claim(["a"])) is not None and finishes:
                other.finish(trial, 0.5)
            return super().__contains__(key)

    study.plan(points("a", "b"))

    trial = study.claim(Keys(["a", "b"]))
    assert trial is not None
    assert trial.user_attrs[RUN] == "b"


CLAIM = """
import sys, time
from pathlib import Path
from sercli.search.study import RUN, Study

folder, name = Path(sys.argv[1]), sys.argv[2]
keys = [f"p{n}" for n in range(40)]
study = Study(folder)
(folder / f"ready-{name}").touch()
while len(list(folder.glob("ready-*"))) < 4:
    time.sleep(0.01)
while (trial := study.claim(keys)) is not None:
    print(trial.user_attrs[RUN], flush=True)
    study.finish(trial, 0.5)
"""


def test_four_processes_claim_each_of_forty_instant_points_exactly_once(
    study: Study, folder: Path
) -> None:
    study.plan(points(*(f"p{n}" for n in range(40))))
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(folder), str(n)], stdout=subprocess.PIPE, text=True
        )
        for n in range(4)
    ]
    outputs = [worker.communicate(timeout=60)[0].split() for worker in workers]

    assert [worker.returncode for worker in workers] == [0] * 4
    counts = Counter(name for output in outputs for name in output)
    assert counts == Counter(f"p{n}" for n in range(40))


def test_processes_may_open_a_new_study_at_the_same_moment(folder: Path) -> None:
    barrier = threading.Barrier(6)

    def open_study(_: int) -> int:
        barrier.wait()
        return Study(folder).count_waiting("a")

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(open_study, range(6))) == [0] * 6


@pytest.mark.parametrize("name", ["50% off", "a?b", "a#b", "{x}", "ä ö"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    Study(tmp_path / name).plan(points("a"))

    assert (tmp_path / name / "study.db").is_file()
    assert Study(tmp_path / name).count_waiting("a") == 1
