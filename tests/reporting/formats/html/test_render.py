"""The page: whole in itself, faithful to what it is told, and safe whatever that is."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pandas as pd
import pytest
from helpers.page_factory import make_content, make_figure, make_table
from hypothesis import given

from sercli.passwords import without_password
from sercli.reporting.formats.html import render
from sercli.reporting.formats.html.collect import collect
from sercli.reporting.formats.html.content import (
    Card,
    Command,
    Failures,
    Machine,
    PageWarning,
    Section,
)
from sercli.reporting.formats.html.render import render_page
from sercli.reporting.table import Cell, Column, Table
from sercli.resources import PALETTE
from sercli.results.run_record import Record
from sercli.results.sweep_summary import SweepSummary

Make = Callable[..., Record]

VOID = {"meta", "link", "input", "br"}
REFERENCES = {"src", "href", "xlink:href", "srcset", "poster", "data", "action", "background"}


class Page(HTMLParser):
    """Reads a page as a browser would; tags that do not match are an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str) -> str:
        return "\n".join(self.texts.get(tag, []))


def rendered(table: Table, element: str = "table") -> Page:
    """The first table of a page, or an element of it."""
    html = render_page(make_content(sections=(Section("Results", (table,)),)))
    start, end = f"<{element}>", f"</{element}>"
    return Page(start + html.partition(start)[2].partition(end)[0] + end)


def sweep(points: dict[str, int], causes: list[str | None]) -> tuple[SweepSummary, pd.DataFrame]:
    """A sweep of which as many points failed as there are causes."""
    page = SweepSummary("search", "tpe", ["dev_ua"], None, {}, [0], points)
    states = ["failed"] * len(causes) + ["complete"]
    return page, pd.DataFrame({"state": states, "cause": [*causes, None]})


def with_environment(record: Record, **environment: Any) -> Record:
    """Say where a record was made."""
    (record.path / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    return record


# ---- whole in itself ----


def test_nothing_on_a_page_refers_to_anything_outside_it() -> None:
    html = render_page(make_content())
    page = Page(html)

    references = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in REFERENCES
    ]

    assert len(references) > 5
    assert {value for value in references if not value.startswith(("#", "data:"))} == set()
    assert set(re.findall(r"\w+://[^\"'<\s]*", html)) == {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r"url\(([^)]*)\)", html)) == {"#curves-clip", "#surface-clip"}
    assert "@import" not in html


def test_every_link_finds_its_place_and_no_place_is_there_twice() -> None:
    page = Page(render_page(make_content()))

    places = Counter(a["id"] for _, a in page.elements if "id" in a)
    links = {a["href"][1:] for a in page.all("a")}

    assert set(places.values()) == {1}
    assert {"section-1", "figure-curves", "protocol", "failures", "records"} <= links
    assert links <= set(places)


def test_a_page_of_200_runs_has_at_most_5_megabytes() -> None:
    keys = tuple(f"{number:010x}" for number in range(200))
    tables = tuple(make_table(200, title=f"Table {number}") for number in range(8))
    html = render_page(
        make_content(
            sections=(Section("Results", tables),),
            figures=tuple(make_figure(f"figure{number}", points=3500) for number in range(40)),
            cards=tuple(Card("A protocol. " * 80, (("seeds", key),), keys) for key in keys[:50]),
            commands=tuple(Command(f"sercli train seeds=[{key}]", (key,)) for key in keys),
        )
    )

    assert len(make_figure("one", points=3500).svg) > 60_000
    assert 2_000_000 < len(html.encode()) <= 5_000_000


# ---- safe, whatever it is told ----


def test_whatever_is_data_is_shown_as_text() -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    table = Table(evil, (Column(evil),), ((Cell(evil, 1.0, strong=True),),), (evil,), evil)
    page = Page(
        render_page(
            make_content(
                title=evil,
                subtitle=evil,
                version=evil,
                warnings=(PageWarning(evil, evil),),
                sections=(Section(evil, (table,)), Section(evil, (table,), folded=True)),
                figures=(replace(make_figure("curves"), title=evil, caption=evil),),
                cards=(Card(evil, ((evil, evil),), (evil,)),),
                failures=(Failures(evil, (evil,)),),
                machines=(Machine(evil, ((evil, evil),), (evil,) * 4),),
                commands=(Command(evil, (evil,)),),
                records=table,
            )
        )
    )

    assert len(page.all("script")) == 1
    assert page.all("img") == []
    shown = ("h1", "h2", "h3", "th", "b", "dt", "dd", "code", "li", "p", "title", "summary")
    assert [tag for tag in shown if evil not in page.text(tag)] == []


