from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import audformat
import pandas as pd
import pytest
from helpers.corpus_factory import add, chosen, first, refusals, rows

from sercli.corpora.manifest import Manifest
from sercli.corpora.read import read_corpus
from sercli.errors import RequestError

GENDERS = {"s1": {"gender": "female"}, "s2": {"gender": "male"}, "s3": {"gender": "other"}}


def files(*names: str) -> pd.Index[Any]:
    index: pd.Index[Any] = audformat.filewise_index(list(names))
    return index


def table(
    database: audformat.Database,
    name: str,
    index: pd.Index[Any],
    split: str | None = None,
    **columns: Any,
) -> None:
    """Add a table; a column has the scheme of its name, where there is one."""
    database[name] = audformat.Table(index, split_id=split)
    for column, values in columns.items():
        scheme = column if column in database.schemes else None
        database[name][column] = audformat.Column(scheme_id=scheme)
        database[name][column].set(list(values))


def new_database(**schemes: Any) -> audformat.Database:
    database = audformat.Database("mine")
    labels = {"emotion": ["anger", "fear", "neutral", "sadness"], "speaker": GENDERS} | schemes
    for name, values in labels.items():
        database.schemes[name] = audformat.Scheme(labels=values)
    return database


def save(database: audformat.Database, root: Path, storage: str = "csv") -> None:
    database.save(str(root), storage_format=storage)
    add(root, *database.files)


def read(root: Path, options: Mapping[str, Any] | None = None) -> Manifest:
    config = chosen("audformat", root)
    return read_corpus(replace(config, options=config.options | dict(options or {})))


def simple(root: Path, storage: str = "csv") -> None:
    database = new_database()
    names = files("a.wav", "b.wav")
    table(database, "emotion", names, emotion=["anger", "neutral"], speaker=["s1", "s2"])
    save(database, root, storage)


@pytest.mark.parametrize("storage", ["csv", "parquet"])
def test_every_column_of_an_utterance_is_read(tmp_path: Path, storage: str) -> None:
    database = new_database(transcription={"t1": "Grüß Gott."})
    database.splits["tr"] = audformat.Split("train")
    names = files("wav/a b (1).wav", "wav/ü.wav")
    table(database, "emotion.train", names, "tr", emotion=["anger", "fear"])
    speakers, sessions = ["s2", "s1"], ["one", "two"]
    texts = ["t1", None]
    table(database, "files", names, speaker=speakers, session=sessions, transcription=texts)
    save(database, tmp_path, storage)
    manifest = read(tmp_path)
    assert first(manifest) == {
        "utterance": "wav/a b (1).wav",
        "audio": str(tmp_path / "wav/a b (1).wav"),
        "speaker": "s2",
        "gender": "male",
        "session": "one",
        "emotion": "anger",
        "label": "anger",
        "split": "train",
        "transcript": "Grüß Gott.",
    }
    assert rows(manifest, "utterance", "label", "transcript")[1] == ("wav/ü.wav", None, None)
    assert manifest.refused == ()


def test_a_segment_is_cut_out_of_its_file_and_has_its_speaker(tmp_path: Path) -> None:
    database = new_database()
    times = {"starts": ["0s", "1.5s", "0s"], "ends": ["1.5s", pd.NaT, pd.NaT]}
    segments = audformat.segmented_index(["a.wav", "a.wav", "b.wav"], **times)
    table(database, "emotion", segments, emotion=["anger", "fear", "sadness"])
    table(database, "files", files("a.wav", "b.wav"), speaker=["s1", "s2"])
    save(database, tmp_path)
    columns = ("utterance", "audio_start", "audio_end", "speaker", "emotion")
    assert rows(read(tmp_path), *columns) == [
        ("a.wav:0.0-1.5", 0.0, 1.5, "s1", "anger"),
        ("a.wav:1.5-", 1.5, None, "s1", "fear"),
        ("b.wav", None, None, "s2", "sadness"),
    ]


