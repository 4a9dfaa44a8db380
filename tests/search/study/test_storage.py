"""The storage of a study: outages, damage, and URLs."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.util import CommandError
from helpers.servers.postgres import Postgres, postgres
from helpers.study_factory import ME, claim, complete, grid_study, states

from sercli.errors import RequestError, SercliError
from sercli.search.study.study import Study


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


def test_an_outage_of_the_storage_is_waited_for(tmp_path: Path, server: Postgres) -> None:
    notes: list[str] = []
    grid_study(tmp_path, 2, name="away", url=server.url)
    study = Study("away", tmp_path, server.url, note=notes.append)
    first = claim(study)
    server.stop()
    back = threading.Timer(1.0, server.start)
    back.start()

    assert complete(study, first)
    back.join()

    assert states(study) == {"waiting": 1, "complete": 1}
    assert len(notes) == 2
    assert notes[0].startswith("the storage of the study does not answer (")
    assert notes[0].endswith("): waiting")
    assert notes[1] == "the storage of the study answers again: resuming"


def test_a_storage_that_stays_away_is_given_up_in_one_line(
    tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = grid_study(tmp_path, 2, name="gone", url=server.url)
    monkeypatch.setattr("sercli.search.study.storage.RETRY_SECONDS", 0.0)
    server.stop()
    try:
        with pytest.raises(SercliError, match="did not answer for 0 s; finished folds are kept"):
            study.claim(ME)
        with pytest.raises(SercliError, match=r"--storage .* does not answer .*; start it, or"):
            Study("gone", tmp_path, server.url)
    finally:
        server.start()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("no url", "--storage no url is not a database URL; expected e.g. postgresql"),
        ("nosuch://me:secret@there/x", r"nosuch://me:\*\*\*@there/x is not a database URL"),
        ("postgresql:/me:secret@there/x", r"postgresql:/me:\*\*\*@there/x is not a database"),
        ("postgresql://me:secret@there:port/x", "is not a database URL"),
        ("mysql+mysqldb://me@there/x", "needs the driver mysqldb: pip install 'mysqldb'"),
    ],
)
def test_an_invalid_url_is_refused_without_its_password(
    tmp_path: Path, url: str, words: str
) -> None:
    with pytest.raises(RequestError, match=words) as error:
        Study("grid", tmp_path, url)
    assert "secret" not in str(error.value)


def test_a_damaged_storage_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid" / "study.db").write_bytes(b"no database" * 1000)

    with pytest.raises(SercliError, match=r"study.db cannot be opened: file is not a database"):
        Study("grid", tmp_path)


def test_a_storage_of_another_optuna_is_named_with_a_way_out(tmp_path: Path) -> None:
    grid_study(tmp_path, 1)
    with closing(sqlite3.connect(tmp_path / "grid" / "study.db")) as db:
        db.execute("update version_info set schema_version=11, library_version='3.6.1'")
        db.execute("update alembic_version set version_num='v2.6.0.a'")
        db.commit()

    for options in ({}, {"read_only": True}, {"create": ("dev_ua",)}):
        with pytest.raises(SercliError, match=r"study\.db was made by Optuna 3\.6\.1, and this is"):
            Study("grid", tmp_path, **options)


def test_whatever_the_database_raises_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise CommandError("no such revision\nin postgresql://me:secret@there/x")

    monkeypatch.setattr("sercli.search.study.storage.RDBStorage", refuse)

    with pytest.raises(SercliError, match=r"study\.db cannot be opened: CommandError: no") as e:
        Study("grid", tmp_path, create=("dev_ua",))
    assert "secret" not in str(e.value)


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