def test_the_policy_lets_the_script_of_the_page_run_and_no_other() -> None:
    page = Page(render_page(make_content()))

    digest = base64.b64encode(hashlib.sha256(page.texts["script"][0].encode()).digest()).decode()
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)

    assert f"script-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy


# ---- to be read by everybody ----


def test_tables_have_captions_and_headings_of_rows_and_columns() -> None:
    page = rendered(make_table(3))

    assert len(page.all("caption")) == 1
    assert [a.get("scope") for a in page.all("th")] == ["col"] * 10 + ["row"] * 3
    assert "synthetic, loso_session, 4 classes (%)" in page.text("span")
    assert "SYNTHETIC speech" in page.text("strong")


def test_figures_carry_the_value_that_they_are_sorted_by_and_a_missing_one_carries_none() -> None:
    cells = (
        Cell("a"),
        Cell("61.3 ± 0.4", 61.25, strong=True),
        Cell("–"),
        Cell("nan", float("nan")),
    )
    columns = (Column("system"), *(Column(name, numeric=True) for name in "xyz"))

    page = rendered(Table("t", columns, (cells,)), "tbody")

    assert [a.get("data-sort") for a in page.all("td")] == ["61.25", None, None]
    assert page.text("b") == "61.3 ± 0.4"


def test_warnings_stand_in_the_title_on_top_and_in_a_strip_that_stays() -> None:
    warnings = (PageWarning("SYNTHETIC", "All heard."), PageWarning("TEST-SELECTED", "All chose."))
    page = Page(render_page(make_content(warnings=warnings)))

    assert page.text("title").startswith("SYNTHETIC · TEST-SELECTED · demo")
    assert "SYNTHETIC · TEST-SELECTED" in page.text("div")
    assert {"SYNTHETIC", "TEST-SELECTED"} <= set(page.texts["strong"])
    assert "All heard." in page.text("p")


