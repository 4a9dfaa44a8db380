from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.toy import RecordingProgress
from hypothesis import given
from hypothesis import strategies as st

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Refusal
from sercli.corpora.read import read_corpus
from sercli.corpora.readers.manifest import read_manifest
from sercli.corpora.tables import read_delimited
from sercli.errors import RequestError
from sercli.progress import SILENT, Progress

HEADER = "utterance,audio,speaker,emotion"


def config(table: Path, **options: Any) -> DatasetConfig:
    classes = {"A": "anger", "N": "neutral"}
    return DatasetConfig(
        name="mine", reader="manifest", root=str(table), classes=classes, options=options
    )


def read(table: Path, **options: Any) -> Manifest:
    """Read a table that need not have all classes."""
    return read_manifest(config(table, **options), table, SILENT)


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


def test_dimensions_are_read_where_they_are_the_task(tmp_path: Path) -> None:
    header = "utterance,audio,speaker,valence,arousal"
    table = csv(tmp_path, "a,a.wav,S1,-0.5,1e-1", "b,b.wav,S2,,0", "c,c.wav,S2,x,0", header=header)
    asked = replace(config(table), dimensions=["valence"], scale=[-1, 1])
    found = read_manifest(asked, table, SILENT)
    assert found.table["valence"].fillna(9).tolist() == [-0.5, 9]
    assert found.table["arousal"].isna().all()
    assert "valence 'x' is not a number" in found.refused[0].reason
    with pytest.raises(RequestError, match="has no column 'dominance'"):
        read_manifest(replace(asked, dimensions=["dominance"]), table, SILENT)
    with pytest.raises(RequestError, match="has no column 'emotion'"):
        read(table)


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
    whole = read(file, segments=False).table
    assert whole[["audio_start", "audio_end"]].isna().all(axis=None)
    assert whole["start"][0] == 1
    cut = read(file, segments=True).table
    times = cut[["start", "end", "audio_start", "audio_end"]]
    assert times.iloc[0].tolist() == [1, 2.5, 1, 2.5]
    assert times.iloc[1].isna().all()


def test_start_and_end_of_a_shared_file_are_not_guessed(tmp_path: Path) -> None:
    header = f"{HEADER},start,end"
    shared = csv(
        tmp_path, "a,a.wav,S1,A,1,2", "b,./a.wav,S1,N,,3", "c,b.wav,S1,N,0,1", header=header
    )
    message = r"2 utterances, such as a, share .*options\.segments=true, or say =false"
    with pytest.raises(RequestError, match=message):
        read(shared)
    assert len(read(shared, segments=False).table) == 3
    own = csv(tmp_path, "a,a.wav,S1,A,1,2", "b,b.wav,S1,N,2,3", header=header)
    assert read(own).table["audio_start"].isna().all()


def test_segments_without_times_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no column 'start' or 'end'"):
        read(csv(tmp_path, "a,a.wav,S1,A"), segments=True)


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
        ("stray", "the line has 1 value, the header 8"),
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


@pytest.mark.parametrize("way", ["../out.wav", "absolute", "link.wav"])
def test_a_confined_table_has_its_audio_in_its_folder(tmp_path: Path, way: str) -> None:
    (tmp_path / "table").mkdir()
    outside = tmp_path / "out.wav"
    outside.touch()
    (tmp_path / "table" / "link.wav").symlink_to(outside)
    text = str(outside) if way == "absolute" else way
    table = csv(tmp_path / "table", f"u1,{text},s1,A", "u2,a.wav,s1,A")
    assert len(read(table).table) == 2
    confined = read(table, confined=True)
    assert list(confined.table["utterance"]) == ["u2"]
    assert "lies outside of" in confined.refused[0].reason


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
    read_manifest(config(table), table, Progress())
    assert "columns not used: sesion, label" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_a_table_in_another_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    table = csv(tmp_path, "a,a.wav,S1,A", "b,b.wav,Zoë,A", encoding=encoding)
    assert read(table).table["speaker"].tolist() == ["S1", "Zoë"]


TIMED = pd.DataFrame(
    {
        "utterance": ["a", "b"],
        "audio": ["a.wav", "b.wav"],
        "speaker": ["S1", "Zoë"],
        "emotion": ["A", "N"],
        "start": [0.5, 1.25],
        "transcript": ["Well, no; yes", ""],
    }
)


