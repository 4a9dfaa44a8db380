from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers.corpus_factory import add, chosen, read

from sercli.corpora.manifest import Refusal
from sercli.corpora.read import read_corpus


def test_the_f_of_the_file_is_no_woman(tmp_path: Path) -> None:
    add(tmp_path, "Happy/SF6_F1_H01.wav", "Neutral/SM20_F1_N01.wav", "Sad/SM25_F1_S01.wav")
    table = read("urdu", tmp_path).table
    assert table["gender"].tolist() == ["female", "male", "male"]
    assert table["label"].tolist() == ["happiness", "neutral", "sadness"]


def test_whoever_reads_it_is_told_that_speakers_tell_emotions(
    tmp_path: Path, watching: Any
) -> None:
    add(tmp_path, "Angry/SM1_F1_A01.wav")
    progress = watching()
    read_corpus(chosen("urdu", tmp_path), progress)
    (note,) = progress.notes
    assert note.startswith("urdu: nearly every speaker has one emotion only")


def test_a_file_in_the_folder_of_another_emotion_is_refused(tmp_path: Path) -> None:
    add(tmp_path, "SAD/SM1_F1_A01.wav", "URDU-Dataset-master/SM1_F2_A02.wav")
    manifest = read("urdu", tmp_path)
    assert manifest.table["utterance"].tolist() == ["SM1_F2_A02"]
    reason = "is in the folder SAD, but its name says Angry"
    assert manifest.refused == (Refusal("SAD/SM1_F1_A01.wav", reason),)
