from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.corpus_factory import add, audited, chosen, read, refusals, rows, unused

from sercli.config.schema import ContextConfig
from sercli.corpora.context import find_context
from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError

HEADER = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,"
    "StartTime,EndTime"
)
FOLDERS = {
    "train": "train_splits",
    "dev": "dev_splits_complete",
    "test": "output_repeated_splits_test",
}


def line(
    dialogue: int,
    turn: int,
    speaker: str = "Joey",
    emotion: str = "joy",
    text: str = "Hey!",
    start: str = "00:16:16,059",
    end: str = "00:16:21,731",
) -> str:
    parts = (1, f'"{text}"', speaker, emotion, "positive", dialogue, turn, 8, 21)
    return ",".join(map(str, (*parts, f'"{start}"', f'"{end}"')))


def table(root: Path, split: str, *lines: str, encoding: str = "utf-8") -> None:
    text = "\r\n".join([HEADER, *lines, ""])
    add(root, f"{split}_sent_emo.csv", content=text.encode(encoding))


def audio(root: Path, split: str, *names: str) -> None:
    add(root, *(f"{FOLDERS[split]}/{name}.wav" for name in names))


def one_of_each(root: Path) -> None:
    for split in FOLDERS:
        table(root, split, line(0, 0))
        audio(root, split, "dia0_utt0")


def transcripts(manifest: Manifest) -> list[str]:
    return manifest.table["transcript"].tolist()


def test_every_column_of_a_turn_is_read(tmp_path: Path) -> None:
    one_of_each(tmp_path)
    table(tmp_path, "dev", line(3, 7, "The Fireman", "disgust", "Well, no."))
    (tmp_path / FOLDERS["dev"] / "dia0_utt0.wav").rename(
        tmp_path / FOLDERS["dev"] / "dia3_utt7.wav"
    )
    manifest = read("meld", tmp_path)
    row = manifest.table.iloc[1]
    expected = {
        "utterance": "dev_dia3_utt7",
        "audio": str(tmp_path / "dev_splits_complete/dia3_utt7.wav"),
        "start": 16 * 60 + 16.059,
        "end": 16 * 60 + 21.731,
        "speaker": "The Fireman",
        "dialogue": "dev_dia3",
        "turn": 7,
        "emotion": "disgust",
        "split": "dev",
        "improvised": False,
        "transcript": "Well, no.",
    }
    assert {column: row[column] for column in expected} == expected
    assert unused(manifest, ("audio_start", "audio_end", "gender", "session"))
    assert rows(manifest, "label") == [("happiness",), (None,), ("happiness",)]
    assert manifest.refused == ()


def test_ids_that_start_anew_in_every_split_stay_apart(tmp_path: Path) -> None:
    one_of_each(tmp_path)
    manifest = read("meld", tmp_path)
    assert rows(manifest, "utterance", "dialogue", "split", "audio") == [
        (f"{split}_dia0_utt0", f"{split}_dia0", split, str(tmp_path / f"{folder}/dia0_utt0.wav"))
        for split, folder in FOLDERS.items()
    ]


def test_the_interlocutor_is_any_other_speaker_of_the_dialogue(tmp_path: Path) -> None:
    one_of_each(tmp_path)
    speakers = ("Joey", "Monica", "Chandler", "Joey", "Joey")
    table(tmp_path, "train", *(line(0, turn, who) for turn, who in enumerate(speakers)))
    audio(tmp_path, "train", *(f"dia0_utt{turn}" for turn in range(5)))
    context = find_context(read("meld", tmp_path), ContextConfig())
    last = context.loc["train_dia0_utt3"]
    assert (last["own"], last["interlocutor"]) == ("train_dia0_utt0", "train_dia0_utt2")
    assert context.loc["train_dia0_utt0"].isna().all()
    assert context.loc["dev_dia0_utt0"].isna().all()  # not the turn of train's dialogue 0


def test_all_seven_emotions_can_be_chosen(tmp_path: Path) -> None:
    one_of_each(tmp_path)
    emotions = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
    table(tmp_path, "train", *(line(0, i, emotion=each) for i, each in enumerate(emotions)))
    audio(tmp_path, "train", *(f"dia0_utt{turn}" for turn in range(7)))
    manifest = read("meld_full", tmp_path)
    labels = rows(manifest, "label")[:7]
    assert labels == [(each.replace("joy", "happiness"),) for each in emotions]
    assert set(chosen("meld_full", tmp_path).expected) == set(manifest.classes)


def test_a_turn_without_audio_is_refused_with_the_remedy(tmp_path: Path) -> None:
    """As the corrupt video of train and the missing one of dev."""
    one_of_each(tmp_path)
    table(tmp_path, "train", line(125, 3), line(0, 0))
    add(tmp_path, "train_splits/dia125_utt3.mp4")
    manifest = read("meld", tmp_path)
    assert len(manifest.table) == 3
    assert refusals(manifest) == {
        "train_sent_emo.csv:2": "train_splits/dia125_utt3.wav is missing; extract it from the "
        "video with `ffmpeg -i dia125_utt3.mp4 -ac 1 -ar 16000 dia125_utt3.wav`"
    }


def test_a_corpus_of_nothing_but_videos_is_one_clear_error(tmp_path: Path) -> None:
    for split, folder in FOLDERS.items():
        table(tmp_path, split, line(0, 0))
        add(tmp_path, f"{folder}/dia0_utt0.mp4")
    with pytest.raises(RequestError, match=r"all were refused \(3\).*extract it from the video"):
        read("meld", tmp_path)


