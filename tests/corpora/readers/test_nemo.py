from __future__ import annotations

import os
from pathlib import Path

import pytest

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Refusal
from sercli.corpora.read import read_corpus
from sercli.errors import RequestError

HEADER = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"
CLASSES = {name: name for name in ("anger", "happiness", "neutral", "sadness")}
REAL = Path(os.environ.get("SERCLI_NEMO", Path(__file__).parents[4] / "shared/data/nemo"))


def read(root: Path) -> Manifest:
    return read_corpus(
        DatasetConfig(name="nemo", reader="nemo", root=str(root), classes=dict(CLASSES))
    )


def line(file: str, emotion: str = "anger", text: str = "Lubię czytać.") -> str:
    return f"{file}\t{emotion}\t{text}\t{text.lower()}\t        {file[:3]}\tfemale\t27"


def write(root: Path, *lines: str, files: tuple[str, ...] = ()) -> None:
    (root / "samples").mkdir()
    (root / "data.tsv").write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    for file in files:
        (root / "samples" / file).write_bytes(b"fLaC")


def test_every_column_of_an_utterance_is_read_without_stray_spaces(tmp_path: Path) -> None:
    file = "EB0_anger_1.flac"
    write(tmp_path, line(file), files=(file,))
    row = read(tmp_path).table.iloc[0]
    assert row["utterance"] == "EB0_anger_1"
    assert row["audio"] == str(tmp_path / "samples" / file)
    assert row["speaker"] == "EB0"
    assert row["gender"] == "female"
    assert row["emotion"] == row["label"] == "anger"
    assert row["transcript"] == "Lubię czytać."
    assert row[["session", "dialogue", "turn", "start", "split"]].isna().all()


def test_wav_and_flac_copies_give_the_same_ids(tmp_path: Path) -> None:
    files = ("EB0_anger_1.wav", "EB0_anger_2.flac")
    write(tmp_path, *map(line, files), files=files)
    assert read(tmp_path).table["utterance"].tolist() == ["EB0_anger_1", "EB0_anger_2"]


@pytest.mark.parametrize("file", ["samples/EB0_anger_1.WAV", "EB0_anger_1.flac", "EB0_anger_1.mp3"])
def test_audio_may_be_converted_or_beside_the_table(tmp_path: Path, file: str) -> None:
    write(tmp_path, line("EB0_anger_1.flac"))
    (tmp_path / file).write_bytes(b"RIFF")
    assert read(tmp_path).table["audio"].tolist() == [str(tmp_path / file)]


def test_a_quotation_mark_is_part_of_the_text(tmp_path: Path) -> None:
    files = ("EB0_anger_1.flac", "EB0_anger_2.flac")
    write(tmp_path, line(files[0], text='"Tak" i nie'), line(files[1], text='"Nie'), files=files)
    assert read(tmp_path).table["transcript"].tolist() == ['"Tak" i nie', '"Nie']


def test_what_cannot_be_used_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    good = "EB0_anger_1.flac"
    lines = ("a stray line", line("EB0_anger_2.flac"), line("EB0_anger_3.flac", ""), line(good))
    write(tmp_path, *lines, files=(good,))
    manifest = read(tmp_path)
    assert manifest.table["utterance"].tolist() == ["EB0_anger_1"]
    assert set(manifest.refused) == {
        Refusal("data.tsv:2", "the line has 1 value, the header 7"),
        Refusal("data.tsv:3", "samples/EB0_anger_2.flac is missing"),
        Refusal("data.tsv:4", "has no emotion"),
    }


def test_a_turn_that_is_listed_twice_counts_once(tmp_path: Path) -> None:
    files = ("EB0_anger_1.flac", "EB0_anger_2.flac")
    write(tmp_path, *map(line, files), line(files[0], "sadness"), files=files)
    manifest = read(tmp_path)
    assert manifest.table["emotion"].tolist() == ["anger", "anger"]
    assert manifest.refused == (
        Refusal("data.tsv:4", "EB0_anger_1 is already listed in data.tsv:2"),
    )


def test_a_root_without_the_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    with pytest.raises(RequestError, match=r"no data\.tsv; expected .* It holds samples/\."):
        read(tmp_path)


def test_a_table_without_speakers_is_refused_with_the_nearest_column(tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_text(HEADER.replace("speaker_id", "speaker") + "\n")
    with pytest.raises(RequestError, match=r"no column 'speaker_id'.*mean 'speaker'"):
        read(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no nEMO at {REAL}; set SERCLI_NEMO")
def test_the_real_slice_is_read_whole() -> None:
    manifest = read(REAL)
    assert len(manifest.table) == 1017
    assert manifest.refused == ()
    counts = manifest.targets["label"].value_counts().to_dict()
    assert counts == {"anger": 170, "happiness": 180, "neutral": 179, "sadness": 175}
    assert sorted(set(manifest.table["speaker"])) == [
        *("EB0", "IC0", "KD0", "KS0", "MK0", "MP0", "SM0", "TP0", "WR0")
    ]
    assert set(manifest.table["gender"]) == {"female", "male"}
