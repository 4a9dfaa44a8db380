from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from sercli.corpora.manifest import COLUMNS, Refusal, build_manifest
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


@pytest.mark.parametrize("column", ["utterance", "audio", "speaker", "emotion"])
@pytest.mark.parametrize("nothing", ["", None])
def test_an_utterance_without_what_it_needs_is_named(column: str, nothing: str | None) -> None:
    with pytest.raises(RequestError, match=rf"mine: utterance .* \(row 2\) has no {column}"):
        build_manifest("mine", [row("a"), {**row("b"), column: nothing}], {"ang": "anger"})


def test_an_utterance_that_occurs_twice_is_named() -> None:
    with pytest.raises(RequestError, match=r"mine: utterance 'a' occurs more than once"):
        build_manifest("mine", [row("a"), row("b"), row("a")], {"ang": "anger"})


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
