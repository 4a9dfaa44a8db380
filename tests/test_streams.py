"""Output to closed or narrow streams, and in limited encodings."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sercli.__main__ import main
from sercli.streams import plain_letters, prepare_streams

_CLOSED = """
import os, sys
from sercli.streams import prepare_streams
prepare_streams()
print("lost")
sys.stderr.write("lost")
with open(sys.argv[1], "w") as file:  # else it would be standard output
    file.write(f"{file.fileno() > 2} {sys.stdin.read()!r}")
"""


def _run(
    monkeypatch: pytest.MonkeyPatch, encoding: str, *arguments: str, errors: str = "strict"
) -> bytes:
    """Return what the command prints to a standard output of this encoding."""
    out = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(out, encoding, errors))
    monkeypatch.setattr("sys.argv", ["sercli", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    sys.stdout.flush()
    assert not end.value.code
    return out.getvalue()


@pytest.mark.parametrize("encoding", ["latin-1", "koi8-r"])
def test_a_table_is_printed_in_the_letters_that_there_are(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    text = _run(monkeypatch, encoding, "config", "groups").decode(encoding)
    assert "Groups of the configuration" in text
    assert "?" not in text  # each letter of ours has a plainer one


def test_data_are_printed_in_utf_8_whatever_the_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("config", "groups", "--format", "json")
    found = _run(monkeypatch, "latin-1", *arguments)
    assert json.loads(found)
    assert found == _run(monkeypatch, "utf-8", *arguments)


@pytest.mark.parametrize("columns", ["0", "x"])
def test_a_width_that_no_terminal_has_is_ignored(
    monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    whole = _run(monkeypatch, "utf-8", "config", "groups")
    monkeypatch.setenv("COLUMNS", columns)
    assert _run(monkeypatch, "utf-8", "config", "groups") == whole


def test_letters_of_ours_have_plainer_ones() -> None:
    assert plain_letters("α β Δ − – ± × ≤ … ─ “ü” \udcfc 生") == (
        'alpha beta delta - - +/- x <= ... - "u" \\xfc ?'
    )


def test_closed_streams_do_not_lend_their_numbers_to_files(tmp_path: Path) -> None:
    command = 'exec "$0" -c "$1" "$2" <&- >&- 2>&-'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, _CLOSED, str(tmp_path / "file")], check=False
    )
    assert done.returncode == 0
    assert (tmp_path / "file").read_text() == "True ''"


def test_open_streams_stay_as_they_are() -> None:
    before = (sys.stdin, sys.stdout, sys.stderr)
    numbers = list(Path("/dev/fd").iterdir())
    prepare_streams()
    assert (sys.stdin, sys.stdout, sys.stderr) == before
    assert list(Path("/dev/fd").iterdir()) == numbers
