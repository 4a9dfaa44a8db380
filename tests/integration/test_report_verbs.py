"""After a sweep: report, verify, rerun, compare and attend, by the command in this process."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from helpers.shell import InProcessShell, Shell

MARK = 0.98765
"""A figure that no report shows by chance."""

SHORT = "trainer.steps=4"
"""Enough steps for a learning curve."""


@dataclass(frozen=True)
class Search:
    """A finished search: the folder it was run in, the keys of its two points."""

    sercli: Shell
    winner: str
    loser: str

    @property
    def folder(self) -> Path:
        """Of the experiment."""
        return self.sercli.folder / "runs" / "search"

    def copied(self, folder: Path) -> Search:
        """The same elsewhere, to be damaged."""
        shutil.copytree(self.folder, folder / "runs" / "search")
        return Search(InProcessShell(folder), self.winner, self.loser)


@pytest.fixture(name="searched", scope="module")
def _searched(small: list[str], tmp_path_factory: pytest.TempPathFactory) -> Search:
    """A search of two points, which all tests of this file only read."""
    shell = InProcessShell(tmp_path_factory.mktemp("searched"))
    space = ["activation=tanh,arelu", "experiment=search"]
    found = shell.json("sweep", "--fold-workers", "1", *small, SHORT, *space)
    (loser,) = (run["key"] for run in found["runs"] if run["key"] != found["winner"])
    return Search(shell, found["winner"], loser)


@pytest.fixture(name="opened", scope="module")
def _opened(searched: Search, tmp_path_factory: pytest.TempPathFactory) -> Search:
    """The same search with its seal broken."""
    opened = searched.copied(tmp_path_factory.mktemp("opened"))
    rows = opened.sercli.json("report", "search", "--unseal")["rows"]
    assert not any(row["sealed"] for row in rows if row["source"] == "run")
    return opened


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save figures at a low resolution."""
    monkeypatch.setattr("sercli.reporting.figures.plot._PRINT", 50)


