from __future__ import annotations

import wave
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from helpers.corpus_factory import add, audited, read, refusals, rows, unused

from sercli.errors import RequestError
from sercli.features.audio import read_audio


def complete() -> list[str]:
    """Name the 1 440 files: nobody can be strongly neutral."""
    parts = product(range(1, 9), (1, 2), (1, 2), (1, 2), range(1, 25))
    return [
        f"Actor_{actor:02}/03-01-{emotion:02}-{level:02}-{text:02}-{take:02}-{actor:02}.wav"
        for emotion, level, text, take, actor in parts
        if not (emotion == 1 and level == 2)
    ]


def test_the_name_of_a_file_tells_actor_text_and_emotion(tmp_path: Path) -> None:
    places = ("Actor_11/03-01-05-01-01-02-11.wav", "Actor_12/03-01-02-02-02-01-12.wav")
    add(tmp_path, *places)
    manifest = read("ravdess", tmp_path)
    columns = ("utterance", "audio", "speaker", "gender", "emotion", "label", "transcript")
    assert rows(manifest, *columns) == [
        (
            *("03-01-05-01-01-02-11", str(tmp_path / places[0]), "Actor_11", "male"),
            *("angry", "anger", "Kids are talking by the door."),
        ),
        (
            *("03-01-02-02-02-01-12", str(tmp_path / places[1]), "Actor_12", "female"),
            *("calm", None, "Dogs are sitting by the door."),
        ),
    ]
    assert unused(manifest, ("session", "dialogue", "turn", "start", "split"))


def test_calm_is_not_neutral_but_a_class_of_the_full_set(tmp_path: Path) -> None:
    add(tmp_path, "03-01-01-01-01-01-01.wav", "03-01-02-01-01-01-01.wav")
    assert rows(read("ravdess", tmp_path), "label") == [("neutral",), (None,)]
    assert rows(read("ravdess_full", tmp_path), "label") == [("neutral",), ("calm",)]


def test_songs_are_refused(tmp_path: Path) -> None:
    add(tmp_path, "Actor_01/03-01-03-01-01-01-01.wav", "Actor_01/03-02-03-01-01-01-01.wav")
    manifest = read("ravdess", tmp_path)
    assert rows(manifest, "utterance") == [("03-01-03-01-01-01-01",)]
    assert refusals(manifest) == {"Actor_01/03-02-03-01-01-01-01.wav": "is sung, not spoken"}


def test_the_second_copy_in_a_nested_folder_is_refused(tmp_path: Path) -> None:
    place = "Actor_01/03-01-03-01-01-01-01.wav"
    add(tmp_path, place, f"audio_speech_actors_01-24/{place}")
    manifest = read("ravdess", tmp_path)
    assert rows(manifest, "audio") == [(str(tmp_path / place),)]
    assert refusals(manifest) == {
        f"audio_speech_actors_01-24/{place}": f"03-01-03-01-01-01-01 is {place} already"
    }


@pytest.mark.parametrize(
    "stem",
    [
        "03-01-09-01-01-01-01",  # no such emotion
        "03-01-03-01-01-01-25",  # no such actor
        "03-01-03-01-01-01-00",
        "01-01-03-01-01-01-01",  # with video
        "03-01-03-01-01-01",
        "03-01-03-01-01-01-01 (1)",
    ],
)
def test_a_stray_name_is_refused_and_the_rest_is_read(tmp_path: Path, stem: str) -> None:
    add(tmp_path, "Actor_01/03-01-03-01-01-01-01.wav", f"Actor_01/{stem}.wav")
    add(tmp_path, "Actor_01/._03-01-03-01-01-02-01.wav")
    manifest = read("ravdess", tmp_path)
    assert len(manifest.table) == 1
    assert refusals(manifest) == {
        f"Actor_01/{stem}.wav": "is not named by seven numbers, such as 03-01-06-01-02-01-12"
    }


def test_a_stereo_file_is_read_as_one_channel(tmp_path: Path) -> None:
    add(tmp_path, "Actor_01/03-01-03-01-01-01-01.wav")
    noise = np.random.default_rng(0).integers(-9000, 9000, (48000, 2), dtype=np.int16)
    file = read("ravdess", tmp_path).table["audio"][0]
    with wave.open(file, "wb") as audio:
        audio.setparams((2, 2, 48000, 0, "NONE", ""))
        audio.writeframes(noise.tobytes())
    assert read_audio(Path(file), np.nan, np.nan, 16000).shape == (16000,)


def test_another_corpus_is_told_what_was_expected(tmp_path: Path) -> None:
    add(tmp_path, "wav/03a01Fa.wav")
    with pytest.raises(RequestError, match=r"expected Actor_01/03-01-.*dataset\.root=PATH"):
        read("ravdess", tmp_path)


def test_the_complete_corpus_has_the_published_counts(tmp_path: Path) -> None:
    add(tmp_path, *complete())
    for choice in ("ravdess", "ravdess_full"):
        found = audited(choice, tmp_path)
        assert (found.utterances, len(found.speakers), found.refused) == (1440, 24, ())
        assert found.expected is not None
        assert found.expected.ok
        assert found.context.neither == found.targets  # no dialogues, and no mistake
