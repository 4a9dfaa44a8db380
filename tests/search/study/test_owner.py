"""The owner of a study in a database that several users share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.servers.postgres import postgres
from helpers.shell import InProcessShell
from helpers.study_factory import claim, complete, grid_plan, grid_study, states
from helpers.users import as_colleague, needs_root, shared_folder

from sercli.errors import RequestError, SercliError
from sercli.files import user_name
from sercli.search.study.study import Study
from sercli.search.worker.options import WorkerOptions
from sercli.search.worker.worker import run_worker


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    with shared_folder() as folder:
        yield folder


@pytest.fixture(name="url")
def _url(folder: Path) -> str:
    return f"sqlite:///{folder / 'shared.db'}"


def finished_study(runs: Path, url: str) -> Study:
    study = grid_study(runs, 2, "lab", url)
    for _ in range(2):
        complete(study, claim(study))
    study.write_summary()
    return study


def test_a_sweep_of_that_name_from_another_folder_is_refused(folder: Path, url: str) -> None:
    study = finished_study(folder / "mine", url)

    with pytest.raises(RequestError) as error:
        grid_study(folder / "theirs", 2, "lab", url)

    mine = folder.resolve() / "mine"
    assert str(error.value) == (
        f"experiment 'lab' in this database is {user_name()}'s, with records in {mine}; give this "
        f"sweep another experiment=, or join by paths.runs={mine}"
    )
    assert states(study) == {"complete": 2}
    assert not (folder / "theirs").exists()


def test_workers_and_status_find_the_folder_by_themselves(
    folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished_study(folder / "mine", url)
    monkeypatch.chdir(folder)

    assert run_worker(WorkerOptions("lab", None, url, quiet=True)) == 0
    assert Study("lab", None, url, read_only=True).folder == folder.resolve() / "mine" / "lab"
    assert not (folder / "runs").exists()
    with pytest.raises(RequestError, match="not in runs; leave --runs out, or give that folder's"):
        run_worker(WorkerOptions("lab", Path("runs"), url, quiet=True))


def test_a_machine_without_the_folder_is_told_which_one_it_lacks(folder: Path, url: str) -> None:
    finished_study(folder / "mine", url)
    (folder / "mine").rename(folder / "moved")

    with pytest.raises(RequestError, match=r"keeps its records in .*/mine, which this machine"):
        run_worker(WorkerOptions("lab", None, url, quiet=True))
    assert run_worker(WorkerOptions("lab", folder / "moved", url, quiet=True)) == 0


def test_a_sweep_in_a_folder_that_was_moved_goes_on_there(folder: Path, url: str) -> None:
    finished_study(folder / "mine", url)
    (folder / "mine").rename(folder / "moved")

    study = grid_study(folder / "moved", 2, "lab", url)

    assert states(study) == {"complete": 2}
    assert Study("lab", None, url).folder == folder.resolve() / "moved" / "lab"


def test_a_folder_that_was_renamed_still_has_its_study(tmp_path: Path) -> None:
    grid_study(tmp_path, 2, "old")
    (tmp_path / "old").rename(tmp_path / "new")

    assert states(Study("new", tmp_path)) == {"waiting": 2}
    with pytest.raises(RequestError, match=r"no study 'old'\. Known: new\."):
        Study("old", tmp_path)


@needs_root
def test_a_colleague_in_the_same_folder_joins_only_where_the_sweep_is(
    folder: Path, url: str
) -> None:
    """Two containers may have the same path and another disk: the folder itself must know it."""
    finished_study(folder / "runs", url)
    for path in folder.rglob("*"):
        path.chmod(0o777)
    with as_colleague():
        assert states(grid_study(folder / "runs", 2, "lab", url)) == {"complete": 2}
    (folder / "runs" / "lab" / "sweep.json").unlink()

    with as_colleague(), pytest.raises(RequestError, match="in this database is root's"):
        grid_study(folder / "runs", 2, "lab", url)


@needs_root
def test_two_users_share_a_server_and_a_folder(folder: Path) -> None:
    with postgres() as server:
        mine = grid_study(folder / "runs", 2, "lab", server.url)
        complete(mine, claim(mine))
        mine.write_summary()
        for path in (folder / "runs", *(folder / "runs").rglob("*")):
            path.chmod(0o777)
        with as_colleague():
            theirs = Study("lab", None, server.url)
            complete(theirs, claim(theirs))
            theirs.write_summary()
            with pytest.raises(RequestError, match="root's, with records in"):
                Study("lab", folder / "other", server.url, create=("dev_ua",))

        assert states(mine) == {"complete": 2}
        assert theirs.owner == mine.owner


@needs_root
def test_status_looks_without_permission_to_write(folder: Path) -> None:
    finished_study(folder / "runs", f"sqlite:///{folder / 'runs' / 'lab' / 'study.db'}")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = sorted(folder.rglob("*"))
    sercli = InProcessShell(folder)

    with as_colleague():
        assert "complete" in sercli.ok("status", "lab")
        assert sercli.ok("sweep", "status", "lab") == sercli.ok("status", "lab")
        refused = sercli.refused("stop", "lab", status=1)

        with pytest.raises(SercliError) as sweep:
            grid_study(folder / "runs", 2, "lab")

    (folder / "runs" / "lab").chmod(0o700)
    with as_colleague():
        private = sercli.refused("status", "lab", status=1)

    assert "permission denied (drwx------); ask its owner root" in private
    denied = "study.db cannot be written: permission denied; ask its owner root"
    assert denied in refused
    assert denied in str(sweep.value)
    assert sorted(folder.rglob("*")) == before


def test_status_and_stop_make_nothing_where_there_is_no_study(folder: Path) -> None:
    sercli = InProcessShell(folder)

    for verb in ("status", "stop"):
        assert "no study 'x'. There is none in runs." in sercli.refused(verb, "x")
        assert "no study 'x' in --storage sqlite" in sercli.refused(
            verb, "x", "--storage", f"sqlite:///{folder}/none.db"
        )
    assert list(folder.iterdir()) == []


def test_status_sees_a_worker_at_work_and_after_it_was_killed(tmp_path: Path) -> None:
    study = grid_study(tmp_path, 3)
    claim(study)
    assert (tmp_path / "grid" / "study.db-wal").exists()

    looking = Study("grid", tmp_path, read_only=True)

    assert states(looking) == {"waiting": 2, "running": 1}
    complete(study, claim(study))
    assert states(looking) == {"waiting": 1, "running": 1, "complete": 1}
    study.plan(grid_plan(4))
    assert states(looking)["waiting"] == 2
