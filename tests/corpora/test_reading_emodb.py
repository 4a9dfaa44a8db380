from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from helpers.corpus_factory import add, audited, read, refusals, rows, unused
from hypothesis import given
from hypothesis import strategies as st

from sercli.errors import RequestError

COUNTS = {"W": 127, "L": 81, "E": 46, "A": 69, "F": 71, "N": 79, "T": 62}
SPEAKERS = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")
TEXTS = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")


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


def test_a_stray_file_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    names = ("Lippen (1).wav", "03a01F.wav", "3a01Fa.wav", "03a01fa.wav", "03a01Fa - Kopie.wav")
    add(tmp_path, "wav/03a01Fa.wav", *(f"wav/{name}" for name in names))
    add(tmp_path, "wav/._03a01Fa.wav", "lablaut/03a01Fa.lablaut", "erklärung.txt")
    manifest = read("emodb", tmp_path)
    assert rows(manifest, "utterance") == [("03a01Fa",)]
    assert refusals(manifest) == {
        f"wav/{name}": "is not named speaker, text, emotion and version, such as 03a01Fa"
        for name in names
    }


def test_another_corpus_is_told_what_was_expected(tmp_path: Path) -> None:
    add(tmp_path, "OAF_back_angry.wav")
    with pytest.raises(RequestError, match=r"expected wav/03a01Fa\.wav.*dataset\.root=PATH"):
        read("emodb", tmp_path)


def test_the_complete_corpus_has_the_published_counts(tmp_path: Path) -> None:
    for letter, count in COUNTS.items():
        stems = [f"{s}{t}{letter}{v}" for s, t, v in product(SPEAKERS, TEXTS, "ab")]
        add(tmp_path, *(f"wav/{stem}.wav" for stem in stems[:count]))
    for choice in ("emodb", "emodb_full"):
        found = audited(choice, tmp_path)
        assert found.utterances == 535
        assert found.expected is not None
        assert found.expected.ok


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=30))
def test_any_name_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, stem: str) -> None:
    root = tmp_path_factory.mktemp("emodb")
    add(root, "wav/03a01Fa.wav", f"other/x{stem}.wav")
    manifest = read("emodb", root)
    assert rows(manifest, "utterance") == [("03a01Fa",)]
    assert len(manifest.refused) == 1
