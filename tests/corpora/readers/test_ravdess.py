from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from helpers.corpus_factory import add, read, refusals, rows, unused

from sercli.features.audio import read_audio


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
        f"audio_speech_actors_01-24/{place}": f"03-01-03-01-01-01-01 is already read from {place}"
    }


def test_a_stereo_file_is_read_as_one_channel(tmp_path: Path) -> None:
    add(tmp_path, "Actor_01/03-01-03-01-01-01-01.wav")
    noise = np.random.default_rng(0).integers(-9000, 9000, (48000, 2), dtype=np.int16)
    file = read("ravdess", tmp_path).table["audio"][0]
    with wave.open(file, "wb") as audio:
        audio.setparams((2, 2, 48000, 0, "NONE", ""))
        audio.writeframes(noise.tobytes())
    assert read_audio(Path(file), np.nan, np.nan, 16000).shape == (16000,)


@pytest.mark.parametrize("modality", ["01", "02"])
def test_audio_of_a_video_is_refused_for_its_modality(tmp_path: Path, modality: str) -> None:
    video = f"Actor_01/{modality}-01-05-01-01-01-01.wav"
    add(tmp_path, "Actor_01/03-01-05-01-01-01-01.wav", video)
    reason = f"is taken from a video (modality {modality}); only 03, audio alone, is used"
    assert refusals(read("ravdess", tmp_path)) == {video: reason}
