from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Refusal
from sercli.corpora.read import read_corpus
from sercli.corpora.tables import read_delimited
from sercli.errors import RequestError
from sercli.progress import Progress

HEADER = "utterance,audio,speaker,emotion"


def config(table: Path, **options: Any) -> DatasetConfig:
    classes = {"A": "anger", "N": "neutral"}
    return DatasetConfig(
        name="mine", reader="manifest", root=str(table), classes=classes, options=options
    )


def read(table: Path, **options: Any) -> Manifest:
    return read_corpus(config(table, **options))


def csv(folder: Path, *lines: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    for audio in ("a.wav", "b.wav", "c.wav"):
        (folder / audio).write_bytes(b"RIFF")
    table = folder / "mine.csv"
    table.write_text("\n".join([header, *lines, ""]), encoding=encoding)
    return table


def test_four_columns_are_enough(tmp_path: Path) -> None:
    table = read(csv(tmp_path, "a,a.wav,S1,A", "b,b.wav,S2,N", "c,c.wav,S2,other")).table
    assert table["utterance"].tolist() == ["a", "b", "c"]
    assert table["audio"].tolist() == [str(tmp_path / f"{name}.wav") for name in "abc"]
    assert table["speaker"].tolist() == ["S1", "S2", "S2"]
    assert table["label"].fillna("-").tolist() == ["anger", "neutral", "-"]
    assert table[["start", "session", "dialogue", "turn", "gender"]].isna().all(axis=None)


def test_all_columns_are_read_with_their_types(tmp_path: Path) -> None:
    header = f"{HEADER},start,end,gender,session,dialogue,turn,split,improvised,transcript"
    first = 'a,a.wav,S1,A,0.5,2,F,s1,d1,3,train,yes,"Well, no"'
    empty = "b,b.wav,S1,A,,,,,,,,,"
    table = read(csv(tmp_path, first, empty, header=header)).table
    row = table.iloc[0]
    expected = {
        "start": 0.5,
        "end": 2.0,
        "gender": "female",
        "session": "s1",
        "dialogue": "d1",
        "turn": 3,
        "split": "train",
        "improvised": True,
        "transcript": "Well, no",
    }
    assert {column: row[column] for column in expected} == expected
    assert table.iloc[1][list(expected)].isna().all()


def test_a_parquet_table_reads_like_a_csv_table(tmp_path: Path) -> None:
    header = f"{HEADER},start,turn,improvised,gender"
    lines = ("a,a.wav,1,A,0.5,0,True,m", "b,b.wav,2,N,,,,")
    from_csv = read(csv(tmp_path, *lines, header=header))
    frame = pd.DataFrame(
        {
            "utterance": ["a", "b"],
            "audio": ["a.wav", "b.wav"],
            "speaker": [1, 2],
            "emotion": ["A", "N"],
            "start": [0.5, np.nan],
            "turn": [0, None],
            "improvised": [True, None],
            "gender": ["m", None],
        }
    )
    frame.to_parquet(tmp_path / "mine.parquet")
    from_parquet = read(tmp_path / "mine.parquet")
    pd.testing.assert_frame_equal(from_csv.table, from_parquet.table)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_makes_no_difference(tmp_path: Path, encoding: str) -> None:
    assert read(csv(tmp_path, "a,a.wav,Zoë,A", encoding=encoding)).table["speaker"][0] == "Zoë"


def test_spaces_around_a_cell_do_not_make_another_speaker(tmp_path: Path) -> None:
    table = read(csv(tmp_path, "a,a.wav, S1 ,A", "b, b.wav,S1, A")).table
    assert table["speaker"].tolist() == ["S1", "S1"]
    assert table["label"].tolist() == ["anger", "anger"]


@pytest.mark.parametrize(
    ("text", "gender"),
    [("F", "female"), ("Woman", "female"), ("MALE", "male"), ("m", "male"), ("?", None)],
)
def test_genders_are_normalised(tmp_path: Path, text: str, gender: str | None) -> None:
    table = read(csv(tmp_path, f"a,a.wav,S1,A,{text}", header=f"{HEADER},gender")).table
    assert table["gender"].fillna("missing").tolist() == [gender or "missing"]


def test_without_a_turn_column_the_turns_of_a_dialogue_are_in_the_order_of_the_table(
    tmp_path: Path,
) -> None:
    lines = ("a,a.wav,S1,A,d1", "b,b.wav,S2,A,d2", "c,c.wav,S2,N,d1")
    table = read(csv(tmp_path, *lines, header=f"{HEADER},dialogue")).table
    assert table["turn"].tolist() == [0, 0, 1]


def test_segments_cut_the_audio_only_when_asked_to(tmp_path: Path) -> None:
    lines = ("a,a.wav,S1,A,1,2.5", "b,a.wav,S1,N,,")
    file = csv(tmp_path, *lines, header=f"{HEADER},start,end")
    whole = read(file).table
    assert whole[["audio_start", "audio_end"]].isna().all(axis=None)
    assert whole["start"][0] == 1
    cut = read(file, segments=True).table
    times = cut[["start", "end", "audio_start", "audio_end"]]
    assert times.iloc[0].tolist() == [1, 2.5, 1, 2.5]
    assert times.iloc[1].isna().all()


@pytest.mark.parametrize("column", HEADER.split(","))
def test_a_missing_column_is_named_with_the_nearest_one(tmp_path: Path, column: str) -> None:
    header = HEADER.replace(column, f"{column}s")
    with pytest.raises(RequestError, match=rf"mine\.csv: has no column '{column}'.*'{column}s'"):
        read(csv(tmp_path, "a,a.wav,S1,A", header=header))


def test_an_utterance_that_is_listed_twice_counts_once(tmp_path: Path) -> None:
    manifest = read(csv(tmp_path, "a,a.wav,S1,A", "a,b.wav,S1,B", "b,b.wav,S1,A"))
    assert manifest.table["utterance"].tolist() == ["a", "b"]
    assert manifest.table["emotion"].tolist() == ["A", "A"]
    assert manifest.refused == (Refusal("mine.csv:3", "a is already listed in mine.csv:2"),)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("stray", "the line has 1 values, the header 8"),
        ("x,a.wav,S1,A,0,1,0,yes,more", "the line has 9 values, the header 8"),
        ("x,nowhere.wav,S1,A,0,1,0,yes", "nowhere.wav is missing"),
        (",a.wav,S1,A,0,1,0,yes", "has no utterance"),
        ("x,a.wav,S1,,0,1,0,yes", "has no emotion"),
        ("x,a.wav,S1,A,soon,1,0,yes", "start 'soon' is not a time in seconds"),
        ("x,a.wav,S1,A,-1,1,0,yes", "start '-1' is not a time in seconds"),
        ("x,a.wav,S1,A,0,inf,0,yes", "end 'inf' is not a time in seconds"),
        ("x,a.wav,S1,A,2,1,0,yes", "end 1 is not after start 2"),
        ("x,a.wav,S1,A,0,1,0.5,yes", "turn '0.5' is not a whole number"),
        ("x,a.wav,S1,A,0,1,0,perhaps", "improvised 'perhaps' is not true or false"),
    ],
)
def test_a_bad_line_is_refused_and_the_rest_is_read(tmp_path: Path, line: str, reason: str) -> None:
    header = f"{HEADER},start,end,turn,improvised"
    manifest = read(csv(tmp_path, "a,a.wav,S1,A,,,,", line, "b,b.wav,S2,N,,,,", header=header))
    assert manifest.table["utterance"].tolist() == ["a", "b"]
    assert manifest.refused == (Refusal("mine.csv:3", reason),)