class Page(HTMLParser):
    """What a browser would load, and what it would show."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.references: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                self.references.append(value or "")
            self.references += re.findall(r"url\(([^)]*)\)", value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def marked(value: Any, name: str = "") -> Any:
    """Metrics with the mark in place of every figure that test has a part in."""
    if isinstance(value, dict):
        return {each: marked(inner, each) for each, inner in value.items()}
    if isinstance(value, list):
        return [marked(inner, name) for inner in value]
    kept = name.startswith("dev_") or name in ("n", "seed", "fold", "selected_step", "oracle_step")
    return value if kept or not isinstance(value, float) else MARK


def mark_test_figures(record: Path) -> None:
    page = json.loads((record / "run.json").read_text(encoding="utf-8"))
    page["metrics"] = marked(page["metrics"])
    (record / "run.json").write_text(json.dumps(page), encoding="utf-8")


def gives_away(text: str) -> bool:
    return "98.8" in text or "0.9876" in text


def test_a_loser_shows_no_test_figure_in_any_form_until_the_seal_is_broken(
    searched: Search, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = searched.copied(tmp_path)
    for key in (search.winner, search.loser):
        mark_test_figures(search.folder / key)
    report = ["report", search.loser, "--format"]
    for form in ("table", "csv", "json"):
        assert not gives_away(search.sercli.ok(*report, form)), form
    search.sercli.ok(*report, "html", "--output", "loser.html")
    assert not gives_away((tmp_path / "loser.html").read_text(encoding="utf-8"))
    for activation in ("tanh", "arelu"):
        finished = ["train", *small, SHORT, f"activation={activation}", "experiment=search"]
        page = search.sercli.json(*finished)
        wins = page["key"] == search.winner
        assert ("ua" in page["metrics"], gives_away(json.dumps(page))) == (wins, wins)
        assert "dev_ua" in page["metrics"]

    monkeypatch.setattr("sercli.reporting.formats.html.document.draw_report", lambda data: [])
    search.sercli.ok(*report, "html", "--output", "opened.html", "--unseal")
    assert gives_away((tmp_path / "opened.html").read_text(encoding="utf-8"))
    opened = json.loads((search.folder / "sweep.json").read_text())["opened"]
    assert [each["how"] for each in opened] == ["report --unseal"]


def test_a_damaged_record_does_not_hide_the_others(searched: Search, tmp_path: Path) -> None:
    search = searched.copied(tmp_path)
    damaged, good = search.loser, search.winner
    (search.folder / damaged / "run.json").write_text("{", encoding="utf-8")
    done = search.sercli("report", "search", "--format", "csv")
    assert done.returncode == 1
    assert damaged in done.stderr
    assert good in done.stdout


def test_an_unknown_experiment_names_the_nearest(searched: Search) -> None:
    assert "Did you mean 'search'?" in searched.sercli.refused("report", "serch")


def test_a_page_opens_anywhere_and_shows_all_there_is(searched: Search, tmp_path: Path) -> None:
    path = tmp_path / "made" / "report.html"
    said = searched.sercli("report", "search", "--format", "html", "--output", path)

    assert (said.returncode, said.stdout) == (0, ""), said.stderr
    page = Page(path)
    assert page.references
    assert all(each.startswith(("#", "data:")) for each in page.references)
    html = path.read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[\w./]*", html)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "@import" not in html
    assert page.tags.count("svg") >= 2
    for words in ("Results", "Sweeps", "SEALED", searched.loser, "tanh"):
        assert words in page.text


def test_figures_are_drawn_beside_any_report(searched: Search, tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    done = searched.sercli("report", "search", "--format", "csv", "--figures", folder)

    assert done.returncode == 0, done.stderr
    drawn = sorted(path.stem for path in folder.glob("*.svg"))
    assert {"confusion", "curves"} <= set(drawn)
    assert not {"forest", "history-search"} & set(drawn)  # of one winner, and of two trials
    assert drawn == sorted(path.stem for path in folder.glob("*.png"))
    assert drawn == sorted(path.stem for path in folder.glob("*.pdf"))
    assert "## curves" in (folder / "captions.md").read_text(encoding="utf-8")
    for name in drawn:
        assert ElementTree.parse(folder / f"{name}.svg").getroot().tag.endswith("svg")
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert f"{3 * len(drawn) + 1} figure files" in done.stderr
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) > 2  # the report itself


def test_a_setting_is_tabulated_by_another(searched: Search, opened: Search) -> None:
    by = ["--rows", "activation", "--columns", "model", "--format", "csv"]
    for search, metric in ((searched, "dev_ua"), (opened, "ua")):
        rows = list(csv.DictReader(io.StringIO(search.sercli.ok("report", "search", *by))))
        metrics = {key: figures(search, key) for key in (search.winner, search.loser)}
        assert {row["activation"] for row in rows} == {"tanh", "arelu"}
        assert {row["model"] for row in rows} == {"iaan_small"}
        for row in rows:
            assert row["metric"] == metric
            assert float(row["mean"]) == pytest.approx(metrics[row["runs"]][metric])


def figures(search: Search, key: str) -> dict[str, Any]:
    page = json.loads((search.folder / key / "run.json").read_text(encoding="utf-8"))
    metrics: dict[str, Any] = page["metrics"]
    return metrics


def test_table_1_stands_beside_the_runs_that_repeat_it(searched: Search) -> None:
    text = searched.sercli.ok("report", "search", "--table1", "--format", "markdown")

    rows = {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines()}
    for published, words in (
        ("R-GRU", ("not run", "67.7")),
        ("AR-GRU (V)", ("arelu", "68.3")),
        ("IAAN", ("tanh", "66.3")),
    ):
        assert all(word in rows[published] for word in words)
    assert "not comparable: the run has 34 of 5531 utterances" in text


def test_latex_is_whole(opened: Search) -> None:
    text = opened.sercli.ok("report", "search", "--format", "latex")

    begun, ended = (re.findall(rf"\\{word}{{(\w+\*?)}}", text) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    assert begun.count("tabular") >= 3
    assert not re.search(r"(?<!\\)[%_]", re.sub(r"^% .*", "", text, flags=re.MULTILINE))
    assert f"{100 * figures(opened, opened.loser)['ua']:.1f}" in text


def test_diagnostics_tell_where_recognition_fails(searched: Search) -> None:
    found = searched.sercli.json("report", "search", "--diagnostics")

    assert searched.loser not in json.dumps(found)  # it is sealed
    text = searched.sercli.ok("report", "search", "--diagnostics")
    for words in (
        "improvised",
        "Session3",
        "female",
        "Ses05_M",
        "both turns",
        "confusions on test",
    ):
        assert words in text


def test_runs_are_tested_against_the_one_that_is_named(opened: Search) -> None:
    for reference, other in (
        (opened.winner, opened.loser),
        (opened.loser, opened.winner),
    ):
        (found,) = opened.sercli.json("report", "search", "--against", reference)["comparisons"]
        assert found["kind"] == "runs"
        assert (found["reference_run"], found["runs"]) == (reference, [other])
        delta = figures(opened, other)["ua"] - figures(opened, reference)["ua"]
        assert found["delta_ua"] == pytest.approx(delta)
        assert not found["significant"]
    line = opened.sercli.refused("report", "search", "--against", "tanhh")
    assert "no run 'tanhh' to test against" in line


def test_a_sealed_run_is_tested_against_nothing(searched: Search) -> None:
    assert searched.sercli.json("report", "search")["comparisons"] == []


def test_whole_records_have_no_faults(searched: Search) -> None:
    found = searched.sercli.json("verify", "search")

    assert found == {"records": 2, "sweeps": 1, "faults": []}
    assert "2 records and 1 sweeps verified: no faults" in searched.sercli.ok("verify")


def edit_a_prediction(record: Path) -> None:
    table = pd.read_parquet(record / "predictions.parquet")
    row = table.query("part == 'test' and selection == 'dev'").index[0]
    classes = sorted(table["label"].unique())
    table.loc[row, "predicted"] = next(x for x in classes if x != table.loc[row, "predicted"])
    table.to_parquet(record / "predictions.parquet")


def edit_a_metric(record: Path) -> None:
    page = json.loads((record / "run.json").read_text(encoding="utf-8"))
    page["metrics"]["ua"] += 0.01
    (record / "run.json").write_text(json.dumps(page), encoding="utf-8")


@pytest.mark.parametrize(
    ("edit", "files", "words"),
    [
        (edit_a_prediction, ["predictions.parquet", "run.json"], "1 rows do not predict"),
        (edit_a_metric, ["run.json"], "ua does not follow from the predictions"),
    ],
)
def test_a_record_that_was_edited_by_hand_is_named(
    searched: Search, tmp_path: Path, edit: Any, files: list[str], words: str
) -> None:
    search = searched.copied(tmp_path)
    edit(search.folder / search.loser)

    done = search.sercli("verify", "--format", "json")

    assert done.returncode == 1, done.stderr
    faults = json.loads(done.stdout)["faults"]
    assert {fault["record"] for fault in faults} == {f"search/{search.loser}"}
    assert sorted({fault["file"] for fault in faults}) == files
    assert [reason for reason in (fault["reason"] for fault in faults) if words in reason]


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_rerun_agrees_and_leaves_the_record_as_it_was(searched: Search, tmp_path: Path) -> None:
    search = searched.copied(tmp_path)
    before = digests(search.folder / search.loser)

    made = search.sercli.json("rerun", search.loser, "--workers", "1")

    assert (made["agrees"], made["exact"], made["reasons"]) == (True, True, [])
    assert len(made["fold_runs"]) == 5
    assert all(unit["same"] == 1 and unit["max_difference"] == 0 for unit in made["fold_runs"])
    assert not any("ua" in unit for unit in made["fold_runs"])  # it is sealed
    assert digests(search.folder / search.loser) == before
    assert search.sercli.json("verify", "search")["records"] == 2
    assert "optim.lr=1" in search.sercli.refused("rerun", search.loser, "optim.lr=1")


def test_what_differs_between_two_runs_is_listed(searched: Search) -> None:
    diff = ["config", "diff", f"search/{searched.winner}", f"search/{searched.loser}"]

    found = searched.sercli.json(*diff)["differences"]

    keys = [each["key"] for each in found]
    assert all(key.startswith("activation.") for key in keys)
    assert {found[0]["left"], found[0]["right"]} == {"tanh", "arelu"}
    everything = searched.sercli.json(*diff, "--all")["differences"]
    assert set(keys) < {each["key"] for each in everything}
    assert ": none" in searched.sercli.ok(*diff[:3], diff[2])
    assert "has 2 runs: name one" in searched.sercli.refused(*diff[:3], "search")


def test_the_attention_over_an_utterance_is_drawn_for_who_may_see_it(
    searched: Search, tmp_path: Path
) -> None:
    table = pd.read_parquet(searched.folder / searched.winner / "predictions.parquet")
    utterance = table.query("part == 'test'")["utterance"].iloc[0]
    attend = ["attend", searched.winner, utterance, "--figures", tmp_path]

    paths = searched.sercli.ok(*attend).split()

    assert [Path(path).suffix for path in paths] == [".svg", ".png", ".pdf"]
    assert all(Path(path).stat().st_size > 1000 for path in paths)
    line = searched.sercli.refused("attend", searched.loser, utterance)
    assert "is sealed" in line


def test_the_state_of_a_sweep_is_one_document(searched: Search) -> None:
    found = searched.sercli.json("status", "search")

    assert found["complete"] is True
    assert {state: n for state, n in found["states"].items() if n} == {"complete": 2}
    best = max(figures(searched, key)["dev_ua"] for key in (searched.winner, searched.loser))
    assert found["best"]["dev_ua"] == pytest.approx(best)
    assert found["failures"] == found["running"] == []
