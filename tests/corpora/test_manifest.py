from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.corpora.manifest import Refusal, build_manifest
from sercli.corpora.validate import COLUMNS
from sercli.errors import RequestError


def row(utterance: str, emotion: str = "ang", **more: Any) -> dict[str, Any]:
    audio = f"{utterance}.wav"
    return {"utterance": utterance, "audio": audio, "speaker": "S1", "emotion": emotion, **more}


def test_columns_have_their_order_and_types_even_where_the_corpus_lacks_them() -> None:
    table = build_manifest("mine", [row("a"), row("b", turn=3)], {"ang": "anger"}).table
    assert list(table.columns) == list(COLUMNS)
    assert {name: str(kind) for name, kind in table.dtypes.items()} == COLUMNS
    assert pd.isna(table["turn"][0])
    assert table["turn"][1] == 3


def test_classes_are_those_of_the_task_in_alphabetical_order() -> None:
    manifest = build_manifest("mine", [row("a", "hap")], {"sad": "sadness", "hap": "happiness"})
    assert manifest.classes == ("happiness", "sadness")


def test_several_emotions_may_make_one_class_and_others_have_none() -> None:
    rows = [row("a", "hap"), row("b", "exc"), row("c", "xxx")]
    manifest = build_manifest("mine", rows, {"hap": "happiness", "exc": "happiness"})
    assert manifest.targets["utterance"].tolist() == ["a", "b"]
    assert manifest.table["utterance"].tolist() == ["a", "b", "c"]


def test_numbers_that_name_something_become_text() -> None:
    rows = [row("a", speaker=3, session=1), row("b", speaker=4, session=2)]
    table = build_manifest("mine", rows, {"ang": "anger"}).table
    assert table["speaker"].tolist() == ["3", "4"]
    assert table["session"].tolist() == ["1", "2"]


@pytest.mark.parametrize("column", ["utterance", "audio", "speaker", "emotion"])
@pytest.mark.parametrize("nothing", ["", None])
def test_an_utterance_without_what_it_needs_is_refused_and_the_rest_is_used(
    column: str, nothing: str | None
) -> None:
    rows = [row("a"), {**row("b"), column: nothing}, row("c")]
    manifest = build_manifest("mine", rows, {"ang": "anger"})
    assert manifest.table["utterance"].tolist() == ["a", "c"]
    (refusal,) = manifest.refused
    assert refusal.file == ("utterance 'b'" if column == "audio" else "b.wav")
    who = "an utterance" if column == "utterance" else "utterance 'b'"
    assert refusal.reason.startswith(f"{who} has no {column}; the column needs ")


@pytest.mark.parametrize(
    ("column", "value", "remedy"),
    [
        ("turn", "third", "a whole number, 0 or more"),
        ("turn", -1, "a whole number, 0 or more"),
        ("turn", 1.5, "a whole number, 0 or more"),
        ("start", "early", "a time in seconds, 0 or more"),
        ("end", -0.5, "a time in seconds, 0 or more"),
        ("audio_start", -3, "a time in seconds, 0 or more"),
        ("audio_end", float("inf"), "a time in seconds, 0 or more"),
        ("gender", "F", "female, male or nothing"),
        ("improvised", "perhaps", "true, false or nothing"),
    ],
)
def test_a_value_that_a_column_cannot_have_is_named_with_the_remedy(
    column: str, value: Any, remedy: str
) -> None:
    rows = [row("a"), row("b", **{column: value}), row("c")]
    manifest = build_manifest("mine", rows, {"ang": "anger"})
    assert manifest.table["utterance"].tolist() == ["a", "c"]
    assert manifest.refused == (
        Refusal("b.wav", f"utterance 'b' {column} '{value}' is not {remedy}"),
    )


def test_wrong_values_of_one_column_do_not_hide_each_other() -> None:
    turns = [0, "third", 1.5, -1, None, "x"]
    rows = [row(str(i), turn=turn) for i, turn in enumerate(turns)]
    manifest = build_manifest("mine", rows, {"ang": "anger"})
    assert manifest.table["utterance"].tolist() == ["0", "4"]
    assert [refusal.file for refusal in manifest.refused] == ["1.wav", "2.wav", "3.wav", "5.wav"]


