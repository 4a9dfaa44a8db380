"""What a report says of the differences between runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.reports import report_json, report_tables

from sercli.errors import RequestError
from sercli.reporting.table import Table
from sercli.reporting.views.significance import BEST_NOTE, TOO_MANY
from sercli.results.fold_result import FoldResult
from sercli.results.run_record import Record

pytestmark = pytest.mark.usefixtures("few_resamples")

Make = Callable[..., Record]
Run = Callable[..., Record]

EMOTIONS = ("anger", "happiness", "neutral", "sadness")
SPEAKERS = 12
TRUTH = [EMOTIONS[position % 4] for position in range(SPEAKERS * 16)]
WHO = {f"one-test{position}": f"s{position // 16}" for position in range(len(TRUTH))}


def right_in(part: float, shift: int = 0) -> list[str]:
    """Predict that part of every speaker's utterances rightly, and the rest as the next class."""
    return [
        label if (position + shift) % 16 < 16 * part else EMOTIONS[(EMOTIONS.index(label) + 1) % 4]
        for position, label in enumerate(TRUTH)
    ]


@pytest.fixture(name="run")
def _run(record: Make, make_result: Callable[..., FoldResult]) -> Run:
    """Write a run that is right in that part of all utterances, with two seeds."""

    def run(*overrides: str, part: float, **more: object) -> Record:
        units = [make_result(TRUTH, right_in(part, shift=seed), seed=seed) for seed in (0, 1)]
        return record(*overrides, results=units, speakers=WHO, ua=part, dev_ua=part, **more)

    return run


def strong(made: list[Table]) -> list[str]:
    """The systems whose UA is bold."""
    return [row[0].text for row in made[0].rows if row[1].strong]


def differences(made: list[Table]) -> Iterator[list[str]]:
    for table in made:
        if "runs minus" in table.title:
            yield from ([cell.text for cell in row] for row in table.rows)


def test_the_best_is_bold_where_it_is_better_than_every_other(run: Run, runs: Path) -> None:
    run("activation=tanh", part=0.5)
    run("activation=relu", part=0.6)
    run("activation=softsign", part=0.9)

    made = report_tables(runs)

    assert strong(made) == ["softsign"]
    assert BEST_NOTE in made[0].notes


def test_nothing_is_bold_where_another_is_as_good(run: Run, runs: Path) -> None:
    run("activation=tanh", part=0.5)
    run("activation=relu", part=0.9)
    run("activation=softsign", part=0.9)

    made = report_tables(runs)

    assert strong(made) == []
    assert BEST_NOTE not in made[0].notes


def test_runs_are_compared_with_tanh_and_the_title_says_so(run: Run, runs: Path) -> None:
    tanh, relu = run("activation=tanh", part=0.5), run("activation=relu", part=0.75)

    (line,) = differences(report_tables(runs))
    (row,) = (row for row in report_json(runs)["comparisons"] if row["kind"] == "runs")

    assert line[0] == "relu"
    assert line[1].startswith("+25.0 (")
    assert line[2].endswith("*")
    (table,) = (table for table in report_tables(runs) if "runs minus tanh" in table.title)
    (verdict,) = table.verdicts
    assert re.fullmatch(
        r"relu − tanh: significantly better \(\+25\.0 points of UA, 95 % CI \+[\d.]+ to \+[\d.]+, "
        r"p [=<] 0\.\d{3}\)\.",
        verdict,
    )
    assert (row["runs"], row["reference_run"]) == ([relu.key], tanh.key)
    assert row["published"] is None
    assert row["delta_ua"] == pytest.approx(0.25)
    assert row["delta_ua_ci"][0] <= 0.25 <= row["delta_ua_ci"][1]
    assert row["p_ua_holm"] < 0.05
    assert row["significant"] is True


def test_the_run_to_compare_with_is_named_by_key_or_name(run: Run, runs: Path) -> None:
    run("activation=tanh", part=0.5)
    relu = run("activation=relu", part=0.75)

    for name in (relu.key, "iaan_small gru relu", "relu", "GRU RELU", relu.key[:6]):
        (line,) = differences(report_tables(runs, against=name))
        assert line[0] == "tanh"
        assert line[1].startswith("−25.0 (")