def test_codes_are_replaced_by_what_they_stand_for(tmp_path: Path) -> None:
    database = new_database(emotion={"W": "anger", "A": "fear"})
    table(database, "emotion", files("a.wav", "b.wav"), emotion=["W", "A"], speaker=["s1", "s1"])
    save(database, tmp_path)
    assert read(tmp_path).table["emotion"].tolist() == ["anger", "fear"]


def test_what_is_known_of_the_speakers_may_stand_in_a_table_of_its_own(tmp_path: Path) -> None:
    database = audformat.Database("mine")
    people = audformat.MiscTable(pd.Index(["s1", "s2"], name="speaker", dtype="string"))
    database["people"] = people
    database["people"]["gender"] = audformat.Column()
    database["people"]["gender"].set(["female", "male"])
    database.schemes["speaker"] = audformat.Scheme(labels="people", dtype="str")
    table(database, "t", files("a.wav", "b.wav"), emotion=["anger", "fear"], speaker=["s2", "s1"])
    save(database, tmp_path)
    assert read(tmp_path).table["gender"].tolist() == ["male", "female"]


def test_a_gender_that_is_neither_is_unknown(tmp_path: Path) -> None:
    database = new_database()
    table(database, "emotion", files("a.wav"), emotion=["anger"], speaker=["s3"])
    save(database, tmp_path)
    assert "gender" not in first(read(tmp_path))


def test_numbers_that_name_speakers_are_text(tmp_path: Path) -> None:
    database = audformat.Database("mine")
    database.schemes["speaker"] = audformat.Scheme("int")
    table(database, "emotion", files("a.wav", "b.wav"), emotion=["anger"] * 2, speaker=[3, None])
    save(database, tmp_path)
    manifest = read(tmp_path)
    assert rows(manifest, "utterance", "speaker") == [("a.wav", "3")]
    assert refusals(manifest) == {"b.wav": "has no speaker"}


def test_the_database_may_call_things_otherwise(tmp_path: Path) -> None:
    database = audformat.Database("mine")
    database.schemes["category"] = audformat.Scheme(labels=["anger", "fear"])
    table(database, "t", files("a.wav"), category=["anger"], actor=["x"], words=["Hello."])
    save(database, tmp_path)
    options = {"emotion": "category", "speaker": "actor", "transcript": "words"}
    row = first(read(tmp_path, options))
    assert (row["emotion"], row["speaker"], row["transcript"]) == ("anger", "x", "Hello.")


def test_only_the_tables_that_are_asked_for_tell_the_emotion(tmp_path: Path) -> None:
    database = new_database()
    table(database, "emotion.gold", files("a.wav"), emotion=["anger"])
    table(database, "emotion.rater", files("a.wav", "b.wav"), emotion=["fear", "fear"])
    table(database, "files", files("a.wav", "b.wav"), speaker=["s1", "s2"])
    save(database, tmp_path)
    manifest = read(tmp_path, {"tables": "*.gold"})
    assert rows(manifest, "utterance", "emotion") == [("a.wav", "anger")]
    assert manifest.refused == ()


def test_tables_that_agree_about_an_utterance_make_it_one(tmp_path: Path) -> None:
    database = new_database()
    database.splits["test"] = audformat.Split("test")
    for name, split in (("all", None), ("test", "test")):
        table(database, name, files("a.wav"), split, emotion=["anger"], speaker=["s1"])
    save(database, tmp_path)
    manifest = read(tmp_path)
    assert rows(manifest, "utterance", "split") == [("a.wav", "test")]
    assert manifest.refused == ()