def written(folder: Path, frame: pd.DataFrame, name: str = "mine.csv", **how: Any) -> Path:
    file = csv(folder).with_name(name)
    if file.suffix == ".parquet":
        frame.to_parquet(file, **how)
    else:
        frame.to_csv(file, **({"index": False} | how))
    return file


NAMES = ("mine.csv", "mine.tsv", "mine.txt", "MINE.CSV")
SEPARATORS = (",", ";", "\t", "|")
ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "latin-1")


@pytest.mark.parametrize(
    ("name", "sep", "encoding"),
    [  # each pair of values by day
        pytest.param(
            *(name, sep, encoding), marks=[] if (i + j + k) % 4 == 0 else pytest.mark.exhaustive
        )
        for i, name in enumerate(NAMES)
        for j, sep in enumerate(SEPARATORS)
        for k, encoding in enumerate(ENCODINGS)
    ],
)
def test_separator_encoding_and_name_of_a_table_make_no_difference(
    tmp_path: Path, name: str, sep: str, encoding: str
) -> None:
    table = read(written(tmp_path, TIMED, name, sep=sep, encoding=encoding)).table
    for column in TIMED.columns.drop("audio"):
        assert table[column].fillna("").tolist() == TIMED[column].tolist()


def test_the_separator_that_excel_states_in_a_line_of_its_own_is_read(tmp_path: Path) -> None:
    table = csv(tmp_path, header="\nsep=;\nutterance;audio;speaker;emotion\na;a.wav;S1;A")
    assert read(table).table["utterance"].tolist() == ["a"]


def test_a_decimal_comma_is_read_where_the_comma_does_not_separate(tmp_path: Path) -> None:
    table = read(written(tmp_path, TIMED, sep=";", decimal=",")).table
    assert table["start"].tolist() == [0.5, 1.25]
    manifest = read(csv(tmp_path, 'a,a.wav,S1,A,"0,5"', "b,b.wav,S1,A,1", header=f"{HEADER},start"))
    reason = "start '0,5' is not a time in seconds"
    assert manifest.refused == (Refusal("mine.csv:2", reason),)


@pytest.mark.parametrize(
    "names",
    [
        ["Utterance", "AUDIO", "Speaker", "EMOTION", "Start"],
        ["utt_id", "path", "spk", "label", "start_time"],
        ["ID", "File Name", "Speaker ID", "Emotion-Label", "Begin"],
        ["", "wav", "speaker", "emotion", "onset"],
    ],
)
def test_usual_other_names_of_columns_are_taken_and_said(
    tmp_path: Path, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    frame = TIMED.drop(columns="transcript").set_axis(names, axis=1)
    table = read_corpus(config(written(tmp_path, frame)), Progress()).table
    assert table["utterance"].tolist() == ["a", "b"]
    assert table["start"].tolist() == [0.5, 1.25]
    assert f"{names[1]} as audio" in capsys.readouterr().err


def test_two_columns_that_may_be_the_same_are_not_guessed(tmp_path: Path) -> None:
    table = csv(tmp_path, "a,a.wav,b.wav,S1,A", header="utterance,path,file,speaker,emotion")
    with pytest.raises(RequestError, match=r"'path' and 'file' may each be the column 'audio'"):
        read(table)
    table = csv(tmp_path, "a,a.wav,S1,A,N", header=f"{HEADER},emotion")
    with pytest.raises(RequestError, match=r"'emotion' and 'emotion' may each be"):
        read(table)


@pytest.mark.parametrize("index", [["utterance"], ["utterance", "audio"], ["audio", "start"]])
@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet"])
def test_the_index_of_a_data_frame_is_columns(tmp_path: Path, index: list[str], name: str) -> None:
    table = read(written(tmp_path, TIMED.set_index(index), name, index=True)).table
    assert table["utterance"].tolist() == ["a", "b"]
    assert table["start"].tolist() == [0.5, 1.25]


@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet"])
def test_an_index_without_a_name_names_the_utterances(tmp_path: Path, name: str) -> None:
    frame = TIMED.set_index("utterance").rename_axis(None)
    assert read(written(tmp_path, frame, name, index=True)).table["utterance"].tolist() == [
        "a",
        "b",
    ]


def test_whole_numbers_of_parquet_stay_whole_and_durations_are_seconds(tmp_path: Path) -> None:
    frame = TIMED.assign(session=[3.0, np.nan], start=pd.to_timedelta([1.5, 90000], unit="s"))
    frame = pd.concat([frame, frame.assign(utterance=["c", "d"], session=[4.0, 5.0])])
    table = read(written(tmp_path, frame, "mine.parquet"), segments=False).table
    assert table["session"].fillna("").tolist() == ["3", "", "4", "5"]
    assert table["start"].tolist() == [1.5, 90000, 1.5, 90000]


@pytest.mark.parametrize("cell", [b"RIFF", {"bytes": b"RIFF", "path": "a.wav"}, [0.5, 1.0]])
def test_audio_inside_a_parquet_table_is_said_and_not_printed(tmp_path: Path, cell: Any) -> None:
    file = written(tmp_path, TIMED.assign(audio=[cell, cell]), "mine.parquet")
    with pytest.raises(RequestError, match=r"the column 'audio' holds audio .* inside the table"):
        read(file)


@pytest.mark.parametrize("path", [r"wav\a.wav", r".\wav\a.wav", "~/wav/a.wav"])
def test_a_path_of_windows_or_of_the_home_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "wav").mkdir()
    (tmp_path / "wav" / "a.wav").write_bytes(b"RIFF")
    audio = read(csv(tmp_path, f"a,{path},S1,A")).table["audio"][0]
    assert Path(audio).samefile(tmp_path / "wav" / "a.wav")