def test_an_unknown_run_to_compare_with_is_refused(run: Run, runs: Path) -> None:
    run("activation=tanh", part=0.5)

    with pytest.raises(RequestError, match="Did you mean 'iaan_small gru tanh'"):
        report_tables(runs, against="iaan_small gru tnh")


def test_a_part_that_several_runs_have_is_no_answer_but_a_whole_word_is(
    run: Run, runs: Path
) -> None:
    run("activation=tanh", part=0.5)
    run("activation=hardtanh", part=0.75)

    (line,) = differences(report_tables(runs, against="tanh"))
    assert line[0] == "hardtanh"
    with pytest.raises(RequestError, match="'gru' is the name of several runs: iaan_small gru"):
        report_tables(runs, against="gru")


def test_where_no_difference_is_found_the_least_that_would_be_is_said(run: Run, runs: Path) -> None:
    run("activation=tanh", part=0.5)
    run("activation=relu", part=0.5)

    (table,) = (table for table in report_tables(runs) if "runs minus" in table.title)

    assert re.fullmatch(
        r"relu − tanh: no difference found \(\+0\.0 points of UA, 95 % CI .* to .*, p = 1\.000; "
        r"min\. detectable Δ \d+\.\d\)\.",
        table.verdicts[0],
    )
    assert not table.rows[0][2].text.endswith("*")


def test_many_differences_are_summed_up_in_a_sentence(run: Run, runs: Path) -> None:
    run("activation=tanh", part=0.2)
    for name in ("relu", "elu", "gelu", "selu", "silu"):
        run(f"activation={name}", part=0.2)
    run("activation=celu", part=0.9)

    (table,) = (table for table in report_tables(runs) if "runs minus" in table.title)

    (sentence,) = table.verdicts
    assert sentence == "Significant differences of UA: 1 of 6 (celu α=1 − tanh +68.8)."


def test_a_name_that_several_runs_have_is_no_answer(run: Run, runs: Path) -> None:
    run("activation=tanh", part=0.5)
    run("activation=tanh", "dataset=nemo", part=0.5)

    with pytest.raises(RequestError, match="is the name of several runs"):
        report_tables(runs, against="iaan_small gru tanh")


def test_a_diverged_run_is_nothing_to_compare_with(run: Run, record: Make, runs: Path) -> None:
    run("activation=tanh", part=0.5)
    diverged = record("activation=relu", diverged=[{"seed": 0, "fold": "one", "step": 3}])

    assert list(differences(report_tables(runs))) == []
    with pytest.raises(RequestError, match="it diverged"):
        report_tables(runs, against=diverged.key)


def test_predictions_that_do_not_fit_are_a_footnote_and_no_error(
    run: Run, runs: Path, record: Make
) -> None:
    run("activation=tanh", part=0.5)
    record("activation=relu", dev_ua=0.9)  # of other utterances

    made = report_tables(runs)

    (line,) = differences(made)
    assert (line[1], line[-1]) == ("–", "1")
    assert strong(made) == []
    (table,) = (table for table in made if "runs minus" in table.title)
    assert table.notes[0].startswith("1: ")


def test_many_runs_are_tested_only_when_asked(
    run: Run, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.reporting.views.significance.MOST_UNASKED", 2)
    for activation, part in (("tanh", 0.5), ("relu", 0.6), ("softsign", 0.9)):
        run(f"activation={activation}", part=part)

    made = report_tables(runs)
    assert list(differences(made)) == []
    assert strong(made) == []
    assert TOO_MANY in made[0].notes

    made = report_tables(runs, against="iaan_small gru tanh")
    assert len(list(differences(made))) == 2
    assert TOO_MANY not in made[0].notes


def test_tasks_are_compared_apart(run: Run, runs: Path) -> None:
    for dataset in ("iemocap", "nemo"):
        for activation, part in (("tanh", 0.5), ("relu", 0.75)):
            run(f"dataset={dataset}", f"activation={activation}", part=part)

    titles = [table.title for table in report_tables(runs) if "runs minus" in table.title]

    assert sorted(title.partition(",")[0] for title in titles) == ["iemocap", "nemo"]
