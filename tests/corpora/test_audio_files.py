from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.corpus_factory import add

from sercli.corpora.audio_files import AudioIndex, find_audio
from sercli.corpora.manifest import Refusal

LAYOUT = "a/NAME.wav"


def found(root: Path) -> list[str]:
    refused: list[Refusal] = []
    names = [file.relative_to(root).as_posix() for file in find_audio(root, refused)]
    assert refused == []
    return names


def test_audio_is_found_at_any_depth_whatever_its_format_in_the_order_of_the_paths(
    tmp_path: Path,
) -> None:
    add(tmp_path, "b/c/2.WAV", "b/1.flac", "a.mp3", "b/readme.txt", "b/1.lab")
    assert found(tmp_path) == ["a.mp3", "b/1.flac", "b/c/2.WAV"]


def test_names_may_have_spaces_parentheses_and_any_letters(tmp_path: Path) -> None:
    places = ["Sound Source (1)/čağ ß (2).wav", "αβγ/日本語.wav"]
    add(tmp_path, *places)
    assert found(tmp_path) == places


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    add(tmp_path, "a.wav", "._a.wav", ".hidden.wav", ".git/b.wav", "__MACOSX/._a.wav")
    assert found(tmp_path) == ["a.wav"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    add(tmp_path / "elsewhere", "a.wav")
    root = tmp_path / "corpus"
    add(root, "b.wav")
    (root / "part").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(root)
    assert found(root) == ["b.wav", "part/a.wav"]


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    add(tmp_path, "a.wav")
    for name in (b"/Zo\xeb.wav", b"/Zo\xeb.txt"):
        Path(os.fsdecode(os.fsencode(tmp_path) + name)).write_bytes(b"RIFF")
    refused: list[Refusal] = []
    assert [file.name for file in find_audio(tmp_path, refused)] == ["a.wav"]
    assert refused == [Refusal("Zo\\udceb.wav", "its name is not UTF-8; rename it")]


def test_a_folder_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, "a.wav", "secret/b.wav")
    scandir = os.scandir

    def guarded(path: str) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)  # root, as whom tests may run, may read all
    refused: list[Refusal] = []
    assert [file.name for file in find_audio(tmp_path, refused)] == ["a.wav"]
    assert refused == [Refusal("secret", "cannot be read (Permission denied)")]


def test_a_label_takes_its_file_once(tmp_path: Path) -> None:
    add(tmp_path, "a/x.wav", "a/y.wav")
    index = AudioIndex(tmp_path)
    assert index.take("x") == tmp_path / "a/x.wav"
    assert index.take("z") is None
    with pytest.raises(ValueError, match="x is already labelled"):
        index.take("x")


def test_files_that_no_label_takes_are_refused(tmp_path: Path) -> None:
    add(tmp_path, "a/x.wav", "a/y.wav", "b/x.wav")
    index = AudioIndex(tmp_path)
    index.take("x")
    assert index.without_label() == [Refusal("a/y.wav", "has no label")]
    assert index.refused == [Refusal("b/x.wav", "x is already read from a/x.wav")]


def test_names_may_be_made_of_the_whole_path(tmp_path: Path) -> None:
    add(tmp_path, "a/x.wav", "b/x.wav")
    index = AudioIndex(tmp_path, lambda place: f"{place.parent.name}_{place.stem}")
    assert index.take("b_x") == tmp_path / "b/x.wav"
    assert index.refused == []