def test_an_utterance_that_is_wrong_twice_is_refused_once() -> None:
    rows = [row("a"), row("b", start=-1, gender="F")]
    (refusal,) = build_manifest("mine", rows, {"ang": "anger"}).refused
    assert "start '-1" in refusal.reason


def test_of_an_utterance_that_is_listed_twice_the_first_counts() -> None:
    rows = [row("a"), row("b"), row("a", "sad", audio="second.wav")]
    manifest = build_manifest("mine", rows, {"ang": "anger", "sad": "sadness"})
    assert manifest.table["audio"].tolist() == ["a.wav", "b.wav"]
    (refusal,) = manifest.refused
    assert refusal.file == "second.wav"
    assert refusal.reason.startswith("utterance 'a' is already listed")


def test_of_an_utterance_that_is_listed_twice_the_one_that_can_be_used_counts() -> None:
    rows = [row("a", turn=-1), row("a", turn=4)]
    manifest = build_manifest("mine", rows, {"ang": "anger"})
    assert manifest.table["turn"].tolist() == [4]
    assert len(manifest.refused) == 1


def test_refusals_of_the_reader_come_first_and_the_others_in_the_order_of_the_rows() -> None:
    rows = [row("a", turn=-1), row("b"), row("b"), row("c", gender="?")]
    manifest = build_manifest("mine", rows, {"ang": "anger"}, [Refusal("x.txt:1", "is stray")])
    assert [refusal.file for refusal in manifest.refused] == ["x.txt:1", "a.wav", "b.wav", "c.wav"]


@given(
    st.lists(
        st.fixed_dictionaries(
            {"utterance": st.sampled_from(["a", "b", "c", "", None])},
            optional={
                "turn": st.one_of(st.integers(-2, 9), st.floats(), st.text(max_size=2), st.none()),
                "start": st.one_of(st.floats(), st.text(max_size=2), st.none()),
                "gender": st.sampled_from(["female", "male", None, "x", 3]),
                "improvised": st.sampled_from([True, False, None, "x", 2]),
            },
        ),
        max_size=6,
    )
)
def test_whatever_a_reader_says_every_row_is_used_or_refused(rows: list[dict[str, Any]]) -> None:
    sound = row("sound", turn=0, start=0.0, gender="male", improvised=True)
    all_rows = [sound, *({"audio": "x.wav", "speaker": "S", "emotion": "e", **r} for r in rows)]
    manifest = build_manifest("mine", all_rows, {})
    assert len(manifest.table) + len(manifest.refused) == len(all_rows)
    assert manifest.table["utterance"].is_unique
    assert {name: str(kind) for name, kind in manifest.table.dtypes.items()} == COLUMNS


def test_a_corpus_without_utterances_points_at_the_root() -> None:
    with pytest.raises(RequestError, match=r"mine: no utterance found; check dataset\.root"):
        build_manifest("mine", [], {"ang": "anger"})


def test_a_corpus_of_which_all_is_refused_says_why() -> None:
    refused = [Refusal("a.txt:1", "is nonsense"), Refusal("a.txt:2", "is nonsense, too")]
    with pytest.raises(RequestError, match=r"refused \(2\), the first one a\.txt:1: is nonsense$"):
        build_manifest("mine", [], {"ang": "anger"}, refused)


def test_utterances_that_are_refused_later_leave_the_table_and_join_the_list() -> None:
    early, late = Refusal("a.txt:1", "stray"), Refusal("b.wav", "empty")
    manifest = build_manifest("mine", [row("a"), row("b"), row("c")], {"ang": "anger"}, [early])
    rest = manifest.without({"b": late})
    assert rest.table["utterance"].tolist() == ["a", "c"]
    assert rest.table.index.tolist() == [0, 1]
    assert rest.refused == (early, late)
