from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpus_factory import add, read, refusals, rows, unused

from sercli.errors import RequestError

HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"


def line(
    number: int,
    emotion: str = "N",
    speaker: str = "127",
    gender: str = "Male",
    split: str = "Train",
    podcast: int = 1,
) -> str:
    name = f"MSP-PODCAST_{podcast:04}_{number:04}.wav"
    return f"{name},{emotion},4.2,3.8,4.6,{speaker},{gender},{split}"


def labels(
    root: Path, *lines: str, name: str = "labels_consensus.csv", encoding: str = "utf-8"
) -> None:
    add(root, f"Labels/{name}", content="\n".join([HEADER, *lines, ""]).encode(encoding))


def audio(root: Path, *numbers: int, podcast: int = 1) -> None:
    add(root, *(f"Audios/MSP-PODCAST_{podcast:04}_{number:04}.wav" for number in numbers))


def test_every_column_of_an_utterance_is_read(tmp_path: Path) -> None:
    audio(tmp_path, 8, 9)
    labels(tmp_path, line(8, "H", "127", "Female"), line(9, "X", "Unknown", "Unknown", "Test1"))
    manifest = read("msp_podcast", tmp_path)
    columns = ("utterance", "audio", "speaker", "gender", "emotion", "label", "split")
    folder = tmp_path / "Audios"
    assert rows(manifest, *columns) == [
        (
            *("MSP-PODCAST_0001_0008", str(folder / "MSP-PODCAST_0001_0008.wav")),
            *("127", "female", "H", "happiness", "train"),
        ),
        (
            *("MSP-PODCAST_0001_0009", str(folder / "MSP-PODCAST_0001_0009.wav")),
            *("Unknown_MSP-PODCAST_0001", None, "X", None, "test"),
        ),
    ]
    assert rows(manifest, "arousal", "valence", "dominance")[0] == (4.2, 3.8, 4.6)
    assert unused(manifest, ("session", "dialogue", "turn", "start", "transcript"))
    assert manifest.refused == ()


def test_unknown_speakers_are_not_one_person_all_over_the_corpus(tmp_path: Path) -> None:
    for podcast in (1, 2):
        audio(tmp_path, 1, 2, podcast=podcast)
    labels(
        *(tmp_path, line(1, speaker="Unknown"), line(2, speaker="Unknown")),
        *(line(1, speaker="unknown", podcast=2), line(2, speaker="7", podcast=2)),
    )
    assert rows(read("msp_podcast", tmp_path), "speaker") == [
        ("Unknown_MSP-PODCAST_0001",),
        ("Unknown_MSP-PODCAST_0001",),
        ("Unknown_MSP-PODCAST_0002",),
        ("7",),
    ]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Train", "train"),
        ("Validation", "dev"),
        ("Development", "dev"),
        ("Test1", "test"),
        ("Test2", "test2"),
        ("test3", "test3"),
    ],
)
def test_official_splits_have_the_names_of_the_protocol(
    tmp_path: Path, name: str, split: str
) -> None:
    audio(tmp_path, 1)
    labels(tmp_path, line(1, split=name))
    assert rows(read("msp_podcast", tmp_path), "split") == [(split,)]


def test_all_eight_emotions_can_be_chosen_and_two_codes_are_none(tmp_path: Path) -> None:
    codes = "AHSNUFDCOX"
    audio(tmp_path, *range(10))
    labels(tmp_path, *(line(number, code) for number, code in enumerate(codes)))
    four = [label for (label,) in rows(read("msp_podcast", tmp_path), "label")]
    assert four == ["anger", "happiness", "sadness", "neutral", *[None] * 6]
    eight = [label for (label,) in rows(read("msp_podcast_full", tmp_path), "label")]
    assert eight == [*four[:4], "surprise", "fear", "disgust", "contempt", None, None]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("name", ["labels_consensus.csv", "labels_concensus.csv"])
def test_the_table_is_read_in_both_spellings_and_every_encoding(
    tmp_path: Path, name: str, encoding: str
) -> None:
    audio(tmp_path, 1)
    labels(tmp_path, line(1, speaker="Zoë"), name=name, encoding=encoding)
    assert rows(read("msp_podcast", tmp_path), "speaker") == [("Zoë",)]