def test_an_utterance_about_which_tables_disagree_is_refused(tmp_path: Path) -> None:
    database = new_database()
    for split in ("train", "test"):
        database.splits[split] = audformat.Split(split)
    names = files("a.wav", "b.wav", "c.wav")
    table(database, "one", names, "train", emotion=["anger", "fear", "anger"], speaker=["s1"] * 3)
    table(database, "two", files("a.wav"), "train", emotion=["fear"])
    table(database, "three", files("b.wav"), "test", emotion=["fear"])
    save(database, tmp_path)
    manifest = read(tmp_path)
    assert manifest.table["utterance"].tolist() == ["c.wav"]
    assert refusals(manifest) == {
        "a.wav": "the tables contradict each other: anger, fear",
        "b.wav": "the tables contradict each other: train, test",
    }


def test_a_line_that_stands_twice_counts_once_or_not_at_all(tmp_path: Path) -> None:
    simple(tmp_path)
    lines = ["file,emotion,speaker", "a.wav,anger,s1", "a.wav,anger,s1"]
    lines += ["b.wav,fear,s2", "b.wav,anger,s2"]
    add(tmp_path, "db.emotion.csv", content="\n".join(lines).encode())
    manifest = read(tmp_path)
    assert manifest.table["utterance"].tolist() == ["a.wav"]
    assert refusals(manifest) == {"b.wav": "the tables contradict each other: fear, anger"}


def test_what_cannot_be_used_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    database = new_database()
    ends = ["2s", "1s", "2s", "2s", "2s"]
    names = ["a.wav", "b.wav", "gone.wav", "no emotion.wav", "no speaker.wav"]
    index = audformat.segmented_index(names, ["1s"] * 5, ends)
    speakers = ["s1", "s1", "s1", "s1", None]
    emotions = ["anger", "anger", "anger", None, "anger"]
    table(database, "emotion", index, emotion=emotions, speaker=speakers)
    save(database, tmp_path)
    (tmp_path / "gone.wav").unlink()
    manifest = read(tmp_path)
    assert manifest.table["utterance"].tolist() == ["a.wav:1.0-2.0"]
    assert refusals(manifest) == {
        "b.wav:1.0-1.0": "its end, 1 s, is not after its start",
        "gone.wav:1.0-2.0": "gone.wav is missing",
        "no emotion.wav:1.0-2.0": "has no emotion",
        "no speaker.wav:1.0-2.0": "has no speaker",
    }


def test_a_label_that_the_header_does_not_declare_is_none(tmp_path: Path) -> None:
    simple(tmp_path)
    text = (tmp_path / "db.emotion.csv").read_text()
    add(tmp_path, "db.emotion.csv", content=text.replace("anger", "angre").encode())
    assert refusals(read(tmp_path)) == {"a.wav": "has no emotion"}


def test_audio_that_no_table_lists_is_refused(tmp_path: Path) -> None:
    simple(tmp_path)
    add(tmp_path, "extra.wav", "._a.wav", "notes.txt")
    manifest = read(tmp_path)
    assert len(manifest.table) == 2
    assert refusals(manifest) == {"extra.wav": "has no label: no table of the database lists it"}


def test_a_table_with_byte_order_mark_is_read(tmp_path: Path) -> None:
    simple(tmp_path)
    text = (tmp_path / "db.emotion.csv").read_text()
    add(tmp_path, "db.emotion.csv", content=text.encode("utf-8-sig"))
    assert len(read(tmp_path).table) == 2


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_table_in_another_encoding_than_the_format_has_is_named(
    tmp_path: Path, encoding: str
) -> None:
    simple(tmp_path)
    content = "file,emotion,speaker\nü.wav,anger,s1\n".encode(encoding)
    add(tmp_path, "db.emotion.csv", content=content)
    with pytest.raises(RequestError, match=r"the table db\.emotion cannot be read \(.*utf-8"):
        read(tmp_path)


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def test_a_pickle_beside_a_table_is_not_opened(tmp_path: Path) -> None:
    simple(tmp_path / "db")
    add(tmp_path / "db", "db.emotion.pkl", content=pickle.dumps(Bomb(tmp_path / "trace")))
    assert len(read(tmp_path / "db").table) == 2
    assert not (tmp_path / "trace").exists()


