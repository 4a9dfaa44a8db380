from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.corpus_factory import add

from sercli.corpora.audio_files import AudioIndex, find_audio
from sercli.corpora.manifest import Refusal, Row
from sercli.corpora.readers.name_pattern import read_names
from sercli.errors import RequestError

LAYOUT = "a/NAME.wav"


def found(root: Path) -> list[str]:
    refused: list[Refusal] = []
    names = [file.relative_to(root).as_posix() for file in find_audio(root, refused)]
    assert refused == []
    return names


def row(place: Path) -> Row:
    if place.stem == "odd":
        raise ValueError("has an odd name")
    return {"utterance": place.stem}


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


def test_every_name_gives_a_row_or_a_refusal(tmp_path: Path) -> None:
    add(tmp_path, "x.wav", "odd.wav")
    rows, refused = read_names(tmp_path, row, LAYOUT)
    assert rows == [{"utterance": "x", "audio": str(tmp_path / "x.wav")}]
    assert refused == [Refusal("odd.wav", "has an odd name")]


def test_of_two_files_of_an_utterance_the_second_one_is_refused(tmp_path: Path) -> None:
    add(tmp_path, "a/x.wav", "b/x.wav", "b/x.flac")
    rows, refused = read_names(tmp_path, row, LAYOUT)
    assert [each["audio"] for each in rows] == [str(tmp_path / "a/x.wav")]
    assert refused == [
        Refusal("b/x.flac", "x is a/x.wav already"),
        Refusal("b/x.wav", "x is a/x.wav already"),
    ]


def test_a_root_without_audio_is_told_what_was_expected(tmp_path: Path) -> None:
    add(tmp_path, "readme.txt")
    with pytest.raises(RequestError) as error:
        read_names(tmp_path, row, LAYOUT)
    assert str(error.value) == (
        f"{tmp_path}: no audio file is there; expected a/NAME.wav. "
        "Set the folder of the corpus with dataset.root=PATH"
    )


def test_a_root_with_audio_of_another_corpus_is_told_why_it_does_not_fit(tmp_path: Path) -> None:
    add(tmp_path, "odd.wav", "sub/odd.wav")
    message = r"none of 2 files fits, the first one odd\.wav: has an odd name; expected a/NAME\.wav"
    with pytest.raises(RequestError, match=message):
        read_names(tmp_path, row, LAYOUT)


def test_a_label_takes_its_file_once(tmp_path: Path) -> None:
    add(tmp_path, "a/x.wav", "a/y.wav")
    index = AudioIndex(tmp_path)
    assert index.take("x") == tmp_path / "a/x.wav"
    assert index.take("z") is None
    with pytest.raises(ValueError, match="x is labelled already"):
        index.take("x")


def test_files_that_no_label_takes_are_refused(tmp_path: Path) -> None:
    add(tmp_path, "a/x.wav", "a/y.wav", "b/x.wav")
    index = AudioIndex(tmp_path)
    index.take("x")
    assert index.without_label() == [Refusal("a/y.wav", "has no label")]
    assert index.refused == [Refusal("b/x.wav", "x is a/x.wav already")]


def test_names_may_be_made_of_the_whole_path(tmp_path: Path) -> None:
    add(tmp_path, "a/x.wav", "b/x.wav")
    index = AudioIndex(tmp_path, lambda place: f"{place.parent.name}_{place.stem}")
    assert index.take("b_x") == tmp_path / "b/x.wav"
    assert index.refused == []