def test_a_table_without_genders_is_read(tmp_path: Path) -> None:
    audio(tmp_path, 1)
    text = "FileName,EmoClass,SpkrID,Split_Set\nMSP-PODCAST_0001_0001.wav,A,1,Train\n"
    add(tmp_path, "Labels/labels_consensus.csv", content=text.encode())
    assert rows(read("msp_podcast", tmp_path), "label", "gender") == [("anger", None)]


def test_what_cannot_be_used_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    audio(tmp_path, 1, 2, 3)
    add(tmp_path, "Audios/._MSP-PODCAST_0001_0001.wav", "Audios/Kopie (ü).wav")
    add(tmp_path, "Backup/MSP-PODCAST_0001_0001.wav")
    labels(
        *(tmp_path, line(1), line(1, "A"), line(4), "a stray line"),
        *(line(2, split="Test9"), line(2, speaker="")),
    )
    manifest = read("msp_podcast", tmp_path)
    assert rows(manifest, "utterance", "emotion") == [("MSP-PODCAST_0001_0001", "N")]
    first = "Audios/MSP-PODCAST_0001_0001.wav"
    assert refusals(manifest) == {
        "labels_consensus.csv:3": "MSP-PODCAST_0001_0001 is already labelled",
        "labels_consensus.csv:4": "MSP-PODCAST_0001_0004.wav is missing",
        "labels_consensus.csv:5": "the line has 1 value, the header 8",
        "labels_consensus.csv:6": "Split_Set 'Test9' is none of train, development, validation, "
        "test1, test2, test3",
        "labels_consensus.csv:7": "has no SpkrID",
        "Backup/MSP-PODCAST_0001_0001.wav": f"MSP-PODCAST_0001_0001 is already read from {first}",
        "Audios/MSP-PODCAST_0001_0002.wav": "has no label",
        "Audios/MSP-PODCAST_0001_0003.wav": "has no label",
        "Audios/Kopie (ü).wav": "has no label",
    }


def test_a_root_without_the_table_is_told_what_was_expected(tmp_path: Path) -> None:
    audio(tmp_path, 1)
    with pytest.raises(RequestError, match=r"has no Labels/labels_consensus.*dataset\.root=PATH"):
        read("msp_podcast", tmp_path)


def test_a_table_without_emotions_names_the_nearest_column(tmp_path: Path) -> None:
    audio(tmp_path, 1)
    text = HEADER.replace("EmoClass", "Emo_Classes")
    add(tmp_path, "Labels/labels_consensus.csv", content=text.encode())
    with pytest.raises(RequestError, match=r"no column 'EmoClass'.*mean 'Emo_Classes'"):
        read("msp_podcast", tmp_path)


@pytest.mark.parametrize(
    "table",
    [
        "FileName,Workers,EmoClass_Major,EmoAct\n{0},W1,Angry,4\n{0},W2,Furious,5\n",
        'FileName,EmoDetail\n{0},"W1; Angry; Angry,Sad; A:4.0; V:2.0; D:3.0;"\n'
        '{0},"W2; Furious; Angry; A:4.0;"\n',
    ],
)
def test_the_primary_emotion_of_each_rater_is_read(tmp_path: Path, table: str) -> None:
    name = "MSP-PODCAST_0001_0008"
    audio(tmp_path, 8)
    labels(tmp_path, line(8, "A"))
    add(tmp_path, "Labels/labels_detailed.csv", content=table.format(f"{name}.wav").encode())
    manifest = read("msp_podcast", tmp_path)
    assert manifest.ratings[["utterance", "rater", "emotion"]].to_numpy().tolist() == [
        [name, "W1", "A"],
        [name, "W2", "O"],
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"FileName,Who\nx.wav,W1\n", "has no column 'Workers'"), (None, "cannot be read")],
)
def test_a_table_of_raters_that_cannot_be_read_is_refused_and_the_corpus_is_read(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    audio(tmp_path, 8)
    labels(tmp_path, line(8, "A"))
    if content is None:
        (tmp_path / "Labels/labels_detailed.csv").mkdir()
    else:
        add(tmp_path, "Labels/labels_detailed.csv", content=content)
    manifest = read("msp_podcast", tmp_path)
    assert len(manifest.table) == 1
    assert manifest.ratings.empty
    assert "single raters are not read" in refusals(manifest)["labels_detailed.csv"]
    assert reason in refusals(manifest)["labels_detailed.csv"]