def test_a_path_too_long_for_a_file_system_is_refused(tmp_path: Path) -> None:
    manifest = read(csv(tmp_path, f"x,{'a' * 5000},S1,A", "b,b.wav,S2,N"))
    assert manifest.table["utterance"].tolist() == ["b"]
    assert manifest.refused[0].file == "mine.csv:2"


def test_a_quotation_mark_left_open_costs_only_its_line(tmp_path: Path) -> None:
    lines = ('a,"a.wav,S1,A', "b,b.wav,S2,N", "c,c.wav,S2,N")
    manifest = read(csv(tmp_path, *lines))
    assert manifest.table["utterance"].tolist() == ["b", "c"]
    assert [refusal.file for refusal in manifest.refused] == ["mine.csv:2"]


def test_a_quotation_mark_left_open_before_a_long_table_costs_only_its_line(tmp_path: Path) -> None:
    long = [f'"u{i}",a.wav,S1,A' for i in range(20_000)]
    manifest = read(csv(tmp_path, 'a,a.wav,"S1,A', *(line.replace('"', "") for line in long)))
    assert len(manifest.table) == 20_000
    assert len(manifest.refused) == 1


def test_a_quoted_cell_may_follow_a_space(tmp_path: Path) -> None:
    table = read(csv(tmp_path, 'a, a.wav, S1, A, "one, two"', header=f"{HEADER},transcript")).table
    assert table["transcript"].tolist() == ["one, two"]


