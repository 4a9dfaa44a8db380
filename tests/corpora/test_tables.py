from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.corpora.tables import read_text, restore_windows_letters

TEXT = "Zoë says: “naïve” – it’s"


def written(folder: Path, content: bytes) -> Path:
    file = folder / "labels.txt"
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_is_the_same_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    assert read_text(written(tmp_path, TEXT.encode(encoding))) == TEXT


def test_both_byte_orders_of_utf_16_are_told_by_their_mark(tmp_path: Path) -> None:
    assert read_text(written(tmp_path, b"\xff\xfea\0\xeb\0")) == "aë"
    assert read_text(written(tmp_path, b"\xfe\xff\0a\0\xeb")) == "aë"


def test_a_letter_that_utf_16_lost_at_the_end_costs_only_itself(tmp_path: Path) -> None:
    assert read_text(written(tmp_path, "ab".encode("utf-16")[:-1])) == "a\N{REPLACEMENT CHARACTER}"


def test_one_latin_1_line_does_not_spoil_the_utf_8_lines(tmp_path: Path) -> None:
    content = "Zoë\n".encode() + "Zoë\n".encode("latin-1") + "Zoë".encode()
    assert read_text(written(tmp_path, content)) == "Zoë\nZoë\nZoë"


def test_another_older_encoding_can_be_named(tmp_path: Path) -> None:
    file = written(tmp_path, "打远一看\nZoë".encode("gb18030"))
    assert read_text(file, legacy="gb18030") == "打远一看\nZoë"


def test_lines_end_the_same_way_on_every_system(tmp_path: Path) -> None:
    assert read_text(written(tmp_path, b"a\r\nb\rc\n")) == "a\nb\nc\n"


def test_letters_that_have_become_control_codes_are_put_back() -> None:
    assert restore_windows_letters("You\x92re \x96 ok\x85") == "You’re – ok…"


@given(st.binary())
def test_any_bytes_are_text(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    text = read_text(written(tmp_path_factory.mktemp("any"), content))
    assert "\r" not in text
    text.encode()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\ufeff")))
def test_utf_8_comes_back_unchanged(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    assert read_text(written(tmp_path_factory.mktemp("any"), text.encode())) == text
