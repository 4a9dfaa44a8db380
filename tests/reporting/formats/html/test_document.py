"""The page of a report: all that there is to say of the runs, and nothing that is sealed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.reports import report_tables, report_text

from sercli.errors import RequestError, SercliError
from sercli.reporting.figures.draw import draw_report
from sercli.reporting.formats.html.document import make_page
from sercli.reporting.load import ReportData, ReportRequest, load
from sercli.reporting.report import build_view
from sercli.results.fold_result import FoldResult
from sercli.results.run_record import Record
from sercli.results.sweep_summary import SweepSummary

pytestmark = pytest.mark.usefixtures("few_resamples")

Make = Callable[..., Record]
Search = Callable[..., SweepSummary]

NAN = float("nan")
WHERE = [{"seed": 3, "fold": "Session2", "step": 140}]


CLASSES = ["anger", "happiness", "neutral", "sadness"]

UTTERANCES = pd.DataFrame(
    {
        "utterance": [f"one-test{number}" for number in range(4)],
        "speaker": ["a", "b", "a", "b"],
        "label": CLASSES,
        "improvised": [True, False, True, False],
        "own": True,
        "interlocutor": False,
        **dict.fromkeys(("gender", "session", "transcript", "seconds")),
    }
)


@pytest.fixture(name="run")
def _run(record: Make, make_result: Callable[..., FoldResult]) -> Make:
    """Write a record whose history can be drawn and whose utterances are known."""
    unit = make_result(CLASSES, ["anger", "anger", "neutral", "sadness"])
    history = pd.DataFrame(
        {
            "step": [0, 10, 20],
            "loss": [NAN, 2.0, 1.0],
            "dev_ua": [NAN, 0.4, 0.5],
            "test_ua": [NAN, 0.33, 0.31],
        }
    )
    probabilities = {f"p_{name}": 0.25 for name in CLASSES}
    unit = replace(
        unit,
        history=history.assign(seed=0, fold="one"),
        predictions=unit.predictions.assign(**probabilities),
    )

    def run(*overrides: str, utterances: pd.DataFrame = UTTERANCES, **facts: Any) -> Record:
        made = record(*overrides, results=[unit], by_seed=[{"seed": 0}], **facts)
        utterances.to_parquet(made.path / "utterances.parquet")
        return made

    return run


@pytest.fixture(name="undrawn")
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing, where a test is of words alone: figures take most of the time of a page."""
    monkeypatch.setattr("sercli.reporting.formats.html.document.draw_report", lambda data: [])


