from __future__ import annotations

from pathlib import Path

from helpers.corpus_factory import add, read, refusals, rows, unused


def test_the_name_of_a_file_tells_speaker_word_and_emotion(tmp_path: Path) -> None:
    places = ("OAF_angry/OAF_back_angry.wav", "YAF_pleasant_surprised/YAF_youth_ps.wav")
    add(tmp_path, *places)
    manifest = read("tess_full", tmp_path)
    columns = ("utterance", "audio", "speaker", "gender", "emotion", "label", "transcript")
    assert rows(manifest, *columns) == [
        (
            *("OAF_back_angry", str(tmp_path / places[0]), "OAF", "female", "angry", "anger"),
            "Say the word back.",
        ),
        (
            *("YAF_youth_ps", str(tmp_path / places[1]), "YAF", "female", "ps", "surprise"),
            "Say the word youth.",
        ),
    ]
    assert unused(manifest, ("session", "dialogue", "turn", "split"))


def test_folders_and_case_do_not_matter(tmp_path: Path) -> None:
    names = ("OAF_Fear/OAF_Back_Fear.wav", "yaf_fear/yaf_back_fear.WAV", "YAF_page_sad.wav")
    add(tmp_path, *names)
    expected = [
        ("OAF_back_fear", "OAF", "fear"),
        ("YAF_page_sad", "YAF", "sad"),
        ("YAF_back_fear", "YAF", "fear"),
    ]
    assert rows(read("tess", tmp_path), "utterance", "speaker", "emotion") == expected


def test_the_speaker_who_lost_a_letter_is_the_same_one(tmp_path: Path) -> None:
    add(tmp_path, "OAF_neutral/OA_bite_neutral.wav", "OAF_neutral/OAF_boat_neutral.wav")
    found = rows(read("tess", tmp_path), "utterance", "speaker")
    assert found == [("OAF_boat_neutral", "OAF"), ("OAF_bite_neutral", "OAF")]


def test_a_stray_file_and_a_second_copy_are_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    place = "OAF_angry/OAF_back_angry.wav"
    stray = ("OAF_back.wav", "OAF_back_surprise.wav", "Kopie von (ü).wav", "OAF__angry.wav")
    add(tmp_path, place, f"TESS data/{place}", *stray, "OAF_angry/._OAF_bar_angry.wav")
    manifest = read("tess", tmp_path)
    assert rows(manifest, "audio") == [(str(tmp_path / place),)]
    unnamed = "the name does not match speaker_word_emotion, such as OAF_back_angry"
    assert refusals(manifest) == {
        f"TESS data/{place}": f"OAF_back_angry is already read from {place}",
        **dict.fromkeys(stray, unnamed),
    }
