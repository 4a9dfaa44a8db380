"""Facts of files that are read once, and again when somebody wrote to the file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import Manifest, build_manifest
from sercli.features.extract import extract
from sercli.features.known import KnownFiles
from sercli.features.load import load_features
from sercli.features.store import FeatureStore
from sercli.files import file_digest


@pytest.fixture(name="settled")
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take files for old that were written just now."""
    monkeypatch.setattr("sercli.features.known._SETTLED", -(10**12))


class Reader:
    """Reads a file, and counts how often."""

    def __init__(self, file: Path, kept: Path) -> None:
        self._file, self._kept, self.times = file, kept, 0

    def __call__(self) -> str:
        """Ask for the text of the file as a new process would."""
        known = KnownFiles(self._kept)
        text = known.get(str(self._file), self._read)
        known.save()
        return str(text)

    def _read(self) -> str:
        self.times += 1
        return self._file.read_text()


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    path = tmp_path / "a"
    path.write_text("one")
    os.utime(path, (1, 1))
    return path


@pytest.mark.usefixtures("settled")
def test_a_file_that_did_not_change_is_read_once(file: Path, tmp_path: Path) -> None:
    read = Reader(file, tmp_path / "known" / "files.json")
    assert [read(), read(), read()] == ["one"] * 3
    assert read.times == 1


@pytest.mark.usefixtures("settled")
def test_a_file_that_changed_is_read_again_though_size_and_time_are_the_same(
    file: Path, tmp_path: Path
) -> None:
    read = Reader(file, tmp_path / "files.json")
    read()
    file.write_text("longer")
    assert read() == "longer"
    os.utime(file, (1, 1))
    assert read() == "longer"
    file.write_text("shorte")
    os.utime(file, (1, 1))
    assert read() == "shorte"
    other = tmp_path / "b"
    other.write_text("placed")
    os.utime(other, (1, 1))
    other.replace(file)
    assert read() == "placed"


def test_a_file_that_was_written_just_now_is_not_trusted_yet(file: Path, tmp_path: Path) -> None:
    read = Reader(file, tmp_path / "files.json")
    assert [read(), read()] == ["one", "one"]
    assert read.times == 2


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("damage", ["", "[1]", '{"a": 3}', "\x00"])
def test_facts_that_cannot_be_read_are_read_from_the_files(
    file: Path, tmp_path: Path, damage: str
) -> None:
    kept = tmp_path / "files.json"
    kept.write_text(damage.replace("a", str(file)))
    read = Reader(file, kept)
    assert [read(), read()] == ["one", "one"]
    assert read.times == 1


def test_an_absent_file_is_left_to_the_reader(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Reader(tmp_path / "absent", tmp_path / "files.json")()


def sine(path: Path, hertz: int) -> Manifest:
    soundfile.write(path, np.sin(2 * np.pi * hertz / 16000 * np.arange(16000)), 16000)
    os.utime(path, (1, 1))
    row = {"utterance": "a", "audio": str(path), "speaker": "s", "emotion": "joy"}
    return build_manifest("mine", [row], {"joy": "happy"})


@pytest.mark.usefixtures("settled")
def test_a_known_corpus_is_neither_hashed_nor_read_again_and_a_changed_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio, store, features = tmp_path / "a.wav", tmp_path / "store", FeaturesConfig("log_mel")

    def prepare(hertz: int | None = None) -> tuple[str, np.ndarray]:
        if hertz is not None:
            manifest.append(sine(audio, hertz))
        done = extract(manifest[-1], features, store)
        steps = load_features(manifest[-1], done.keys, store, features, counts=done.frames)
        assert steps.statistics is not None
        assert steps.lengths == {"a": 20}
        return done.keys["a"], steps.statistics["a"].mean

    manifest: list[Manifest] = []
    key, mean = prepare(440)
    prepare()  # what was extracted is described now
    with monkeypatch.context() as patch:
        patch.delattr(FeatureStore, "_read")
        patch.delattr("sercli.features.plan.file_digest")
        again, same = prepare()
    assert again == key
    np.testing.assert_array_equal(same, mean)
    other, moved = prepare(880)
    assert other != key
    assert not np.allclose(moved, mean)
    assert file_digest(audio) != ""


def test_frames_that_are_gone_are_extracted_again_though_they_are_known(
    tmp_path: Path, settled: None
) -> None:
    store, features = tmp_path / "store", FeaturesConfig("log_mel")
    manifest = sine(tmp_path / "a.wav", 440)
    for _ in range(2):
        extract(manifest, features, store)
    for path in store.glob("??/*"):
        path.unlink()
    assert extract(manifest, features, store).extracted == 1