@pytest.fixture(name="unrendered")
def _unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw figures without rendering them: their names and captions are on the page."""
    monkeypatch.setattr("sercli.reporting.formats.html.document.as_svg", lambda plot: "<svg></svg>")


def page_of(runs: Path, **asked: Any) -> str:
    return report_text(runs, "html", **asked)


def headings(page: str) -> list[str]:
    """What stands above the parts of a page, in their order."""
    return re.findall(r"<h[23][^>]*>([^<]+)</h", page)


def words(page: str) -> str:
    """All that a reader sees but the drawings."""
    seen = re.sub(r"<(style|script|svg)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", seen).split())


def drawings(page: str) -> list[str]:
    return re.findall(r'<figure id="figure-([\w-]+)"', page)


RECALL = {"anger": 1.0, "sadness": 0.0}


@pytest.mark.usefixtures("unrendered")
def test_a_page_has_a_part_for_everything_that_runs_say(run: Make, runs: Path) -> None:
    run("activation=tanh", dev_ua=0.8, recall=RECALL)
    run("activation=relu", dev_ua=0.6, recall=RECALL)

    page = page_of(runs)

    assert headings(page)[1:] == [
        "Results",
        "Published results",
        "Recall per class",
        "Diagnostics",
        "Figures",
        "Protocol",
        "Failures",
        "Environment",
        "Commands",
        "Records",
    ]
    assert drawings(page) == ["forest", "confusion", "curves"]


@pytest.mark.usefixtures("undrawn")
def test_every_table_of_the_report_stands_on_its_page(
    run: Make, runs: Path, search: Search
) -> None:
    search(run("activation=tanh", dev_ua=0.8, recall=RECALL))
    request = ReportRequest([], runs, "html")
    data = load(request)

    page = words(make_page(data))

    titles = [table.title for table in build_view(request, data).tables]
    assert len(titles) > 5
    for title in titles:
        assert title in page


@pytest.mark.usefixtures("undrawn")
def test_what_was_asked_for_stands_first(run: Make, runs: Path) -> None:
    run("activation=tanh")
    run("activation=relu")

    for asked, says in (
        ({"rows": "activation"}, "activation all runs"),
        ({"table1": True}, "Table 1 of Rajamani et al. 2021"),
    ):
        page = page_of(runs, **asked)
        assert headings(page)[1:3] == ["Requested view", "Results"]
        assert says in words(page)
    assert "Requested view" not in headings(page_of(runs))
    with pytest.raises(RequestError, match=r"Did you mean 'activation'\?"):
        page_of(runs, rows="activaton")


@pytest.mark.usefixtures("unrendered")
def test_a_search_has_its_part_and_its_course_is_drawn(
    run: Make, runs: Path, search: Search
) -> None:
    winner = run("activation=tanh", dev_ua=0.8)
    for activation in ("relu", "elu", "gelu", "selu"):
        run(f"activation={activation}", dev_ua=0.6)
    search(winner)

    page = page_of(runs)

    assert "Sweeps" in headings(page)
    assert "history-first" in drawings(page)
    assert "first: the best trial on dev" in words(page)


@pytest.mark.usefixtures("undrawn")
def test_of_a_loser_the_page_shows_dev_alone(run: Make, runs: Path, search: Search) -> None:
    winner = run("activation=tanh", dev_ua=0.8, ua=0.811, recall=RECALL)
    loser = run(
        "activation=relu",
        dev_ua=0.6,
        **dict.fromkeys(("ua", "wa", "maf", "ua_oracle", "wa_oracle"), 0.1234),
        ua_ci=[0.1234, 0.1234],
        recall={"anger": 0.1234, "sadness": 0.1234},
    )
    search(winner)

    sealed, opened = page_of(runs), page_of(runs, unseal=True)

    assert "12.3" not in words(sealed)
    assert "12.3" in words(opened)
    assert loser.key in words(sealed)
    assert "SEALED: 1 of 2 runs" in words(sealed)
    assert "SEALED" not in words(opened)


@pytest.mark.usefixtures("undrawn")
def test_too_many_runs_to_say_of_each_where_it_fails_are_not(
    run: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("activation=tanh")
    run("activation=relu")
    monkeypatch.setattr("sercli.reporting.formats.html.document._DIAGNOSED", 1)

    assert "Diagnostics" not in headings(page_of(runs))


@pytest.mark.usefixtures("undrawn")
def test_what_is_damaged_or_diverged_is_named_and_the_rest_is_shown(run: Make, runs: Path) -> None:
    run("activation=tanh")
    run("activation=elu", diverged=WHERE)
    damaged = runs / "first" / "0123456789"
    damaged.mkdir()
    (damaged / "run.json").write_text("{", encoding="utf-8")

    page = page_of(runs)

    assert [name for name in headings(page) if "ecords" in name or "runs" in name] == [
        "Diverged runs",
        "Damaged records",
        "Records",
    ]
    assert "diverged: seed 3, fold Session2, step 140" in words(page)
    assert f"{damaged} is not a run record" in words(page)
    assert "70.0" in words(page)


@pytest.mark.usefixtures("unrendered")
def test_only_a_published_figure_that_compares_is_drawn_beside_a_run(run: Make, runs: Path) -> None:
    diamond = "Diamonds: published for the same system"
    run("activation=tanh")
    assert diamond in words(page_of(runs))

    run("activation=relu", experiment="other", card={"utterances": 100})
    assert diamond not in words(report_text(runs, "html", ["other"]))


@pytest.mark.usefixtures("unrendered")
def test_the_figures_of_a_page_have_the_names_of_their_files(run: Make, runs: Path) -> None:
    run("activation=tanh")
    data = load(ReportRequest([], runs))

    assert [plot.name for plot in draw_report(data)] == drawings(make_page(data))


@pytest.mark.usefixtures("unrendered")
def test_a_page_made_again_is_the_same_but_for_the_time(run: Make, runs: Path) -> None:
    run("activation=tanh")
    data = load(ReportRequest([], runs))

    first, second = (re.sub(r"<time .*?</time>", "", make_page(data)) for _ in range(2))

    assert first == second


@pytest.mark.usefixtures("unrendered")
def test_a_run_that_diverged_has_a_page_all_the_same(run: Make, runs: Path) -> None:
    run("activation=tanh", diverged=WHERE)

    page = page_of(runs)

    assert drawings(page) == ["curves"]
    assert "Diverged runs" in headings(page)


@pytest.mark.parametrize("column", ["improvised", "speaker", "seconds"])
@pytest.mark.usefixtures("undrawn")
def test_utterances_that_lack_a_column_hide_nothing_else(
    run: Make, runs: Path, column: str
) -> None:
    broken = run("activation=tanh", utterances=UTTERANCES.drop(columns=column))

    assert "70.0" in words(page_of(runs))
    with pytest.raises(SercliError, match=f"{broken.key}: .*{column}"):
        report_tables(runs, diagnostics=True)


def test_a_material_without_runs_has_a_page(runs: Path) -> None:
    page = make_page(ReportData((), (), (), ("x is damaged",)))

    assert "x is damaged" in words(page)