def test_audio_without_a_label_is_refused(tmp_path: Path) -> None:
    one_of_each(tmp_path)
    extra = "output_repeated_splits_test/final_videos_testdia93_utt5.wav"
    add(tmp_path, extra, "train_splits/._dia0_utt0.wav", "trailer (ü).wav")
    manifest = read("meld", tmp_path)
    assert len(manifest.table) == 3
    assert refusals(manifest) == {extra: "has no label", "trailer (ü).wav": "has no label"}


def test_stray_lines_and_second_labels_are_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    one_of_each(tmp_path)
    table(
        *(tmp_path, "train", line(0, 0), line(0, 0, emotion="fear"), "a stray line"),
        *(line(0, 1, emotion=""), line(0, 1).replace("joy,positive,0", "joy,positive,zero")),
        *(line(0, 1, start="soon"), line(0, 2)),
    )
    audio(tmp_path, "train", "dia0_utt1", "dia0_utt2")
    manifest = read("meld", tmp_path)
    assert rows(manifest, "utterance")[:2] == [("train_dia0_utt0",), ("train_dia0_utt2",)]
    assert rows(manifest, "emotion")[0] == ("joy",)
    assert refusals(manifest) == {
        "train_sent_emo.csv:3": "train_dia0_utt0 is already labelled",
        "train_sent_emo.csv:4": "the line has 1 value, the header 11",
        "train_sent_emo.csv:5": "has no Emotion",
        "train_sent_emo.csv:6": "Dialogue_ID 'zero' is not a whole number",
        "train_sent_emo.csv:7": "StartTime 'soon' is not a time such as 00:16:16,059",
        "train_splits/dia0_utt1.wav": "has no label",
    }


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16"])
def test_the_letters_of_windows_are_read_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    one_of_each(tmp_path)
    table(tmp_path, "train", line(0, 0, text="You’re – naïve…"), encoding=encoding)
    assert transcripts(read("meld", tmp_path))[0] == "You’re – naïve…"


def test_letters_that_a_conversion_has_made_control_codes_are_put_back(tmp_path: Path) -> None:
    one_of_each(tmp_path)
    table(tmp_path, "train", line(0, 0, text="You\x92re"))
    assert transcripts(read("meld", tmp_path))[0] == "You’re"


def test_a_clip_of_several_minutes_is_read_whole(tmp_path: Path) -> None:
    one_of_each(tmp_path)
    table(tmp_path, "test", line(0, 0, start="00:10:00,000", end="0:15:05.5"))
    row = read("meld", tmp_path).table.iloc[2]
    assert row["end"] - row["start"] == 305.5
    assert row[["audio_start", "audio_end"]].isna().all()


def test_tables_and_media_may_lie_in_folders_of_their_own(tmp_path: Path) -> None:
    for split, folder in FOLDERS.items():
        table(tmp_path / split, split, line(0, 0))
        add(tmp_path, f"{split}/{folder}/dia0_utt0.wav")
    manifest = read("meld", tmp_path)
    assert rows(manifest, "split") == [("train",), ("dev",), ("test",)]
    assert manifest.refused == ()


def test_a_missing_split_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    one_of_each(tmp_path)
    (tmp_path / "dev_sent_emo.csv").unlink()
    manifest = read("meld", tmp_path)
    assert rows(manifest, "split") == [("train",), ("test",)]
    assert refusals(manifest) == {
        "dev_sent_emo.csv": "is missing, and with it the dev split",
        "dev_splits_complete/dia0_utt0.wav": "has no label",
    }


def test_a_root_without_a_table_is_told_what_was_expected(tmp_path: Path) -> None:
    add(tmp_path, "wav/03a01Fa.wav")
    message = r"has no train_sent_emo\.csv; expected .*train_splits.*dataset\.root=PATH"
    with pytest.raises(RequestError, match=message):
        read("meld", tmp_path)


def test_a_table_without_speakers_names_the_nearest_column(tmp_path: Path) -> None:
    one_of_each(tmp_path)
    add(tmp_path, "dev_sent_emo.csv", content=HEADER.replace("Speaker", "Speakers").encode())
    with pytest.raises(RequestError, match=r"no column 'Speaker'.*mean 'Speakers'"):
        read("meld", tmp_path)


@pytest.mark.exhaustive
def test_the_complete_corpus_has_the_published_counts(tmp_path: Path) -> None:
    """As many turns as in the corpus; every dialogue has ten here."""
    emotions = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
    counts = {
        "train": (1109, 271, 268, 1743, 4710, 683, 1205),
        "dev": (153, 22, 40, 163, 470, 111, 150),
        "test": (345, 68, 50, 402, 1256, 208, 281),
    }
    for split, numbers in counts.items():
        spoken = np.repeat(emotions, numbers)
        table(
            tmp_path, split, *(line(*divmod(i, 10), emotion=each) for i, each in enumerate(spoken))
        )
        audio(tmp_path, split, *(f"dia{i // 10}_utt{i % 10}" for i in range(len(spoken))))
    found = audited("meld_full", tmp_path)
    assert found.targets == 9989 + 1109 + 2610
    assert found.expected is not None
    assert found.expected.ok
    four = chosen("meld", tmp_path).expected
    assert four.items() <= chosen("meld_full", tmp_path).expected.items()
    assert sum(four.values()) == 8245 + 897 + 2211
