"""Untrusted documents and tables: hostile ones are refused, and no code is executed."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from helpers.shell import InProcessShell
from hypothesis import given
from hypothesis import strategies as st

from sercli.errors import visible
from sercli.untrusted import parse_json, parse_yaml, read_parquet

_NAMES = "abcdefghij"
LAUGHS = "\n".join(
    ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    + [
        f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]"
        for before, name in itertools.pairwise(_NAMES)
    ]
)
"""The billion laughs: 10¹⁰ values in 500 bytes."""

MERGES = "\n".join(
    ["a: &a {x: 1}"]
    + [
        f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 10)}]}}"
        for before, name in itertools.pairwise(_NAMES)
    ]
)
"""The same by merge keys."""

YAMLS = {
    "tags": "!!python/object/apply:os.system ['touch owned']",
    "a tag of a module": "!!python/name:os.system",
    "laughs": LAUGHS,
    "merges": MERGES,
    "a list in itself": "&a [*a]",
    "depth": "[" * 400,
    "great depth": "[" * 10_000 + "]" * 10_000,
    "depth without brackets": "- " * 10_000,
    "an enormous number": "a: " + "9" * 10_000,
    "no date": "a: 2001-13-45",
}


@pytest.mark.parametrize("text", YAMLS.values(), ids=YAMLS)
def test_hostile_yaml_is_an_error(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        parse_yaml(text)


def test_nested_lists_are_read() -> None:
    assert str(parse_yaml("[" * 150 + "]" * 150)) == "[" * 150 + "]" * 150


def test_aliases_in_number_are_read() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: *a\nc: {<<: {d: 3}}") == {
        "a": [1, 2], "b": [1, 2], "c": {"d": 3},
    }  # fmt: skip


@given(st.text(alphabet="&*a:[]{},-!<>|? \n\t'\"#%@1", max_size=40))
def test_any_text_is_a_yaml_error_or_the_value_that_pyyaml_reads(text: str) -> None:
    try:
        expected = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        with suppress(yaml.YAMLError):
            parse_yaml(text)  # libyaml also reads tabs in text
    else:
        found = parse_yaml(text)
        assert repr(found) == repr(expected) or "!" in text  # libyaml reads a lone ! as text


def test_deep_json_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 100_000)


def test_a_small_parquet_file_that_becomes_enormous_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    once = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["x" * 100_000])
    pq.write_table(pa.table({"utterance": once}), path, store_schema=False)
    assert path.stat().st_size < 100_000  # for 10 GB
    with pytest.raises(ValueError, match="more than 4 GiB when expanded"):
        read_parquet(path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(99) + b"PAR1"])
def test_damaged_parquet_is_an_error_of_the_kind_that_callers_expect(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "bad.parquet").write_bytes(content)
    with pytest.raises((ValueError, OSError)):
        read_parquet(tmp_path / "bad.parquet")


def test_what_a_parquet_file_says_about_pandas_may_be_wrong(tmp_path: Path) -> None:
    said = {"index_columns": [{"kind": "range"}], "column_indexes": [], "columns": []}
    table = pa.table({"a": [1]}).replace_schema_metadata({"pandas": json.dumps(said)})
    pq.write_table(table, tmp_path / "bad.parquet")
    with pytest.raises(ValueError, match="KeyError"):
        read_parquet(tmp_path / "bad.parquet")


def test_a_table_is_read_as_pandas_wrote_it(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": ["x", None], "b": [1.5, 2]}, index=pd.Index([3, 4], name="n"))
    table.to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "t.parquet"), table)


def test_the_command_refuses_hostile_yaml_in_one_line(tmp_path: Path) -> None:
    sercli = InProcessShell(tmp_path)
    for name in ("tags", "laughs"):
        (tmp_path / "plan.yaml").write_text(YAMLS[name])
        assert "plan.yaml" in sercli.refused("sweep", "--plan", "plan.yaml")
    assert not (tmp_path / "owned").exists()


HOSTILE = "=cmd|' /C calc'!A0\x1b[2J\x9b31m\u202eevil\x07<script>&\\input{/etc/passwd}$x$"


def test_no_control_code_of_a_label_reaches_a_terminal() -> None:
    shown = visible(HOSTILE)
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "\u202e" not in shown
    assert json.loads(json.dumps(shown)) == shown
    assert visible("żółć\n生气\t|") == "żółć\n生气\t|"


def test_labels_are_only_text_in_every_format() -> None:
    from sercli.reporting.formats import FORMATS, to_text
    from sercli.reporting.table import Cell, Column, Table, View

    table = Table(HOSTILE, (Column(HOSTILE),), ((Cell(HOSTILE),),), (HOSTILE,), HOSTILE, (HOSTILE,))
    rows: list[dict[str, Any]] = [{HOSTILE: HOSTILE, "gain": -0.5, "text": "-0.5", "none": None}]
    texts = {name: to_text(View((table,), {"rows": rows}), name) for name in FORMATS}
    for text in texts.values():
        assert not set("\x1b\x9b\u202e\x07") & set(text)
    assert json.loads(texts["json"])["rows"][0][HOSTILE] == HOSTILE
    assert "\\input{" not in texts["latex"]
    assert "<script" not in texts["markdown"]
    head, row = texts["csv"].splitlines()
    assert head.startswith("'=cmd")
    assert row.startswith("'=cmd")
    assert row.endswith(",-0.5,-0.5,")  # numbers stay numbers
