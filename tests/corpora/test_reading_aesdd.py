from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpus_factory import add, first, read
from hypothesis import given
from hypothesis import strategies as st

from sercli.corpora.manifest import Refusal
from sercli.errors import RequestError

EMOTIONS = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "s": "sadness"}


def test_the_number_in_parentheses_is_the_speaker(tmp_path: Path) -> None:
    add(tmp_path, "anger/a01 (3).wav")
    assert first(read("aesdd", tmp_path)) == {
        "utterance": "a01 (3)",
        "audio": str(tmp_path / "anger/a01 (3).wav"),
        "speaker": "3",
        "emotion": "anger",
        "label": "anger",
    }


def test_there_is_no_neutral(tmp_path: Path) -> None:
    add(tmp_path, *(f"{emotion}/{code}01 (1).wav" for code, emotion in EMOTIONS.items()))
    manifest = read("aesdd", tmp_path)
    assert manifest.table["emotion"].tolist() == list(EMOTIONS.values())
    assert manifest.targets["emotion"].tolist() == ["anger", "happiness", "sadness"]
    assert read("aesdd_full", tmp_path).classes == tuple(EMOTIONS.values())


def test_two_takes_of_a_sentence_are_two_utterances(tmp_path: Path) -> None:
    add(tmp_path, "fear/f18 (5).wav", "fear/f18 (5)b.wav")
    manifest = read("aesdd_full", tmp_path)
    assert manifest.table["utterance"].tolist() == ["f18 (5)", "f18 (5)b"]
    assert manifest.table["speaker"].tolist() == ["5", "5"]


def test_a_file_in_the_folder_of_another_emotion_is_refused(tmp_path: Path) -> None:
    add(tmp_path, "fear/a01 (1).wav", "Θυμός/a02 (1).wav")
    manifest = read("aesdd", tmp_path)
    assert manifest.table["utterance"].tolist() == ["a02 (1)"]
    reason = "lies in the folder fear, but its name says anger"
    assert manifest.refused == (Refusal("fear/a01 (1).wav", reason),)


@pytest.mark.parametrize("stray", ["a01", "a01 1", "x01 (1)", "a01 (1) copy", "a1 (1)", "α01 (1)"])
def test_a_stray_file_is_refused_and_the_rest_is_read(tmp_path: Path, stray: str) -> None:
    add(tmp_path, f"anger/{stray}.wav", "anger/a02 (1).wav", "anger/._a02 (1).wav")
    manifest = read("aesdd", tmp_path)
    assert manifest.table["utterance"].tolist() == ["a02 (1)"]
    reason = "is not named emotion, sentence (speaker), such as a01 (1)"
    assert manifest.refused == (Refusal(f"anger/{stray}.wav", reason),)


def test_a_root_of_another_layout_is_told_what_is_expected(tmp_path: Path) -> None:
    add(tmp_path, "anger/DC_a01.wav")
    with pytest.raises(RequestError, match=r"expected anger/a01 \(1\)\.wav"):
        read("aesdd", tmp_path)


@given(st.sampled_from(list("adfhs")), st.integers(1, 20), st.integers(1, 12))
def test_any_name_that_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, code: str, sentence: int, speaker: int
) -> None:
    root = tmp_path_factory.mktemp("aesdd")
    add(root, f"{code}{sentence:02} ({speaker}).wav")
    row = first(read("aesdd_full", root))
    assert (row["emotion"], row["speaker"]) == (EMOTIONS[code], str(speaker))
