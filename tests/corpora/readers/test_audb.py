from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import audformat
import numpy as np
import pytest
from helpers.corpus_factory import add, rows

from sercli.config.compose import compose
from sercli.config.schema import DatasetConfig
from sercli.corpora.read import read_corpus
from sercli.errors import RequestError, SercliError

Fake = Callable[..., list[dict[str, Any]]]


def config(root: Path, **options: str) -> DatasetConfig:
    """Return the configuration of ``dataset=audb``, as composed."""
    settings = {"database": "toy", "version": "1.0.0"} | options
    overrides = [f"dataset.options.{name}='{value}'" for name, value in settings.items()]
    dataset = compose(["dataset=audb", *overrides]).dataset
    return replace(dataset, root=str(root))


def save(root: Path) -> None:
    database = audformat.Database("toy")
    database["emotion"] = audformat.Table(audformat.filewise_index(["a.wav", "b.wav"]))
    for column, values in {"feeling": ["anger", "sadness"], "speaker": ["s1", "s2"]}.items():
        database["emotion"][column] = audformat.Column()
        database["emotion"][column].set(values)
    database.save(str(root), storage_format="csv")


@pytest.fixture(name="fake")
def _fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put a package in place of audb that has one database, and return what it was asked for."""

    def install(error: Exception | None = None) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        def load_to(root: str, name: str, **options: Any) -> None:
            calls.append({"name": name, **options})
            if error:
                raise error
            save(Path(root))
            add(Path(root), "a.wav", "b.wav")

        def versions(name: str) -> list[str]:
            return ["0.9.0", "1.0.0"] if name == "toy" else []

        audb = SimpleNamespace(load_to=load_to, versions=versions)
        monkeypatch.setitem(sys.modules, "audb", audb)
        return calls

    return install


def test_a_corpus_is_fetched_once_and_read(tmp_path: Path, fake: Fake) -> None:
    calls = fake()
    dataset = config(tmp_path / "not there yet", emotion="feeling")
    for _ in range(2):
        manifest = read_corpus(dataset)
        assert rows(manifest, "utterance", "label") == [("a.wav", "anger"), ("b.wav", "sadness")]
    assert manifest.dataset == "toy"
    fetched = {"name": "toy", "version": "1.0.0", "pickle_tables": False, "verbose": False}
    assert calls == [fetched]
    assert (tmp_path / "not there yet/toy/1.0.0/db.yaml").is_file()


def test_another_version_is_another_corpus(tmp_path: Path, fake: Fake) -> None:
    calls = fake()
    for version in ("1.0.0", "0.9.0"):
        read_corpus(config(tmp_path, emotion="feeling", version=version))
    assert [call["version"] for call in calls] == ["1.0.0", "0.9.0"]


def test_the_corpus_lies_with_the_other_generated_and_fetched_ones() -> None:
    assert compose(["dataset=audb", "paths.data=here"]).dataset.root == "here/audb"


@pytest.mark.parametrize("missing", ["database", "version"])
def test_name_and_version_are_asked_for(tmp_path: Path, fake: Fake, missing: str) -> None:
    fake()
    with pytest.raises(RequestError, match=r"no corpus of audb.*dataset\.options\.version=VERSION"):
        read_corpus(config(tmp_path, **{missing: ""}))


def test_a_version_that_is_not_there_is_named_beside_the_nearest(
    tmp_path: Path, fake: Fake
) -> None:
    fake()
    with pytest.raises(RequestError, match=r"no version '1\.0\.1' of toy\..*mean '1\.0\.0'"):
        read_corpus(config(tmp_path, version="1.0.1"))
    with pytest.raises(RequestError, match=r"audb knows no database 'tony'"):
        read_corpus(config(tmp_path, database="tony"))


def test_a_fetch_that_fails_can_be_tried_again(tmp_path: Path, fake: Fake) -> None:
    fake(ConnectionError("no route to host"))
    dataset = config(tmp_path, emotion="feeling")
    with pytest.raises(SercliError, match=r"toy 1\.0\.0 cannot be downloaded.*no route") as failure:
        read_corpus(dataset)
    assert failure.value.exit_status == 1
    fake()
    assert len(read_corpus(dataset).table) == 2


def test_without_the_package_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "audb", None)
    with pytest.raises(RequestError, match=r"pip install 'sercli\[audb\]'"):
        read_corpus(config(tmp_path))


def test_a_real_repository_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audb = pytest.importorskip("audb", reason="the extra audb is not installed")
    audiofile = pytest.importorskip("audiofile")
    save(tmp_path / "source")
    for name in ("a.wav", "b.wav"):
        audiofile.write(str(tmp_path / "source" / name), np.zeros(1600, np.float32), 16_000)
    (tmp_path / "host").mkdir()
    repository = audb.Repository("toys", str(tmp_path / "host"), "file-system")
    monkeypatch.setattr(audb.config, "REPOSITORIES", [repository])
    monkeypatch.setattr(audb.config, "CACHE_ROOT", str(tmp_path / "cache"))
    (tmp_path / "host/toys").mkdir()
    audb.publish(str(tmp_path / "source"), "1.0.0", repository, verbose=False)
    manifest = read_corpus(config(tmp_path / "data", emotion="feeling"))
    assert rows(manifest, "utterance", "speaker") == [("a.wav", "s1"), ("b.wav", "s2")]
    assert manifest.refused == ()
    with pytest.raises(RequestError, match=r"no version '2\.0\.0'"):
        read_corpus(config(tmp_path / "data", version="2.0.0"))
    with pytest.raises(RequestError, match=r"knows no database 'nothing'"):
        read_corpus(config(tmp_path / "data", database="nothing"))
