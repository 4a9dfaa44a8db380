from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpus_factory import add, read, rows, unused


def test_the_name_of_a_file_tells_speaker_text_and_emotion(tmp_path: Path) -> None:
    add(tmp_path, "wav/03a01Fa.wav", "wav/16b10Wb.wav", "wav/08a02La.wav")
    manifest = read("emodb", tmp_path)
    columns = ("utterance", "audio", "speaker", "gender", "emotion", "label", "transcript")
    assert rows(manifest, *columns) == [
        (
            *("03a01Fa", str(tmp_path / "wav/03a01Fa.wav"), "03", "male", "F", "happiness"),
            "Der Lappen liegt auf dem Eisschrank.",
        ),
        (
            *("08a02La", str(tmp_path / "wav/08a02La.wav"), "08", "female", "L", None),
            "Das will sie am Mittwoch abgeben.",
        ),
        (
            *("16b10Wb", str(tmp_path / "wav/16b10Wb.wav"), "16", "female", "W", "anger"),
            "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
        ),
    ]
    assert unused(manifest, ("session", "dialogue", "turn", "start", "split", "improvised"))
    assert manifest.refused == ()


@pytest.mark.parametrize(
    ("letter", "label"),
    [
        ("W", "anger"),
        ("L", "boredom"),
        ("E", "disgust"),
        ("A", "fear"),
        ("F", "happiness"),
        ("N", "neutral"),
        ("T", "sadness"),
    ],
)
def test_the_letters_are_those_of_the_german_words(tmp_path: Path, letter: str, label: str) -> None:
    add(tmp_path, f"wav/03a01{letter}a.wav")
    assert rows(read("emodb_full", tmp_path), "label") == [(label,)]
