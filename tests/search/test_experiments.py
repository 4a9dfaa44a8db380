"""Listing, deletion and renaming of experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.servers.postgres import postgres
from helpers.shell import InProcessShell
from helpers.study_factory import OTHER, claim, complete, grid_study, states

from sercli.errors import BusyError, RequestError
from sercli.files import held_alone
from sercli.results.run_record import Record
from sercli.search.experiments import delete_experiment, rename_experiment
from sercli.search.study.liveness import register_worker
from sercli.search.study.study import Study


@pytest.fixture(name="url", params=["sqlite", "postgres"])
def _url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'shared.db'}"
        return
    with postgres() as server:
        yield server.url


def finished(runs: Path, name: str, url: str | None = None) -> Study:
    study = grid_study(runs, 2, name, url)
    complete(study, claim(study))
    study.write_summary()
    return study


def killed(*given: object) -> None:
    raise KeyboardInterrupt


def test_experiments_are_listed_with_states_size_and_best_on_dev(
    record: Callable[..., Record], runs: Path
) -> None:
    record(dev_ua=0.61, dev_ccc=0.512)
    record("activation=relu", dev_ua=0.64)
    grid_study(runs, 3, "waiting").write_summary()
    sercli = InProcessShell(runs.parent)

    listed = {each["name"]: each for each in sercli.json("runs")["experiments"]}

    assert list(listed) == ["first", "waiting"]
    assert (listed["first"]["dev_ua"], listed["first"]["states"]) == (0.64, {"complete": 2})
    assert (listed["waiting"]["trials"], listed["waiting"]["states"]) == (3, {"waiting": 3})
    assert listed["first"]["size"] > listed["first"]["weights"] > 0
    table = sercli.ok("runs")
    assert "2 experiments" in table
    assert "64.0" in table
    assert "0.512" in table


def test_an_experiment_is_deleted_and_renamed_by_the_command(runs: Path) -> None:
    finished(runs, "old")
    finished(runs, "gone")
    sercli = InProcessShell(runs.parent)

    assert "Confirm with --yes" in sercli.refused("runs", "delete", "gone")
    assert "Did you mean 'gone'?" in sercli.refused("runs", "delete", "gon", "--yes")
    assert "gone exists; give another name" in sercli.refused("runs", "rename", "old", "gone", "-y")
    sercli.ok("runs", "delete", "gone", "--yes")
    sercli.ok("runs", "rename", "old", "new", "--yes")

    assert [path.name for path in runs.iterdir()] == ["new"]
    assert states(Study("new", runs)) == {"waiting": 1, "complete": 1}
    assert "new" in sercli.ok("status", "new")


def test_an_experiment_at_work_is_left_alone(tmp_path: Path) -> None:
    study = finished(tmp_path, "lab")
    with (
        register_worker(study.folder),
        pytest.raises(BusyError, match=r"a process is at work on 'lab' .*sercli stop lab"),
    ):
        delete_experiment("lab", tmp_path)
    with held_alone(study.folder / ".0123456789.lock", "busy"), pytest.raises(BusyError):
        rename_experiment("lab", "new", tmp_path)
    claim(study, OTHER)
    with pytest.raises(BusyError, match=r"worker other on elsewhere .*last heartbeat was \d s ago"):
        delete_experiment("lab", tmp_path)

    assert states(study) == {"running": 1, "complete": 1}


def test_a_study_in_a_database_goes_with_its_folder(tmp_path: Path, url: str) -> None:
    runs = tmp_path / "runs"
    finished(runs, "old", url)
    with pytest.raises(RequestError, match="is in a database: give --storage"):
        delete_experiment("old", runs)

    rename_experiment("old", "new", runs, url)
    assert states(Study("new", None, url)) == {"waiting": 1, "complete": 1}
    assert Study.find("old", runs, url) is None
    delete_experiment("new", runs, url)

    assert Study.find("new", runs, url) is None
    assert list(runs.iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_killed_deletion_leaves_nothing(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(tmp_path / "runs", "lab", url)
    with monkeypatch.context() as patched:
        patched.setattr(Study, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            delete_experiment("lab", tmp_path / "runs", url)

    assert InProcessShell(tmp_path).json("runs")["experiments"] == []
    assert states(grid_study(tmp_path / "runs", 2, "lab", url)) == {"waiting": 2}
    assert [path.name for path in (tmp_path / "runs").iterdir()] == []


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("opened_first", ["old", "new"])
def test_a_killed_renaming_is_finished(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, opened_first: str
) -> None:
    runs = tmp_path / "runs"
    finished(runs, "old", url)
    with monkeypatch.context() as patched:
        patched.setattr(Study, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            rename_experiment("old", "new", runs, url)

    Study.find(opened_first, runs, url)

    assert Study.find("old", runs, url) is None
    assert states(Study("new", runs, url)) == {"waiting": 1, "complete": 1}
    assert states(grid_study(runs, 2, "old", url)) == {"waiting": 2}
