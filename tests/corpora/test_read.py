from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sercli.config.schema import DatasetConfig
from sercli.corpora.read import read_corpus
from sercli.corpora.readers import READERS
from sercli.errors import RequestError
from sercli.progress import Progress
from sercli.resources import packaged

NEMO = DatasetConfig(name="nemo", reader="nemo", classes={"anger": "anger"})


def write_nemo(root: Path) -> None:
    (root / "samples").mkdir(parents=True)
    (root / "samples" / "EB0_fear_1.flac").write_bytes(b"fLaC")
    header = "file_id\temotion\traw_text\tspeaker_id\tgender"
    row = "EB0_fear_1.flac\tfear\tTak.\tEB0\tfemale"
    (root / "data.tsv").write_text(f"{header}\n{row}\n")


def test_every_reader_has_a_name() -> None:
    assert {"iemocap", "manifest", "nemo", "synthetic"} <= set(READERS.names())


def test_every_dataset_that_can_be_chosen_has_its_reader() -> None:
    choices = [yaml.safe_load(file.read_text()) for file in packaged("conf").glob("dataset/*.yaml")]
    assert {choice["reader"] for choice in choices} - {"several"} <= set(READERS.names())
    assert {"synthetic", "iemocap", "nemo", "manifest"} <= {choice["name"] for choice in choices}


def test_the_published_counts_of_iemocap_are_those_of_its_four_classes() -> None:
    iemocap = yaml.safe_load((packaged("conf") / "dataset" / "iemocap.yaml").read_text())
    assert set(iemocap["expected"]) == set(iemocap["classes"].values())
    assert sum(iemocap["expected"].values()) == 5531


def test_an_unknown_reader_names_the_nearest_one() -> None:
    with pytest.raises(RequestError, match=r"unknown reader 'iemocapp'.*'iemocap'"):
        read_corpus(replace(NEMO, reader="iemocapp"))


@pytest.mark.parametrize("root", [None, ""])
def test_a_root_that_is_not_set_is_asked_for(root: str | None) -> None:
    with pytest.raises(RequestError, match=r"dataset\.root=PATH"):
        read_corpus(replace(NEMO, root=root))


def test_a_root_that_does_not_exist_is_named(tmp_path: Path) -> None:
    root = str(tmp_path / "nowhere")
    with pytest.raises(RequestError, match=rf"dataset\.root={root}: no such file or directory"):
        read_corpus(replace(NEMO, root=root))


@pytest.mark.parametrize("name", ["folder", "file"])
def test_an_empty_root_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match=rf"dataset\.root=.*{name}: is empty"):
        read_corpus(replace(NEMO, root=str(tmp_path / name)))


def test_a_root_may_begin_with_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_nemo(tmp_path / "nemo")
    manifest = read_corpus(replace(NEMO, root="~/nemo", classes={"fear": "fear"}))
    assert manifest.table["audio"][0] == str(tmp_path / "nemo/samples/EB0_fear_1.flac")


def test_the_audio_of_a_relative_root_has_an_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_nemo(tmp_path / "nemo")
    monkeypatch.chdir(tmp_path)
    manifest = read_corpus(replace(NEMO, root="nemo", classes={"fear": "fear"}))
    assert manifest.table["audio"][0] == str(tmp_path / "nemo/samples/EB0_fear_1.flac")


def test_a_task_that_no_utterance_fits_is_told_the_emotions_that_are_there(tmp_path: Path) -> None:
    write_nemo(tmp_path / "nemo")
    with pytest.raises(RequestError, match=r"dataset\.classes.*\(anger\)\. Emotions found: fear"):
        read_corpus(replace(NEMO, root=str(tmp_path / "nemo")))


def test_a_class_that_no_utterance_has_is_still_a_class(tmp_path: Path) -> None:
    write_nemo(tmp_path / "nemo")
    classes = {"fear": "fear", "joy": "happiness"}
    manifest = read_corpus(replace(NEMO, root=str(tmp_path / "nemo"), classes=classes))
    assert manifest.classes == ("fear", "happiness")


def test_generated_speech_is_marked_whatever_reads_it(tmp_path: Path) -> None:
    write_nemo(tmp_path / "nemo")
    config = replace(NEMO, root=str(tmp_path / "nemo"), classes={"fear": "fear"}, synthetic=True)
    assert read_corpus(config).synthetic