def test_a_folder_that_is_called_as_a_table_leads_to_no_pickle(tmp_path: Path) -> None:
    root, name = tmp_path / "db", "x.csv/emotion"
    simple(root)
    header = root / "db.yaml"
    as_table = "\n  {}:\n    type: filewise".format
    header.write_text(header.read_text().replace(as_table("emotion"), as_table(name)))
    assert name in header.read_text()
    (root / "db.x.csv").mkdir()
    (root / "db.emotion.csv").rename(root / "db.x.csv" / "emotion.csv")
    (root / "db.x.csv" / "emotion.pkl").write_bytes(pickle.dumps(Bomb(tmp_path / "trace")))
    with pytest.raises(RequestError, match="no name of a table"):
        read(root)
    assert not (tmp_path / "trace").exists()


def test_a_table_that_is_only_a_pickle_is_asked_for_in_another_form(tmp_path: Path) -> None:
    simple(tmp_path, storage="pkl")
    with pytest.raises(RequestError, match=r"db\.emotion\.pkl: is a pickle.*storage_format='csv'"):
        read(tmp_path)


def test_a_table_that_is_missing_is_named_where_the_user_has_it(tmp_path: Path) -> None:
    simple(tmp_path)
    (tmp_path / "db.emotion.csv").unlink()
    with pytest.raises(RequestError, match=rf"{tmp_path}: has no db\.emotion\.csv or "):
        read(tmp_path)


@pytest.mark.parametrize("storage", ["csv", "parquet"])
@pytest.mark.parametrize("start", [0.5, 1, 1500])
def test_times_that_are_numbers_are_refused_by_column_and_row(
    tmp_path: Path, storage: str, start: float
) -> None:
    simple(tmp_path, storage)
    file = tmp_path / f"db.emotion.{storage}"
    frame = pd.read_csv(file) if storage == "csv" else pd.read_parquet(file)
    frame = frame.assign(start=start, end=start + 1)
    frame.to_csv(file, index=False) if storage == "csv" else frame.to_parquet(file)
    row = 2 if storage == "csv" else 1
    with pytest.raises(RequestError, match=rf"db\.emotion\.{storage}:{row}: start '{start}' is a"):
        read(tmp_path)


def test_a_header_runs_no_code(tmp_path: Path) -> None:
    simple(tmp_path / "db")
    trace = tmp_path / "trace"
    text = (tmp_path / "db/db.yaml").read_text()
    bomb = f"meta: !!python/object/apply:os.mkdir ['{trace}']\n"
    add(tmp_path / "db", "db.yaml", content=(text + bomb).encode())
    with pytest.raises(RequestError, match=r"db\.yaml: is not the header of a database"):
        read(tmp_path / "db")
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"name: mine", b"\xff\xfe", b"{"])
def test_a_header_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    add(tmp_path, "db.yaml", content=content)
    with pytest.raises(RequestError, match=r"db\.yaml: is not the header of a database"):
        read(tmp_path)


def test_a_root_of_another_layout_is_told_what_is_expected(tmp_path: Path) -> None:
    add(tmp_path, "wav/03a01Fa.wav")
    with pytest.raises(RequestError, match=r"has no db\.yaml; expected .* It holds wav/\."):
        read(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"emotion": "emotions"}, r"no 'emotions'.*mean 'emotion'\?.*dataset\.options\.emotion="),
        ({"speaker": "actor"}, r"no 'actor'. Known: emotion, gender, speaker\..*options\.speaker="),
        ({"tables": "gold"}, r"options\.tables=gold matches no table.*Known: emotion\."),
        ({"speakers": "x"}, r"unknown key .dataset\.options\.speakers.*'speaker'"),
    ],
)
def test_a_name_that_the_database_lacks_is_asked_for(
    tmp_path: Path, options: dict[str, str], message: str
) -> None:
    simple(tmp_path)
    with pytest.raises(RequestError, match=message):
        read(tmp_path, options)
