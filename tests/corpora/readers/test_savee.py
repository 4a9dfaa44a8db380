from __future__ import annotations

from pathlib import Path

from helpers.corpus_factory import add, read, refusals, rows, unused


def test_folder_and_name_tell_speaker_and_emotion(tmp_path: Path) -> None:
    add(tmp_path, "AudioData/DC/sa01.wav", "AudioData/KL/su15.wav", "AudioData/JE/n30.wav")
    manifest = read("savee", tmp_path)
    assert rows(manifest, "utterance", "audio", "speaker", "gender", "emotion", "label") == [
        (
            *("DC_sa01", str(tmp_path / "AudioData/DC/sa01.wav")),
            *("DC", "male", "sa", "sadness"),
        ),
        ("JE_n30", str(tmp_path / "AudioData/JE/n30.wav"), "JE", "male", "n", "neutral"),
        ("KL_su15", str(tmp_path / "AudioData/KL/su15.wav"), "KL", "male", "su", None),
    ]
    assert unused(manifest, ("session", "dialogue", "turn", "split", "transcript"))


def test_a_flat_copy_gives_the_same_ids(tmp_path: Path) -> None:
    names = ("DC_a01", "DC_sa01", "JK_h15")
    add(tmp_path / "flat", *(f"ALL/{name}.wav" for name in names))
    add(tmp_path / "deep", *(f"AudioData/{name.replace('_', '/')}.wav" for name in names))
    columns = ("utterance", "speaker", "emotion")
    flat = rows(read("savee", tmp_path / "flat"), *columns)
    assert flat == rows(read("savee", tmp_path / "deep"), *columns)
    assert [row[0] for row in flat] == list(names)


def test_a_corpus_in_both_layouts_is_read_once(tmp_path: Path) -> None:
    add(tmp_path, "AudioData/DC/a01.wav", "DC_a01.wav")
    manifest = read("savee", tmp_path)
    assert rows(manifest, "utterance") == [("DC_a01",)]
    assert refusals(manifest) == {"DC_a01.wav": "DC_a01 is already read from AudioData/DC/a01.wav"}


def test_what_names_no_speaker_or_emotion_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    add(tmp_path, "AudioData/DC/a01.wav", "AudioData/a02.wav", "AudioData/DC/s01.wav")
    add(tmp_path, "AudioData/DC/a1 (é).wav", "AudioData/DC/._a03.wav", "AudioData/Info.txt")
    manifest = read("savee", tmp_path)
    assert rows(manifest, "utterance") == [("DC_a01",)]
    unnamed = "the name does not match emotion and number, such as sa01 or DC_sa01"
    assert refusals(manifest) == {
        "AudioData/a02.wav": "the speaker is missing: expected DC/sa01 or DC_sa01",
        "AudioData/DC/s01.wav": unnamed,
        "AudioData/DC/a1 (é).wav": unnamed,
    }