def test_a_cell_may_hold_a_line_break(tmp_path: Path) -> None:
    lines = ('a,a.wav,S1,A,"one\ntwo"', "stray", "b,b.wav,S1,A,three")
    manifest = read(csv(tmp_path, *lines, header=f"{HEADER},transcript"))
    assert manifest.table["transcript"].tolist() == ["one\ntwo", "three"]
    assert manifest.refused[0].file == "mine.csv:4"


def test_blank_lines_are_no_mistakes(tmp_path: Path) -> None:
    manifest = read(csv(tmp_path, "", "a,a.wav,S1,A", ",,,", "   "))
    assert len(manifest.table) == 1
    assert manifest.refused == ()


def test_columns_that_are_not_used_are_mentioned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = csv(tmp_path, "a,a.wav,S1,A,s1,anger", header=f"{HEADER},sesion,label")
    read_corpus(config(table), Progress())
    assert "columns not used: sesion, label" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_a_table_in_another_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    table = csv(tmp_path, "a,a.wav,S1,A", "b,b.wav,Zoë,A", encoding=encoding)
    assert read(table).table["speaker"].tolist() == ["S1", "Zoë"]


def test_a_broken_parquet_table_is_named(tmp_path: Path) -> None:
    table = tmp_path / "mine.parquet"
    table.write_bytes(b"PAR1 and no more")
    with pytest.raises(RequestError, match=r"mine\.parquet: cannot be read as Parquet"):
        read(table)


def test_a_table_of_another_format_is_told_what_is_expected(tmp_path: Path) -> None:
    table = tmp_path / "mine.xlsx"
    table.write_bytes(b"PK")
    with pytest.raises(RequestError, match=r"ends in \.csv or \.parquet"):
        read(table)


def test_a_table_without_a_header_is_named(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("\n\n")
    with pytest.raises(RequestError, match="no header line"):
        read(table)


def test_an_unknown_option_names_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"dataset\.options\.segment'\. .*mean 'segments'"):
        read(csv(tmp_path, "a,a.wav,S1,A"), segment=True)


def test_an_option_of_the_wrong_type_is_told_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"options\.segments must be true or false, not 1"):
        read(csv(tmp_path, "a,a.wav,S1,A"), segments=1)


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"))


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_after_the_header_is_rows_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("table") / "any.csv"
    path.write_text(f"a,b\n{text}\nlast,row", encoding="utf-8", newline="")
    table = read_delimited(path)
    assert table.columns == ("a", "b")
    assert len(table.records) + len(table.refused) >= 1
    assert all(set(record.cells) == {"a", "b"} for record in table.records)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(cells, cells), min_size=1))
def test_a_table_that_pandas_wrote_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("table") / "any.csv"
    pd.DataFrame(rows, columns=["a", "b"]).to_csv(path, index=False)
    table = read_delimited(path)
    expected = [{"a": a.strip(), "b": b.strip()} for a, b in rows if a.strip() or b.strip()]
    assert [record.cells for record in table.records] == expected
    assert table.refused == ()
