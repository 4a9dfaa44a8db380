from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpus_factory import add, first, read

from sercli.corpora.manifest import Refusal

MANDARIN = "打远一看,它们的确很是美丽,"
ENGLISH = "The fisherman’s wife said: “naïve”."


def lines(*rows: tuple[str, str, str]) -> str:
    return "".join("\t".join(row) + "\r\n" for row in rows)


def test_every_column_of_an_utterance_is_read(tmp_path: Path) -> None:
    add(tmp_path, "0011/Angry/evaluation/0011_000351.wav")
    add(tmp_path, "0011/0011.txt", content=lines(("0011_000351", "Hello.", "Angry")).encode())
    assert first(read("esd", tmp_path)) == {
        "utterance": "0011_000351",
        "audio": str(tmp_path / "0011/Angry/evaluation/0011_000351.wav"),
        "speaker": "0011",
        "gender": "male",
        "emotion": "Angry",
        "label": "anger",
        "split": "dev",
        "transcript": "Hello.",
    }


def test_the_official_split_has_every_speaker_on_all_sides(tmp_path: Path) -> None:
    folders = ("train", "evaluation", "test")
    add(tmp_path, *(f"0001/Sad/{name}/0001_00105{n}.wav" for n, name in enumerate(folders)))
    table = read("esd", tmp_path).table
    assert table.set_index("utterance")["split"].sort_index().tolist() == ["train", "dev", "test"]
    assert set(table["speaker"]) == {"0001"}


def test_a_copy_without_the_official_split_is_read(tmp_path: Path) -> None:
    add(tmp_path, "ESD/0001/Neutral/0001_000001.wav")
    row = first(read("esd", tmp_path))
    assert row["emotion"] == "Neutral"
    assert "split" not in row


def test_surprise_is_the_fifth_class_of_the_full_set(tmp_path: Path) -> None:
    add(tmp_path, "0001/Surprise/test/0001_001401.wav", "0001/Happy/test/0001_000701.wav")
    assert read("esd", tmp_path).targets["emotion"].tolist() == ["Happy"]
    assert read("esd_full", tmp_path).targets["label"].tolist() == ["happiness", "surprise"]


def test_genders_are_those_of_the_corpus_and_unknown_for_speakers_added_later(
    tmp_path: Path,
) -> None:
    speakers = [f"{speaker:04}" for speaker in (*range(1, 21), 77)]
    add(tmp_path, *(f"{speaker}/Angry/{speaker}_000351.wav" for speaker in speakers))
    table = read("esd", tmp_path).table.set_index("speaker")
    assert table["gender"].value_counts().to_dict() == {"male": 10, "female": 10}
    assert table["gender"][["0001", "0004", "0020"]].tolist() == ["female", "male", "male"]
    assert table["gender"].isna().to_dict()["0077"]


@pytest.mark.parametrize(
    ("speaker", "encoding", "text"),
    [
        ("0001", "gb2312", MANDARIN),
        ("0003", "utf-16", MANDARIN),
        ("0003", "utf-8", MANDARIN),
        ("0012", "utf-16", ENGLISH),
        ("0011", "utf-8-sig", ENGLISH),
        ("0016", "cp1252", ENGLISH),
        ("0017", "latin-1", "A naïve café."),
    ],
)
def test_transcripts_are_read_in_whatever_encoding_each_speaker_has(
    tmp_path: Path, speaker: str, encoding: str, text: str
) -> None:
    names = [f"{speaker}_000351", f"{speaker}_000352"]
    add(tmp_path, *(f"{speaker}/Angry/train/{name}.wav" for name in names))
    content = lines(*((name, text, "Angry") for name in names)).encode(encoding)
    add(tmp_path, f"{speaker}/{speaker}.txt", content=content)
    manifest = read("esd", tmp_path)
    assert manifest.table["transcript"].tolist() == [text, text]
    assert manifest.refused == ()


@pytest.mark.parametrize(
    "line",
    [
        "0011_000351\tGo  on. \tAngry",
        "  0011_000351\tGo  on.\t生气 ",
        "0011_000351 Go  on. Angry",
        "0011_000351\tGo  on.",
        "0011_000351\tGo  on.\tAngry\textra",
    ],
)
def test_the_text_of_a_careless_line_is_found(tmp_path: Path, line: str) -> None:
    add(tmp_path, "0011/Angry/train/0011_000351.wav")
    add(tmp_path, "0011/0011.txt", content=f"\n{line}\n\n".encode())
    manifest = read("esd", tmp_path)
    assert manifest.table["transcript"].tolist() == ["Go  on."]
    assert manifest.refused == ()


def test_lines_that_belong_to_no_audio_are_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    add(tmp_path, "0011/Angry/train/0011_000351.wav", "0011/Angry/train/0011_000353.wav")
    text = lines(
        ("0011_000351", "One.", "Angry"),
        ("stray", "", ""),
        ("0011_000352", "Two.", "Angry"),
        ("0011_000351", "Again.", "Angry"),
    )
    add(tmp_path, "0011/0011.txt", content=text.encode())
    add(tmp_path, "0011/._0011.txt", content=b"\0\5\26\7")
    manifest = read("esd", tmp_path)
    assert manifest.table["transcript"].fillna("-").tolist() == ["One.", "-"]
    assert manifest.refused == (
        Refusal("0011/0011.txt:2", "is not a transcript line"),
        Refusal("0011/0011.txt:3", "0011_000352 has no audio"),
        Refusal("0011/0011.txt:4", "0011_000351 already has a text"),
    )


def test_a_transcript_that_cannot_be_read_costs_only_the_texts(tmp_path: Path) -> None:
    add(tmp_path, "0011/Angry/train/0011_000351.wav")
    (tmp_path / "0011/0011.txt").mkdir()
    manifest = read("esd", tmp_path)
    assert manifest.table["transcript"].isna().all()
    (refusal,) = manifest.refused
    assert refusal.file == "0011/0011.txt"
    assert "cannot be read" in refusal.reason


def test_of_a_corpus_unpacked_twice_the_first_transcript_counts(tmp_path: Path) -> None:
    for copy, text in (("a", "First."), ("b", "Second.")):
        add(tmp_path, f"{copy}/0011/Angry/0011_000351.wav")
        add(
            tmp_path,
            f"{copy}/0011/0011.txt",
            content=lines(("0011_000351", text, "Angry")).encode(),
        )
    manifest = read("esd", tmp_path)
    assert manifest.table["transcript"].tolist() == ["First."]
    assert [refusal.file for refusal in manifest.refused] == ["b/0011/Angry/0011_000351.wav"]


@pytest.mark.parametrize(
    ("stray", "reason"),
    [
        (
            "0011/Angry/train/noise (1).wav",
            "the name does not match speaker_number, such as 0001_000351",
        ),
        ("0011/Ärger/train/0011_000360.wav", "is in none of the folders Angry, Happy, "),
        ("0011/train/0011_000360.wav", "is in none of the folders Angry, Happy, "),
    ],
)
def test_a_stray_file_is_refused_and_the_rest_is_read(
    tmp_path: Path, stray: str, reason: str
) -> None:
    add(tmp_path, stray, "0011/Angry/train/0011_000351.wav", "0011/Angry/train/._x.wav")
    manifest = read("esd", tmp_path)
    assert manifest.table["utterance"].tolist() == ["0011_000351"]
    (refusal,) = manifest.refused
    assert refusal.file == stray
    assert refusal.reason.startswith(reason)