def write_table(root: Path) -> DatasetConfig:
    rows = []
    for emotion in ("Angst", "Wut", "Überraschung"):
        (root / f"{emotion}.wav").write_bytes(b"RIFF")
        rows.append(f"{emotion},{emotion}.wav,S1,{emotion}\n")
    table = root / "mine.csv"
    table.write_text("utterance,audio,speaker,emotion\n" + "".join(rows), encoding="utf-8")
    return DatasetConfig(name="mine", reader="manifest", root=str(table))


@pytest.mark.parametrize(
    ("code", "hint"), [("Wutt", " Did you mean 'Wut'?"), ("wut", " Did you mean 'Wut'?"), ("7", "")]
)
def test_a_class_of_an_emotion_that_the_table_lacks_is_an_error(
    tmp_path: Path, code: str, hint: str
) -> None:
    config = replace(write_table(tmp_path), classes={"Angst": "fear", code: "anger"})
    with pytest.raises(RequestError) as refused:
        read_corpus(config)
    assert str(refused.value) == (
        f"dataset.classes: no utterance has the emotion '{code}'.{hint} "
        "Emotions found: Angst, Wut, Überraschung"
    )


def test_an_emotion_whose_rows_were_all_refused_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(write_table(tmp_path), classes={"Angst": "fear", "Wut": "anger"})
    (tmp_path / "Wut.wav").unlink()
    assert len(read_corpus(config, Progress()).targets) == 1
    assert "no utterance has the emotion 'Wut'" in " ".join(capsys.readouterr().err.split())


def test_a_table_may_have_a_part_of_the_emotions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = {"Angst": "fear", "Wut": "anger", "Überraschung": "surprise", "Trauer": "sadness"}
    assert (
        len(read_corpus(replace(write_table(tmp_path), classes=classes), Progress()).targets) == 3
    )
    assert "no utterance has the emotion 'Trauer'" in " ".join(capsys.readouterr().err.split())


def test_a_part_of_a_known_corpus_may_lack_emotions_but_a_typing_error_is_told(
    tmp_path: Path,
) -> None:
    write_nemo(tmp_path)
    with (tmp_path / "data.tsv").open("a") as table:
        table.write("\nEB0_anger_1.flac\tanger\tTak.\tEB0\tfemale")
    (tmp_path / "samples" / "EB0_anger_1.flac").write_bytes(b"fLaC")
    config = replace(NEMO, root=str(tmp_path))
    assert len(read_corpus(replace(config, classes={"fear": "f", "joy": "j"})).targets) == 1
    with pytest.raises(RequestError, match=r"emotion 'angre'\. Did you mean 'anger'\?"):
        read_corpus(replace(config, classes={"fear": "f", "angre": "a"}))


LOOKS = {
    "nemo": "data.tsv",
    "meld": "train_sent_emo.csv",
    "iemocap": "Session1",
    "msp_podcast": "Labels/labels_consensus.csv",
    "msp_improv": "Evaluation.txt",
    "audformat": "db.yaml",
    "crema_d": "AudioWAV/1001_DFA_ANG_XX.wav",
    "emodb": "wav/03a01Fa.wav",
    "ravdess": "Actor_01/03-01-01-01-01-01-01.wav",
    "tess": ".wav",
}
"""Reader → a file or folder that it looks for."""


@pytest.mark.parametrize("reader", LOOKS)
def test_a_wrong_root_is_answered_with_what_is_expected_and_what_is_there(
    tmp_path: Path, reader: str
) -> None:
    for name in ("photos", "song.txt", *(f"z{i}" for i in range(9))):
        (tmp_path / name).mkdir()
    with pytest.raises(RequestError) as refused:
        read_corpus(replace(NEMO, reader=reader, root=str(tmp_path)))
    message = str(refused.value)
    assert message.startswith(f"{tmp_path}: ")
    assert LOOKS[reader] in message
    assert "It holds photos/, song.txt/, z0/, z1/, z2/ and 6 more." in message
    assert "dataset.root=PATH" in message


@pytest.mark.parametrize("root", ["", "nemo", "nemo/samples", "nemo/data.tsv"])
def test_a_root_may_be_a_folder_above_the_audio_or_the_table(tmp_path: Path, root: str) -> None:
    write_nemo(tmp_path / "nemo")
    config = replace(NEMO, root=str(tmp_path / root), classes={"fear": "fear"})
    table = read_corpus(config).table
    assert table["audio"][0] == str(tmp_path / "nemo/samples/EB0_fear_1.flac")
