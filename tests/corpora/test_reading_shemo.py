from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpus_factory import add, first, read
from hypothesis import given
from hypothesis import strategies as st

from sercli.corpora.manifest import Refusal
from sercli.errors import RequestError


def test_the_name_tells_speaker_and_emotion(tmp_path: Path) -> None:
    add(tmp_path, "male/M01A01.wav")
    assert first(read("shemo", tmp_path)) == {
        "utterance": "M01A01",
        "audio": str(tmp_path / "male/M01A01.wav"),
        "speaker": "M01",
        "gender": "male",
        "emotion": "A",
        "label": "anger",
    }


def test_an_f_is_a_woman_before_the_number_and_fear_behind_it(tmp_path: Path) -> None:
    add(tmp_path, "female/F02S01.wav", "female/F02F03.wav", "male/M01F02.wav")
    table = read("shemo_full", tmp_path).table
    assert table["gender"].tolist() == ["female", "female", "male"]
    assert table["label"].tolist() == ["fear", "sadness", "fear"]


def test_surprise_and_fear_are_no_class_of_the_usual_four(tmp_path: Path) -> None:
    add(tmp_path, *(f"male/M01{code}01.wav" for code in "AFHNSW"))
    manifest = read("shemo", tmp_path)
    assert manifest.table["emotion"].tolist() == list("AFHNSW")
    assert manifest.targets["emotion"].tolist() == list("AHNS")


@pytest.mark.parametrize("stray", ["M01X01", "X01A01", "M1A01", "M01A", "M01A01 (2)", "پرونده"])
def test_a_stray_file_is_refused_and_the_rest_is_read(tmp_path: Path, stray: str) -> None:
    add(tmp_path, f"male/{stray}.wav", "male/M01A01.wav", "male/._M01A01.wav")
    manifest = read("shemo", tmp_path)
    assert manifest.table["utterance"].tolist() == ["M01A01"]
    reason = "is not named speaker, emotion, number, such as M01A01"
    assert manifest.refused == (Refusal(f"male/{stray}.wav", reason),)


def test_a_root_of_another_layout_is_told_what_is_expected(tmp_path: Path) -> None:
    add(tmp_path, "male.zip")
    with pytest.raises(RequestError, match=r"no audio file.*expected male/M01A01\.wav"):
        read("shemo", tmp_path)


@given(st.sampled_from("FM"), st.integers(1, 56), st.sampled_from("AFHNSW"), st.integers(1, 999))
def test_any_name_that_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, sex: str, speaker: int, emotion: str, number: int
) -> None:
    root = tmp_path_factory.mktemp("shemo")
    add(root, f"{sex}{speaker:02}{emotion}{number:02}.wav")
    row = first(read("shemo_full", root))
    assert (row["speaker"], row["emotion"]) == (f"{sex}{speaker:02}", emotion)
