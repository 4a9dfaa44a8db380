"""What the verbs print."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from rich.text import Text

from sercli.config.compose import Choice
from sercli.reporting.show import as_text, groups_as_json, show_groups, show_run, show_sweep
from sercli.results.run_record import Record

Make = Callable[..., Record]

CHOICES = [
    Choice("cell", "gru", "Gated [recurrent] unit", default=True),
    Choice("activation", "relu", "Rectified", default=False),
    Choice("activation", "tanh", "Hyperbolic", default=True),
]


def test_a_mapping_becomes_json_and_text_ends_its_line() -> None:
    assert json.loads(as_text({"α": [1]})) == {"α": [1]}
    assert "α" in as_text({"α": [1]})
    assert as_text("a") == "a\n"
    assert as_text("a\n") == "a\n"


def test_what_is_not_for_a_terminal_has_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    red = Text("stop", style="red")
    assert as_text(red) == "stop\n"

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert "\x1b[31m" in as_text(red)
    assert as_text(red, plain=True) == "stop\n"


def test_a_pipe_gives_wide_lines_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    words = Text("word " * 40)

    monkeypatch.delenv("COLUMNS", raising=False)
    assert max(map(len, as_text(words).splitlines())) > 100
    monkeypatch.setenv("COLUMNS", "40")
    assert max(map(len, as_text(words).splitlines())) <= 40


def test_a_run_is_shown_with_its_figures_its_card_and_its_place(record: Make) -> None:
    run = record("activation=tanh", ua=0.7125)

    text = as_text(show_run(run))

    assert "71.2" in text
    assert "Leave-one-session-out, as the card says." in text
    assert f"Record: {run.path}" in text.replace("\n", "")
    assert "Published" not in text


def test_a_sweep_is_shown_best_on_dev_first(record: Make) -> None:
    worse, better = record("activation=tanh", dev_ua=0.5), record("activation=relu", dev_ua=0.6)

    text = as_text(show_sweep([worse, better], ["2 points", "failed: [x]"]))

    assert text.index("gru relu") < text.index("gru tanh")
    assert text.splitlines()[-2:] == ["2 points", "failed: [x]"]


def test_a_sweep_without_any_record_is_its_lines() -> None:
    assert as_text(show_sweep([], ["0 points"])) == "0 points\n"


def test_groups_are_listed_once_with_a_star_at_the_default() -> None:
    lines = as_text(show_groups(CHOICES)).splitlines()

    assert [line.split() for line in lines[1:]] == [
        ["cell", "gru*", "Gated", "[recurrent]", "unit"],
        ["activation", "relu", "Rectified"],
        ["tanh*", "Hyperbolic"],
    ]


def test_groups_as_json_hold_every_choice() -> None:
    assert groups_as_json(CHOICES)["activation"] == [
        {"name": "relu", "description": "Rectified", "default": False},
        {"name": "tanh", "description": "Hyperbolic", "default": True},
    ]


def test_what_is_sealed_is_not_shown_after_a_sweep_either(
    record: Make, search: Callable[..., object]
) -> None:
    best = record("activation=tanh", dev_ua=0.9, ua=0.81)
    other = record("activation=relu", dev_ua=0.5, ua=0.72)
    search(best)

    text = as_text(show_sweep([best, other], []))
    assert "81.0" in text
    assert "72.0" not in text.replace("oracle", "").split("gru relu")[1]
    assert "sealed" in text
    assert "sealed" in as_text(show_run(other))
