"""Progress: bars for people, plain lines for logs, nothing where quiet."""

from __future__ import annotations

import io
import time
from contextlib import redirect_stderr
from typing import Self

import pytest

from sercli.progress import SILENT, Progress

ERASED = "\r\x1b[1A\x1b[2K"
"""To the beginning of the line above, and that line is gone."""


class Terminal(io.StringIO):
    """Standard error that a person looks at, while the block runs."""

    def isatty(self) -> bool:
        return True

    def comes_to_show(self, text: str) -> bool:
        """Wait for ``text``: bars are drawn ten times a second."""
        deadline = time.monotonic() + 10
        while text not in self.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        return text in self.getvalue()

    def __enter__(self) -> Self:
        self._redirection = redirect_stderr(self)
        self._redirection.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._redirection.__exit__(None, None, None)


@pytest.fixture(name="terminal")
def _terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


def test_a_note_is_one_plain_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Progress().note("3 of 8 [bold]folds[/bold] were done; " + "a long line " * 20)

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"3 of 8 [bold]folds[/bold] were done; {'a long line ' * 20}\n"


def test_no_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress().task("steps", 10) as task:
        task.advance(5)
        task.describe("more steps")

    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_a_bar_and_clears_it(terminal: Terminal) -> None:
    with terminal, Progress().task("training [x]", 10) as task:
        task.advance(4)
        task.advance()
        task.describe("still [y]")
    shown = terminal.getvalue()

    assert "still [y]" in shown
    assert "5/10" in shown
    assert shown.endswith(ERASED)


def test_hours_are_shown_as_hours(terminal: Terminal) -> None:
    with terminal, Progress().task("extracting", 1.25, unit="h") as task:
        task.advance(0.5)
        assert terminal.comes_to_show("0.50/1.25 h")


def test_tasks_nest_and_notes_are_above_them(terminal: Terminal) -> None:
    with terminal:
        progress = Progress()
        with progress.task("points", 2) as outer:
            with progress.task("steps", 7) as inner:
                inner.advance(7)
                progress.note("one point is done")
                assert terminal.comes_to_show("7/7")
            before = len(terminal.getvalue())
            outer.advance()
            assert terminal.comes_to_show("1/2")
    shown = terminal.getvalue()

    assert "one point is done\n" in shown[:before]
    assert "points" in shown[:before]
    assert "steps" not in shown[shown.index("1/2") :]


def test_an_error_ends_the_bars(terminal: Terminal) -> None:
    with terminal:
        progress = Progress()
        with pytest.raises(ValueError, match="no"), progress.task("a", 1), progress.task("b", 1):
            raise ValueError("no")
        before = terminal.getvalue()

        progress.note("afterwards")
        assert terminal.getvalue() == before + "afterwards\n"
        with progress.task("again", 3) as task:
            task.advance(3)
        assert "3/3" in terminal.getvalue()


def test_quiet_shows_nothing_even_on_a_terminal(terminal: Terminal) -> None:
    with terminal:
        for progress in (Progress(quiet=True), SILENT):
            progress.note("a note")
            with progress.task("steps", 1) as task:
                task.advance()

    assert terminal.getvalue() == ""
