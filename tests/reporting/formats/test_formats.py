"""The forms of a report: what a table and its data become."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from sercli.reporting.formats import FORMATS, to_text
from sercli.reporting.formats.csv_json import as_csv, as_json
from sercli.reporting.formats.markdown import as_markdown
from sercli.reporting.formats.terminal import as_terminal
from sercli.reporting.table import Cell, Column, Table, View

FIGURES = Table(
    "Runs (%)",
    (Column("system"), Column("UA", numeric=True), Column("oracle UA", numeric=True)),
    (
        (Cell("iaan gru tanh"), Cell("71.2", 71.2, strong=True), Cell("72.0", 72.0)),
        (Cell("iaan gru relu"), Cell("–"), Cell("8.0", 8.0)),
    ),
    ("Each with 5 folds.",),
    "SYNTHETIC speech.",
)


def table_of(system: str, headings: Sequence[str] = ("UA",)) -> Table:
    columns = (Column("system"), *(Column(name, numeric=True) for name in headings))
    return Table("T", columns, ((Cell(system), *(Cell("65.1–74.9") for _ in headings)),))


def printed(table: Table, width: int = 100, *, colour: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=colour)
    with console.capture() as capture:
        console.print(as_terminal([table]))
    return capture.get()


def lines_of(data: Mapping[str, Sequence[dict[str, Any]]]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(View((), data)))))


def test_the_forms_are_those_of_the_command_line() -> None:
    assert list(FORMATS) == ["table", "markdown", "latex", "csv", "json", "jsonl"]


def test_markdown_has_title_warning_table_and_notes() -> None:
    assert as_markdown([FIGURES]).splitlines() == [
        "**Runs (%)**",
        "",
        "**SYNTHETIC speech.**",
        "",
        "| system | UA | oracle UA |",
        "| --- | ---: | ---: |",
        "| iaan gru tanh | **71.2** | 72.0 |",
        "| iaan gru relu | – | 8.0 |",
        "",
        "Each with 5 folds.",
    ]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("a|b", "a\\|b"), ("<script>", "&lt;script>"), ("a*b*", "a\\*b\\*"), ("a\nb", "a b")],
)
def test_markdown_takes_no_text_for_a_mark(text: str, escaped: str) -> None:
    assert f"| {escaped} | 65.1–74.9 |" in as_markdown([table_of(text)])


@given(st.text("a|\\\n\r\t\v\f\x1c\x85\u2028 <>&*_`~#[]()!$%é中\0"))
def test_whatever_a_system_is_called_its_line_of_markdown_has_two_cells(system: str) -> None:
    line = as_markdown([table_of(system)]).split("\n")[4]

    assert line.replace("\\|", "").count("|") == 3


def test_the_terminal_shows_title_warning_table_and_notes() -> None:
    lines = [line.rstrip() for line in printed(FIGURES).splitlines()]

    assert lines[:2] == ["Runs (%)", "SYNTHETIC speech."]
    assert " iaan gru tanh  *71.2    72.0" in lines
    assert " iaan gru relu      –     8.0" in lines
    assert "Each with 5 folds." in lines


def test_a_best_result_is_bold_in_a_terminal_and_has_a_star_elsewhere() -> None:
    assert "\x1b[1m71.2\x1b[0m" in printed(FIGURES, colour=True)
    assert "\x1b" not in printed(FIGURES)
    assert " *71.2 " in printed(FIGURES)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_what_finds_no_room_goes_on_below_behind_the_first_column(width: int) -> None:
    headings = ["UA", "95 %", "WA", "macro F1", "oracle UA", "oracle WA", "dev UA", "folds"]

    text = printed(table_of("iaan_small gru arelu α=0.01 β=1", headings), width)

    lines = text.splitlines()
    assert all(cell_len(line) <= width for line in lines)
    assert text.count("65.1–74.9") == len(headings)
    assert "…" not in text
    parts = sum("──" in line for line in lines)
    assert parts > 1
    assert sum("iaan_small" in line for line in lines) == parts


def test_what_has_room_is_one_table() -> None:
    assert sum("──" in line for line in printed(FIGURES, 60).splitlines()) == 1


def test_brackets_survive_the_terminal() -> None:
    assert "a [red]gru[/red] seeds=[1]" in printed(table_of("a [red]gru[/red] seeds=[1]"))


def test_a_table_without_rows_has_its_headings_in_every_form() -> None:
    empty = Table("Nothing", FIGURES.columns, ())

    assert "oracle UA" in as_markdown([empty])
    assert "system" in printed(empty)


def test_json_is_one_document_whose_figures_are_finite_or_null() -> None:
    data = {"rows": [{"ua": 0.7, "ci": [0.6, float("inf")], "α": float("nan")}], "more": []}

    text = as_json(View((), data))

    assert json.loads(text) == {"rows": [{"ua": 0.7, "ci": [0.6, None], "α": None}], "more": []}
    assert "α" in text


def test_csv_spreads_intervals_mappings_and_lists() -> None:
    data: dict[str, list[dict[str, Any]]] = {
        "rows": [
            {"system": "a, b", "ua": 0.7125, "ua_ci": [0.651, 0.749], "n": 5, "runs": ["x", "y"]},
            {"system": "c", "ua": None, "ua_ci": None, "recall": {"anger": 0.5}, "card": {"a": 1}},
        ],
        "comparisons": [{"system": "not here"}],
    }

    one, two = lines_of(data)

    assert one == {
        "system": "a, b",
        "ua": "0.7125",
        "ua_ci_low": "0.651",
        "ua_ci_high": "0.749",
        "n": "5",
        "runs": "x y",
        "recall_anger": "",
    }
    assert (two["ua"], two["ua_ci_low"], two["recall_anger"]) == ("", "", "0.5")


def test_text_ends_its_last_line() -> None:
    view = View((FIGURES,), {"α": [1]})

    assert to_text(view, "json") == '{\n  "α": [\n    1\n  ]\n}\n'
    assert to_text(view, "markdown").endswith("Each with 5 folds.\n")


def test_only_a_terminal_has_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    view = View((FIGURES,), {})
    assert "\x1b" not in to_text(view)

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert "\x1b[1mRuns (%)" in to_text(view)
    assert "\x1b" not in to_text(view, plain=True)


def test_a_pipe_gives_wide_lines_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    view = View((Table("word " * 40, (), ()),), {})

    monkeypatch.delenv("COLUMNS", raising=False)
    assert max(map(len, to_text(view).splitlines())) > 100
    monkeypatch.setenv("COLUMNS", "40")
    assert max(map(len, to_text(view).splitlines())) <= 40


@pytest.mark.parametrize("name", FORMATS)
def test_a_table_without_columns_is_its_title_and_notes(name: str) -> None:
    text = to_text(View((Table("No fault", (), (), ("A note.",)),), {"faults": []}), name)

    assert name in ("csv", "json", "jsonl") or text.index("No fault") < text.index("A note.")


def test_csv_has_the_lines_of_a_view_or_its_data_as_one() -> None:
    @dataclass(frozen=True)
    class Fault:
        file: str

    assert as_csv(View((), {"n": 3})) == "n\n3\n"
    assert as_csv(View((), {"faults": ()}, [Fault("a")])) == "file\na\n"
