"""The readers of corpora whose labels are in the file names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from helpers.corpus_factory import add, audited, first, read, refusals, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from sercli.corpora.manifest import Refusal, Row
from sercli.corpora.readers.name_pattern import read_names
from sercli.errors import RequestError

LAYOUT = "a/NAME.wav"


@dataclass(frozen=True)
class Corpus:
    """One reader.

    Attributes:
        choice: Value of ``dataset``.
        file: A file, and with ``row`` what its name states.
        strays: Files that are refused, all for ``reason``.
        layout: Expected files, for the message.
    """

    choice: str
    file: str
    row: dict[str, Any]
    strays: tuple[str, ...]
    reason: str
    layout: str

    def __str__(self) -> str:
        return self.choice


CORPORA = [
    Corpus(
        "aesdd",
        "anger/a01 (3).wav",
        {"speaker": "3", "emotion": "anger", "label": "anger"},
        (
            *("anger/a01.wav", "anger/a01 1.wav", "anger/x01 (1).wav", "anger/a01 (1) copy.wav"),
            *("anger/a1 (1).wav", "anger/α01 (1).wav"),
        ),
        "the name does not match emotion, sentence (speaker), such as a01 (1)",
        "anger/a01 (1).wav",
    ),
    Corpus(
        "crema_d",
        "AudioWAV/1001_IEO_ANG_HI.wav",
        {
            "speaker": "1001",
            "emotion": "ANG",
            "label": "anger",
            "transcript": "It's eleven o'clock.",
        },
        ("1001_DFA_ANG.wav", "1001_DFA_BOR_XX.wav", "1001_DFA_ANG_XX (ö 1).wav"),
        "the name does not match actor_sentence_emotion_level, such as 1001_DFA_ANG_XX",
        "AudioWAV/1001_DFA_ANG_XX.wav",
    ),
    Corpus(
        "emodb",
        "wav/03a01Fa.wav",
        {
            "speaker": "03",
            "gender": "male",
            "emotion": "F",
            "label": "happiness",
            "transcript": "Der Lappen liegt auf dem Eisschrank.",
        },
        (
            *("wav/Lippen (1).wav", "wav/03a01F.wav", "wav/3a01Fa.wav", "wav/03a01fa.wav"),
            "wav/03a01Fa - Kopie.wav",
        ),
        "the name does not match speaker, text, emotion and version, such as 03a01Fa",
        "wav/03a01Fa.wav",
    ),
    Corpus(
        "emovo",
        "f1/rab-f1-b1.wav",
        {"speaker": "f1", "gender": "female", "emotion": "rab", "label": "anger"},
        (
            *("f1/xyz-f1-b1.wav", "f1/rab-f1.wav", "f1/rab f1 b1.wav", "f1/Füße (1).wav"),
            *("f1/rab-f1-b1 (copy).wav", "f1/RAB-F1-B1.wav"),
        ),
        "the name does not match emotion-speaker-sentence, such as rab-f1-b1",
        "f1/rab-f1-b1.wav",
    ),
    Corpus(
        "esd",
        "0011/Angry/evaluation/0011_000351.wav",
        {"speaker": "0011", "gender": "male", "emotion": "Angry", "label": "anger", "split": "dev"},
        ("0011/Angry/train/noise (1).wav",),
        "the name does not match speaker_number, such as 0001_000351",
        "0001/Angry/train/0001_000351.wav",
    ),
    Corpus(
        "ravdess",
        "Actor_11/03-01-05-01-01-02-11.wav",
        {
            "speaker": "Actor_11",
            "gender": "male",
            "emotion": "angry",
            "label": "anger",
            "transcript": "Kids are talking by the door.",
        },
        (
            "Actor_01/03-01-09-01-01-01-01.wav",  # no such emotion
            "Actor_01/03-01-03-01-01-01-25.wav",  # no such actor
            "Actor_01/03-01-03-01-01-01-00.wav",
            "Actor_01/03-01-03-01-01-01.wav",
            "Actor_01/03-01-03-01-01-01-01 (1).wav",
        ),
        "the name does not match seven numbers, such as 03-01-06-01-02-01-12",
        "Actor_01/03-01-01-01-01-01-01.wav",
    ),
    Corpus(
        "savee",
        "AudioData/DC/sa01.wav",
        {
            "utterance": "DC_sa01",
            "speaker": "DC",
            "gender": "male",
            "emotion": "sa",
            "label": "sadness",
        },
        ("AudioData/DC/s01.wav", "AudioData/DC/a1 (é).wav"),
        "the name does not match emotion and number, such as sa01 or DC_sa01",
        "AudioData/DC/a01.wav",
    ),
    Corpus(
        "shemo",
        "male/M01A01.wav",
        {"speaker": "M01", "gender": "male", "emotion": "A", "label": "anger"},
        (
            *("male/M01X01.wav", "male/X01A01.wav", "male/M1A01.wav", "male/M01A.wav"),
            *("male/M01A01 (2).wav", "male/پرونده.wav"),
        ),
        "the name does not match speaker, emotion, number, such as M01A01",
        "male/M01A01.wav",
    ),
    Corpus(
        "tess",
        "OAF_angry/OAF_back_angry.wav",
        {
            "speaker": "OAF",
            "gender": "female",
            "emotion": "angry",
            "label": "anger",
            "transcript": "Say the word back.",
        },
        ("OAF_back.wav", "OAF_back_surprise.wav", "Kopie von (ü).wav", "OAF__angry.wav"),
        "the name does not match speaker_word_emotion, such as OAF_back_angry",
        "OAF_back_angry.wav",
    ),
    Corpus(
        "turev",
        "Sound Source/Angry/1157_kz_acik.wav",
        {"speaker": "1157", "emotion": "Angry", "label": "anger"},
        (
            *("Angry/1157_xx_acik.wav", "Angry/kz_acik.wav", "Angry/1157_kz_açık.wav"),
            "Angry/1157_kz_acik (1).wav",
        ),
        "the name does not match speaker_emotion_word, such as 1157_kz_acik",
        "Sound Source/Angry/1157_kz_acik.wav",
    ),
    Corpus(
        "urdu",
        "Angry/SM1_F10_A010.wav",
        {"speaker": "SM1", "gender": "male", "emotion": "Angry", "label": "anger"},
        (
            *("Angry/SM1_F1.wav", "Angry/SX1_F1_A01.wav", "Angry/SM1_F1_X01.wav"),
            *("Angry/SM1 F1 A01.wav", "Angry/شام.wav"),
        ),
        "the name does not match speaker_file_emotion, such as SM1_F1_A01",
        "Angry/SM1_F1_A01.wav",
    ),
]
ONE_FOLDER = ("crema_d", "turev")
"""Readers of one folder only, once it is there."""

each_corpus = pytest.mark.parametrize("corpus", CORPORA, ids=str)


def emodb() -> Iterator[str]:
    counts = {"W": 127, "L": 81, "E": 46, "A": 69, "F": 71, "N": 79, "T": 62}
    speakers = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")
    texts = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
    for letter, count in counts.items():
        stems = [f"wav/{s}{t}{letter}{v}.wav" for s, t, v in product(speakers, texts, "ab")]
        yield from stems[:count]


def emovo() -> Iterator[str]:
    emotions = ("dis", "gio", "neu", "pau", "rab", "sor", "tri")
    for speaker, emotion, n in product(("f1", "f2", "f3", "m1", "m2", "m3"), emotions, range(14)):
        yield f"EMOVO/{speaker}/{emotion}-{speaker}-s{n}.wav"


def ravdess() -> Iterator[str]:
    for emotion, level, text, take, actor in product(
        range(1, 9), (1, 2), (1, 2), (1, 2), range(1, 25)
    ):
        if not (emotion == 1 and level == 2):  # nobody can be strongly neutral
            parts = f"03-01-{emotion:02}-{level:02}-{text:02}-{take:02}-{actor:02}"
            yield f"Actor_{actor:02}/{parts}.wav"


def savee() -> Iterator[str]:
    for speaker, emotion in product(
        ("DC", "JE", "JK", "KL"), ("a", "d", "f", "h", "n", "sa", "su")
    ):
        for n in range(1, 31 if emotion == "n" else 16):
            yield f"AudioData/{speaker}/{emotion}{n:02}.wav"


def tess() -> Iterator[str]:
    emotions = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
    for speaker, emotion, n in product(("OAF", "YAF"), emotions, range(200)):
        yield f"{speaker}_{emotion}/{speaker}_w{n}_{emotion}.wav"


COMPLETE = [
    pytest.param("emodb", list(emodb()), 535, 7, id="emodb"),
    pytest.param("emovo", list(emovo()), 588, 6, id="emovo"),
    pytest.param("ravdess", list(ravdess()), 1440, 24, id="ravdess"),
    pytest.param("savee", list(savee()), 480, 4, id="savee"),
    pytest.param("tess", list(tess()), 2800, 2, id="tess"),
]


@each_corpus
def test_the_name_of_a_file_states_its_labels(corpus: Corpus, tmp_path: Path) -> None:
    add(tmp_path, corpus.file)
    expected = {"utterance": Path(corpus.file).stem, "audio": str(tmp_path / corpus.file)}
    manifest = read(corpus.choice, tmp_path)
    assert first(manifest) == expected | corpus.row
    assert manifest.refused == ()


@each_corpus
def test_a_stray_file_is_refused_and_the_rest_is_read(corpus: Corpus, tmp_path: Path) -> None:
    root = tmp_path / Path(corpus.file).parts[0] if corpus.choice in ONE_FOLDER else tmp_path
    place = Path(corpus.file)
    add(tmp_path, corpus.file, str(place.with_name(f"._{place.name}")), "notes/documents (ü).pdf")
    add(root, *corpus.strays)
    manifest = read(corpus.choice, tmp_path)
    assert rows(manifest, "audio") == [(str(tmp_path / corpus.file),)]
    assert refusals(manifest) == dict.fromkeys(corpus.strays, corpus.reason)


@each_corpus
def test_a_root_of_another_layout_is_told_what_is_expected(corpus: Corpus, tmp_path: Path) -> None:
    add(tmp_path, "other corpus.wav")
    with pytest.raises(RequestError) as error:
        read(corpus.choice, tmp_path)
    assert "no match in 1 file, the first one other corpus.wav: " in str(error.value)
    assert f"; expected {corpus.layout}" in str(error.value)
    assert "dataset.root=PATH" in str(error.value)


def test_of_a_corpus_unpacked_twice_each_utterance_counts_once(tmp_path: Path) -> None:
    add(tmp_path, "EMOVO/f1/rab-f1-b1.wav", "f1/rab-f1-b1.wav")
    manifest = read("emovo", tmp_path)
    assert manifest.table["audio"].tolist() == [str(tmp_path / "EMOVO/f1/rab-f1-b1.wav")]
    reason = "rab-f1-b1 is already read from EMOVO/f1/rab-f1-b1.wav"
    assert manifest.refused == (Refusal("f1/rab-f1-b1.wav", reason),)


@pytest.mark.parametrize(("choice", "files", "utterances", "speakers"), COMPLETE)
def test_the_complete_corpus_has_the_published_counts(
    choice: str, files: list[str], utterances: int, speakers: int, tmp_path: Path
) -> None:
    add(tmp_path, *files)
    for each in (choice, f"{choice}_full"):
        found = audited(each, tmp_path)
        assert (found.utterances, len(found.speakers)) == (utterances, speakers)
        assert found.refused == ()
        assert found.expected is not None
        assert found.expected.ok
        assert found.context.neither == found.targets  # no dialogues, and no mistake


def test_every_name_that_is_possible_is_read(tmp_path: Path) -> None:
    aesdd = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "s": "sadness"}
    expected = {
        "aesdd_full": {
            f"{code}{sentence:02} ({speaker})": (str(speaker), emotion)
            for (code, emotion), sentence, speaker in product(aesdd.items(), (1, 20), (1, 6, 12))
        },
        "emovo_full": {
            f"{emotion}-{speaker}-{sentence}": (speaker, emotion)
            for emotion, speaker, sentence in product(
                ("dis", "gio", "neu", "pau", "rab", "sor", "tri"), ("f1", "m3"), ("b1", "nw10")
            )
        },
        "shemo_full": {
            f"{sex}{speaker:02}{emotion}{number:02}": (f"{sex}{speaker:02}", emotion)
            for sex, speaker, emotion, number in product("FM", (1, 56), "AFHNSW", (1, 99, 100))
        },
    }
    for choice, names in expected.items():
        add(tmp_path / choice, *(f"{name}.wav" for name in names))
        found = rows(read(choice, tmp_path / choice), "utterance", "speaker", "emotion")
        assert {name: (speaker, emotion) for name, speaker, emotion in found} == names


@settings(max_examples=10, deadline=None)
@given(
    st.sets(
        st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=30),
        min_size=5,
        max_size=20,
    )
)
def test_any_name_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, stems: set[str]
) -> None:
    root = tmp_path_factory.mktemp("emodb")
    add(root, "wav/03a01Fa.wav", *(f"other/x{stem}.wav" for stem in stems))
    manifest = read("emodb", root)
    assert rows(manifest, "utterance") == [("03a01Fa",)]
    assert len(manifest.refused) == len(stems)


def row(place: Path) -> Row:
    if place.stem == "odd":
        raise ValueError("has an odd name")
    return {"utterance": place.stem}


def test_every_name_gives_a_row_or_a_refusal(tmp_path: Path) -> None:
    add(tmp_path, "x.wav", "odd.wav")
    rows, refused = read_names(tmp_path, row, LAYOUT)
    assert rows == [{"utterance": "x", "audio": str(tmp_path / "x.wav")}]
    assert refused == [Refusal("odd.wav", "has an odd name")]


def test_of_two_files_of_an_utterance_the_second_one_is_refused(tmp_path: Path) -> None:
    add(tmp_path, "a/x.wav", "b/x.wav", "b/x.flac")
    rows, refused = read_names(tmp_path, row, LAYOUT)
    assert [each["audio"] for each in rows] == [str(tmp_path / "a/x.wav")]
    assert refused == [
        Refusal("b/x.flac", "x is already read from a/x.wav"),
        Refusal("b/x.wav", "x is already read from a/x.wav"),
    ]


def test_a_root_without_audio_is_told_what_was_expected(tmp_path: Path) -> None:
    add(tmp_path, "readme.txt")
    with pytest.raises(RequestError) as error:
        read_names(tmp_path, row, LAYOUT)
    assert str(error.value) == (
        f"{tmp_path}: no audio file is there; expected a/NAME.wav. It holds readme.txt. "
        "Set the folder of the corpus with dataset.root=PATH"
    )


def test_a_root_with_audio_of_another_corpus_is_told_why_it_does_not_fit(tmp_path: Path) -> None:
    add(tmp_path, "odd.wav", "sub/odd.wav")
    message = r"no match in 2 files, the first one odd\.wav: has an odd name; expected a/NAME\.wav"
    with pytest.raises(RequestError, match=message):
        read_names(tmp_path, row, LAYOUT)