def test_a_report_without_warnings_figures_or_failures_says_what_there_is_to_say() -> None:
    page = Page(render_page(make_content(warnings=(), figures=(), failures=())))

    assert page.text("title") == "demo"
    assert [a for a in page.all("div") if a.get("class") == "strip"] == []
    assert "Figures" not in page.texts["h2"]
    assert "no run diverged" in page.text("p")


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_pair_of_colours_has_the_contrast_that_text_needs(scheme: int) -> None:
    files = (PALETTE, Path(render.__file__).parent / "page.css")
    css = "".join(path.read_text(encoding="utf-8") for path in files)
    blocks = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)
    chosen = blocks[::2] + scheme * blocks[1::2]  # light, then dark, of each file
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", "".join(chosen)))

    on_paper = [(ink, on) for ink in ("ink", "soft", "link") for on in ("paper", "wash")]
    for ink, on in [*on_paper, ("alarm-ink", "alarm")]:
        bright, dark = sorted((_luminance(colours[name]) for name in (ink, on)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (ink, on)  # WCAG 2.2, 1.4.3


def _luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# ---- collected from records ----


def test_runs_of_one_protocol_share_a_card(record: Make) -> None:
    runs = [record(f"optim.lr={lr}") for lr in (0.1, 0.2)]
    other = record("optim.lr=0.3", card={"folds": 4, "paragraph": "Four folds."})

    cards = collect([*runs, other], [], [], [], []).cards

    assert [card.runs for card in cards] == [tuple(run.key for run in runs), (other.key,)]
    assert cards[1].paragraph == "Four folds."
    assert ("folds", "4") in cards[1].facts
    assert ("synthetic", "no") in cards[1].facts
    assert "paragraph" not in dict(cards[1].facts)


def test_synthetic_and_test_selected_runs_are_warned_of_by_number(record: Make) -> None:
    real = record("optim.lr=0.1")
    made = record("optim.lr=0.2", card={"synthetic": True})
    peeked = record("optim.lr=0.3", card={"selected_on": "test"})

    assert collect([real], [], [], [], []).warnings == ()
    synthetic, on_test = collect([real, made, peeked], [], [], [], []).warnings
    assert (synthetic.mark, synthetic.text[:14]) == ("SYNTHETIC", "1 of 3 runs us")
    assert (on_test.mark, on_test.text[:14]) == ("TEST-SELECTED", "1 of 3 runs se")
    assert collect([made], [], [], [], []).warnings[0].text.startswith("All of 1 run ")


def test_failures_name_what_diverged_what_failed_why_and_what_is_damaged(record: Make) -> None:
    lost = record(diverged=[{"seed": 0, "fold": "Session2", "step": 140}])
    states = {"failed": 4, "complete": 1, "waiting": 2}
    failed = sweep(states, ["no memory", "no disk", "no memory", None])

    found = collect([lost], [failed], [], [], ["runs/x is not a run record"]).failures

    assert {each.title: each.lines for each in found} == {
        "Diverged runs": (f"first/{lost.key}: seed 0, fold Session2, step 140",),
        "Failed trials": (
            "search: 2 trials: no memory",
            "search: 1 trial: no disk",
            "search: 1 trial: unknown cause",
        ),
        "Unfinished sweeps": ("search: 2 waiting and 0 running of 7 trials",),
        "Damaged records": ("runs/x is not a run record",),
    }
    assert collect([record()], [sweep({"complete": 1}, [])], [], [], []).failures == ()


def test_runs_of_one_machine_and_of_one_command_stand_together(record: Make) -> None:
    here = {"sercli": "0.1.0", "processor": "EPYC", "packages": {"torch": "2.6"}, "git": None}
    swept = ["/somewhere/bin/sercli", "sweep", "activation=relu,tanh"]
    runs = [
        with_environment(record("optim.lr=0.1"), time="3", command=swept, seconds=9, **here),
        with_environment(record("optim.lr=0.2"), time="2", command=swept, seconds=7.5, **here),
        with_environment(record("optim.lr=0.3"), time="1", command=["sercli", "train"], cores=4),
    ]

    content = collect(runs, [], [], [], [])

    third, second, first = (run.key for run in runs)
    assert [each.runs for each in content.machines] == [(first,), (second, third)]
    assert content.machines[1].title == "sercli 0.1.0, EPYC, torch 2.6, git –"
    assert ("torch", "2.6") in content.machines[1].facts
    assert [[cell.value for cell in row][4] for row in content.records.rows] == [9, 7.5, None]
    assert [(each.line, each.runs) for each in content.commands] == [
        ("sercli train", (first,)),
        ("sercli sweep activation=relu,tanh", (second, third)),
    ]


def test_an_environment_is_named_by_what_tells_it_from_the_others(record: Make) -> None:
    runs = [
        with_environment(
            record(f"optim.lr={lr}"),
            sercli="0.1.0",
            git={"commit": commit},
            packages={"torch": torch, "numpy": "2.4"},
            cores=2,
        )
        for lr, torch, commit in ((0.1, "2.6", "a"), (0.2, "2.7", "a"), (0.3, "2.7", "b"))
    ]

    titles = [machine.title for machine in collect(runs, [], [], [], []).machines]

    assert titles == [
        "sercli 0.1.0, git commit a, torch 2.6",
        "sercli 0.1.0, git commit a, torch 2.7",
        "sercli 0.1.0, git commit b, torch 2.7",
    ]


@pytest.mark.parametrize("content", ["{", "[]", None])
def test_an_environment_that_cannot_be_read_is_a_failure_and_the_rest_is_shown(
    record: Make, content: str | None
) -> None:
    good, bad = record("optim.lr=0.1"), record("optim.lr=0.2")
    (bad.path / "environment.json").unlink()
    if content is not None:
        (bad.path / "environment.json").write_text(content, encoding="utf-8")

    page = collect([good, bad], [], [], [], [])

    (failure,) = page.failures
    assert failure.lines[0].startswith(f"{bad.path}/environment.json cannot be read")
    assert [machine.runs for machine in page.machines] == [(good.key,)]
    assert [row[0].text for row in page.records.rows] == [good.key, bad.key]


def test_a_page_says_what_it_is_about(record: Make) -> None:
    runs = [record(experiment="a"), record(experiment="b")]

    content = collect(runs, [], [Section("Results", (make_table(2),))], [], [])

    assert (content.title, content.made.tzname()) == ("a, b", "UTC")
    assert content.subtitle == "Speech emotion recognition: 2 runs on iemocap"
    assert str(runs[0].path) in Page(render_page(content)).text("td")
    assert collect([], [], [], [], ["x"]).title == "No runs"


# Letters that are in nothing else of a command, and all that has a meaning in a URL.
passwords = st.text("XYZ@:/?&#%= \n", min_size=1).filter(lambda text: set(text) & set("XYZ"))


@given(passwords)
def test_no_password_of_a_storage_reaches_a_page(password: str) -> None:
    for argument in (
        f"postgresql://me:{password}@host/db",
        f"--storage=postgresql+psycopg://me:{password}@host:5432/db?sslmode=require",
        f"mysql://:{password}@host",
    ):
        shown = without_password(argument)
        assert not set(shown) & set("XYZ")
        assert "@host" in shown


def test_a_password_among_the_options_of_a_url_is_left_out_and_other_words_stay() -> None:
    url = "postgresql://host/db?user=me&password=secret&sslmode=require"

    assert without_password(url) == "postgresql://host/db?user=me&password=***&sslmode=require"
    for harmless in ("arelu.alpha=0.1", "sqlite:///runs/study.db", "postgresql://me@host:5432/db"):
        assert without_password(harmless) == harmless