@pytest.mark.parametrize("path", [r"C:\data\a.wav", r"no\a.wav"])
def test_a_path_of_windows_that_is_not_here_is_called_one(tmp_path: Path, path: str) -> None:
    manifest = read(csv(tmp_path, f"x,{path},S1,A", "a,a.wav,S1,A"))
    (refusal,) = manifest.refused
    assert refusal.file == "mine.csv:2"
    assert refusal.reason.startswith(f"{path} is missing, a path of Windows")


def test_a_folder_is_answered_with_a_table_in_it(tmp_path: Path) -> None:
    table = csv(tmp_path, "a,a.wav,S1,A")
    with pytest.raises(RequestError, match=rf"such as dataset\.root={table}"):
        read(tmp_path)


def test_a_broken_parquet_table_is_named(tmp_path: Path) -> None:
    table = tmp_path / "mine.parquet"
    table.write_bytes(b"PAR1 and no more")
    with pytest.raises(RequestError, match=r"mine\.parquet: cannot be read as Parquet"):
        read(table)


def test_a_table_of_another_format_is_told_what_is_expected(tmp_path: Path) -> None:
    table = tmp_path / "mine.xlsx"
    table.write_bytes(b"PK")
    with pytest.raises(RequestError, match=r"ends in \.csv, \.tsv, \.txt or \.parquet"):
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


def test_a_second_table_has_the_labels_of_single_raters(tmp_path: Path) -> None:
    table = csv(tmp_path, "a,a.wav,S1,A", "b,b.wav,S2,N")
    lines = ("File;Annotator;Label", "a;r1;A", "a;r2;N", "b;;N", "z;r1;A", "z;r2;A")
    (tmp_path / "raters.csv").write_text("\n".join(lines))
    notes = RecordingProgress()
    found = read_manifest(config(table, ratings="raters.csv"), table, notes)
    assert found.ratings.to_numpy().tolist() == [
        ["a", "r1", "A", "anger"],
        ["a", "r2", "N", "neutral"],
    ]
    assert found.refused == (Refusal("raters.csv:4", "has no rater"),)
    assert notes.notes == [
        f"{tmp_path}/raters.csv: 2 of 4 ratings are of utterances that mine.csv does not have, "
        "such as 'z'"
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.csv", r"dataset\.options\.ratings=none\.csv: .*none\.csv"),
        ("a.wav", r"must be a file that ends in \.csv, \.tsv, \.txt, \.parquet"),
        ("mine.csv", "mine.csv: has no column 'rater'"),
    ],
)
def test_a_table_of_ratings_that_cannot_be_read_is_refused(
    tmp_path: Path, name: str, message: str
) -> None:
    table = csv(tmp_path, "a,a.wav,S1,A")
    with pytest.raises(RequestError, match=message):
        read(table, ratings=name)
