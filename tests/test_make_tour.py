"""The tour: its commands are found and run, and their output is written below them."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOUR = runpy.run_path(str(ROOT / "docs" / "make_tour.py"))
regenerate: Callable[[str, Callable[[str], str]], str] = TOUR["regenerate"]
figures: Callable[[str], list[str]] = TOUR["figures"]
run_in: Callable[[Path], Callable[[str], str]] = TOUR["run_in"]

BEFORE = """# A title

Prose with `$ sercli train` in it, and a block that is none of ours:

```
sercli train dataset=iemocap
```

```python
print("$ sercli")
```
"""
AFTER = "\nMore prose.\n\n```\n$ make demo\nnot ours\n```\n"


def block(command: str, output: str = "", wish: str = "") -> str:
    comment = f"<!-- tour: {wish} -->\n" if wish else ""
    return f"{comment}```\n$ {command}\n{output}```\n"


def shortened(wish: str, *printed: str) -> list[str]:
    text = regenerate(block("sercli train", wish=wish), lambda command: "\n".join(printed))
    return text.splitlines()[3:-1]


def test_the_output_of_a_command_is_replaced_and_nothing_else() -> None:
    old, new = block("sercli report", "old\n\nolder\n"), block("sercli report", "a\n\nb\n")

    assert regenerate(BEFORE + old + AFTER, lambda command: "a\n\nb\n") == BEFORE + new + AFTER


def test_commands_are_run_in_order_and_each_keeps_its_own_output() -> None:
    text = block("sercli extract", "x\n") + AFTER + block("sercli report demo", "y\n")
    ran: list[str] = []

    def run(command: str) -> str:
        ran.append(command)
        return f"{len(ran)}\n"

    told = regenerate(text, run)

    assert ran == ["sercli extract", "sercli report demo"]
    assert told == block("sercli extract", "1\n") + AFTER + block("sercli report demo", "2\n")


def test_a_command_over_several_lines_is_one() -> None:
    command = "sercli sweep a=1,2 \\\n    b=3"

    told = regenerate(block(command, "old\n"), lambda ran: f"{ran.count(command)}\n")

    assert told == block(command, "1\n")


def test_regenerating_twice_changes_nothing() -> None:
    def run(command: str) -> str:
        return "  one  \n\n\n\ntwo\nthree\n"

    once = regenerate(BEFORE + block("sercli train", wish="first 2") + AFTER, run)

    assert "  one\n\n…\n" in once
    assert regenerate(once, run) == once


def test_the_first_lines_are_kept() -> None:
    assert shortened("first 2", "a", "b", "c", "d") == ["a", "b", "…"]


def test_matching_lines_are_kept_and_gaps_marked_at_their_indentation() -> None:
    printed = ("head", "  gru", "  lstm", "  rnn", "  li_gru", "tail")

    assert shortened("keep gru", *printed) == ["…", "  gru", "  …", "  li_gru", "…"]


def test_a_gap_keeps_the_empty_lines_around_it() -> None:
    printed = ("gru", "", "a", "", "b", "", "li_gru", "c", "", "gru")

    assert shortened("keep gru", *printed) == ["gru", "", "…", "", "li_gru", "…", "", "gru"]


def test_all_lines_from_a_match_on_are_kept() -> None:
    assert shortened("from ^b", "a b", "a", "b", "a", "b") == ["…", "b", "a", "b"]


def test_a_line_is_kept_if_any_selection_keeps_it() -> None:
    printed = ("a", "b", "c", "d", "e", "f")

    assert shortened("first 1; keep c|d; from f", *printed) == ["a", "…", "c", "d", "…", "f"]


def test_left_out_empty_lines_are_not_marked() -> None:
    assert shortened("keep a|b", "a", "", "b") == ["a", "", "b"]


@pytest.mark.parametrize("wrong", ["frist 3", "first", "keep", "until x", "first 2 keep a"])
def test_an_invalid_comment_is_refused_before_anything_runs(wrong: str) -> None:
    text = block("sercli extract") + block("sercli train", wish=f"first 1; {wrong}")

    def run(command: str) -> str:
        raise AssertionError("it ran")

    with pytest.raises(ValueError, match=f"'{wrong}' is none of"):
        regenerate(text, run)


def test_a_figure_is_named_once() -> None:
    shown = "![a](docs/figures/surface.png) [b](docs/figures/forest.svg) ![](figures/forest.svg)"

    assert figures(shown) == ["surface.png", "forest.svg"]


def test_a_command_is_run_in_the_folder_at_a_fixed_width(tmp_path: Path) -> None:
    printed = run_in(tmp_path)("sercli \\\n  --help")

    assert "hyperparameters" in printed
    assert 80 < max(len(line) for line in printed.splitlines()) <= 100


def test_a_command_that_fails_ends_the_tour(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"No such option: --no(.|\n)*ended with status 2"):
        run_in(tmp_path)("sercli report --no")


@pytest.mark.parametrize("page", TOUR["PAGES"], ids=lambda page: page.stem)
def test_every_command_and_figure_of_the_pages_is_found(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    ran: list[str] = []

    def run(command: str) -> str:
        ran.append(command)
        return ""

    regenerate(text, run)

    assert len(ran) == len(re.findall(r"^\$ sercli", text, re.MULTILINE)) > 2
    assert text.count("<!-- tour:") == len(
        re.findall(r"^<!-- tour: .* -->\n```\n\$ sercli", text, re.MULTILINE)
    )
    assert all((ROOT / "docs" / "figures" / name).is_file() for name in figures(text))


def test_the_tour_shows_a_figure() -> None:
    assert figures((ROOT / "docs" / "tour.md").read_text(encoding="utf-8"))
