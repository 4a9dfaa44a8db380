from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpus_factory import add, audited, first, read
from hypothesis import given
from hypothesis import strategies as st

from sercli.corpora.manifest import Refusal
from sercli.errors import RequestError


def test_the_name_tells_emotion_and_speaker(tmp_path: Path) -> None:
    add(tmp_path, "f1/rab-f1-b1.wav")
    assert first(read("emovo", tmp_path)) == {
        "utterance": "rab-f1-b1",
        "audio": str(tmp_path / "f1/rab-f1-b1.wav"),
        "speaker": "f1",
        "gender": "female",
        "emotion": "rab",
        "label": "anger",
    }


def test_a_whole_corpus_has_its_published_counts(tmp_path: Path) -> None:
    emotions = ("dis", "gio", "neu", "pau", "rab", "sor", "tri")
    speakers = ("f1", "f2", "f3", "m1", "m2", "m3")
    for speaker in speakers:
        names = [f"{emotion}-{speaker}-s{n}" for emotion in emotions for n in range(14)]
        add(tmp_path, *(f"EMOVO/{speaker}/{name}.wav" for name in names))
    manifest = read("emovo_full", tmp_path)
    assert len(manifest.table) == 588
    assert set(manifest.table["speaker"]) == set(speakers)
    assert manifest.refused == ()
    for choice in ("emovo", "emovo_full"):
        expected = audited(choice, tmp_path).expected
        assert expected is not None
        assert expected.ok


@pytest.mark.parametrize(
    "stray", ["xyz-f1-b1", "rab-f1", "rab f1 b1", "Füße (1)", "rab-f1-b1 (copy)", "RAB-F1-B1"]
)
def test_a_stray_file_is_refused_and_the_rest_is_read(tmp_path: Path, stray: str) -> None:
    add(tmp_path, "f1/rab-f1-b1.wav", f"f1/{stray}.wav", "m1/neu-m1-b1.wav")
    manifest = read("emovo", tmp_path)
    assert manifest.table["utterance"].tolist() == ["rab-f1-b1", "neu-m1-b1"]
    reason = "is not named emotion-speaker-sentence, such as rab-f1-b1"
    assert manifest.refused == (Refusal(f"f1/{stray}.wav", reason),)


def test_documents_and_apple_double_files_are_passed_over(tmp_path: Path) -> None:
    add(tmp_path, "f1/rab-f1-b1.wav", "f1/._rab-f1-b1.wav", "__notes/emovo.pdf")
    manifest = read("emovo", tmp_path)
    assert len(manifest.table) == 1
    assert manifest.refused == ()


def test_of_a_corpus_unpacked_twice_each_utterance_counts_once(tmp_path: Path) -> None:
    add(tmp_path, "EMOVO/f1/rab-f1-b1.wav", "f1/rab-f1-b1.wav")
    manifest = read("emovo", tmp_path)
    assert manifest.table["audio"].tolist() == [str(tmp_path / "EMOVO/f1/rab-f1-b1.wav")]
    reason = "rab-f1-b1 is EMOVO/f1/rab-f1-b1.wav already"
    assert manifest.refused == (Refusal("f1/rab-f1-b1.wav", reason),)


def test_a_root_of_another_layout_is_told_what_is_expected(tmp_path: Path) -> None:
    add(tmp_path, "wav/03a01Fa.wav")
    with pytest.raises(RequestError, match=r"expected f1/rab-f1-b1\.wav.*dataset\.root=PATH"):
        read("emovo", tmp_path)


@given(
    st.sampled_from(["dis", "gio", "neu", "pau", "rab", "sor", "tri"]),
    st.sampled_from(["f1", "f2", "f3", "m1", "m2", "m3"]),
    st.from_regex(r"[a-z]{1,2}[0-9]{1,2}", fullmatch=True),
)
def test_any_name_that_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, emotion: str, speaker: str, sentence: str
) -> None:
    root = tmp_path_factory.mktemp("emovo")
    add(root, f"{emotion}-{speaker}-{sentence}.wav")
    row = first(read("emovo_full", root))
    assert (row["emotion"], row["speaker"]) == (emotion, speaker)
    assert row["gender"] == {"f": "female", "m": "male"}[speaker[0]]
