from __future__ import annotations

from pathlib import Path

from helpers.corpus_factory import add, read


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
