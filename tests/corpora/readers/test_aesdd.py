from __future__ import annotations

from pathlib import Path

from helpers.corpus_factory import add, read

from sercli.corpora.manifest import Refusal

EMOTIONS = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "s": "sadness"}


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
    reason = "is in the folder fear, but its name says anger"
    assert manifest.refused == (Refusal("fear/a01 (1).wav", reason),)
