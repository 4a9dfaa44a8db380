"""The report itself: which tables it has, and what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.reports import left_out, report_json, report_tables

from sercli.reporting.formats import to_text
from sercli.reporting.load import ReportRequest
from sercli.reporting.report import make_report
from sercli.reporting.table import Table
from sercli.reporting.views.results import run_view, sweep_view
from sercli.results.baselines import read_baselines
from sercli.results.run_record import Record

Make = Callable[..., Record]

WHERE = [{"seed": 3, "fold": "Session2", "step": 140}]


def tables(runs: Path) -> list[Table]:
    return report_tables(runs)


def texts(table: Table, first: str) -> dict[str, str]:
    """Return the cells of the row that begins with this cell, by heading."""
    row = next(row for row in table.rows if row[0].text == first)
    return {column.name: cell.text for column, cell in zip(table.columns, row, strict=True)}


def by_seed(*uas: float) -> list[dict[str, float]]:
    return [{"seed": seed, "ua": ua, "wa": ua, "maf": ua} for seed, ua in enumerate(uas)]


def test_a_run_is_a_row_of_percentages(record: Make, runs: Path) -> None:
    record("activation=tanh", ua=0.7125, maf=0.66)

    table = tables(runs)[0]

    assert table.title == "iemocap, loso_session, 4 classes (%)"
    assert texts(table, "iaan_small gru tanh") == {
        "system": "iaan_small gru tanh",
        "UA": "71.2",
        "95 % CI": "65.1–74.9",
        "WA": "68.0",
        "macro F1": "66.0",
        "oracle UA": "72.0",
        "oracle WA": "69.0",
        "dev UA": "71.0",
    }
    assert table.notes[0] == "Sorted by dev UA. Each run: 5 folds, 1 seed, 5531 utterances."


def test_several_seeds_have_a_deviation_which_is_explained(record: Make, runs: Path) -> None:
    record(by_seed=by_seed(0.6, 0.7, 0.8), maf=0.5)

    table = tables(runs)[0]

    row = texts(table, table.rows[0][0].text)
    assert [row[name] for name in ("UA", "WA", "macro F1")] == [
        "70.0 ± 10.0",
        "68.0 ± 10.0",
        "50.0 ± 10.0",
    ]
    assert "±: standard deviation over seeds." in table.notes


def test_what_differs_between_runs_is_a_column(record: Make, runs: Path) -> None:
    record("activation=tanh", by_seed=by_seed(0.6, 0.7))
    record("activation=relu", experiment="second")

    table = tables(runs)[0]

    assert texts(table, "tanh")["seeds"] == "2"
    assert texts(table, "relu")["experiment"] == "second"
    assert table.notes[:2] == (
        "All systems: iaan_small gru.",
        "Sorted by dev UA. Each run: 5 folds, 5531 utterances.",
    )


def test_the_recall_of_every_class_has_a_table(record: Make, runs: Path) -> None:
    record("activation=tanh", recall={"anger": 0.5, "happiness": 0.625, "neutral": 0.7})

    table = tables(runs)[1]

    assert table.title == "iemocap, loso_session, 4 classes: recall per class (%)"
    assert texts(table, "iaan_small gru tanh") == {
        "system": "iaan_small gru tanh",
        "anger": "50.0",
        "happiness": "62.5",
        "neutral": "70.0",
        "sadness": "–",
    }


def test_scores_against_the_labels_of_each_rater_have_a_table(record: Make, runs: Path) -> None:
    record("activation=tanh")
    listeners = {"ua": 0.5, "wa": 0.625, "raters": 3, "labels": 40}
    record("activation=relu", listeners=listeners, recall={"anger": 0.5})

    (table,) = (each for each in tables(runs) if "each rater" in each.title)

    assert table.title == "iemocap, loso_session, 4 classes: against the labels of each rater (%)"
    (row,) = table.rows
    assert [cell.text for cell in row[1:]] == ["50.0", "62.5", "3", "40"]


def test_runs_of_other_corpora_protocols_and_tasks_stand_apart(record: Make, runs: Path) -> None:
    record()
    record("dataset=nemo")
    record("protocol=loso_speaker")
    record("~dataset.classes.sad", "~dataset.expected.sadness")
    record("dataset.classes.sad=neutral", "~dataset.expected.sadness")

    found = [table for table in tables(runs) if table.columns[-1].name == "dev UA"]

    assert sorted(table.title for table in found) == [
        "iemocap, loso_session, 3 classes (%)",
        "iemocap, loso_session, 3 classes (%)",
        "iemocap, loso_session, 4 classes (%)",
        "iemocap, loso_speaker, 4 classes (%)",
        "nemo, loso_session, 4 classes (%)",
    ]
    assert all(len(table.rows) == 1 for table in found)
    (note,) = (note for note in found[0].notes if "several tasks" in note)
    assert note.startswith("Experiment first has runs of several tasks, each in its own table:")
    assert "nemo, loso_session, 4 classes" in note


def test_a_diverged_run_says_where(record: Make, runs: Path) -> None:
    record("activation=tanh")
    record("activation=relu", diverged=WHERE)

    table = tables(runs)[0]

    assert texts(table, "relu")["UA"] == "diverged"
    assert "relu: diverged: seed 3, fold Session2, step 140." in table.notes


def test_synthetic_speech_is_shouted_above_every_table_with_its_figures(
    record: Make, runs: Path
) -> None:
    record("dataset=synthetic", "activation=tanh", recall={"anger": 0.5})

    found = tables(runs)

    shouted = [table.warning.startswith("SYNTHETIC speech: these numbers") for table in found]
    assert shouted == [True, True, True]


def test_a_test_selected_run_is_called_so(record: Make, runs: Path) -> None:
    chosen = {"selected_on": "test", "division": "loso_session"}
    record("protocol=iaan_repo", card=chosen)
    record()

    warned = {table.title: table.warning for table in tables(runs)}

    assert "TEST-SELECTED" in warned["iemocap, iaan_repo, 4 classes (%)"]
    assert warned["iemocap, loso_session, 4 classes (%)"] == ""


def test_the_best_on_dev_stands_beside_all_that_compares_with_it(record: Make, runs: Path) -> None:
    record("activation=leaky_relu", dev_ua=0.8, ua=0.7)
    record("activation=softsign", dev_ua=0.7, ua=0.9)

    (table,) = (table for table in tables(runs) if "best on dev, and published" in table.title)

    assert "iaan_small gru leaky_relu" in table.title
    task = ("iemocap", 4, "loso_session")
    known = [(each.corpus, each.classes, each.protocol) for each in read_baselines()]
    assert len(table.rows) == known.count(task) > 9
    row = texts(table, "AR-GRU (V)")
    assert (row["UA published"], row["UA ours"]) == ("68.3", "70.0 (65.1–74.9)")
    assert row["Δ UA"] == "+1.7 (−3.2 to +6.6)"


def test_published_results_are_listed_where_one_compares(record: Make, runs: Path) -> None:
    record("dataset=synthetic")
    assert not any(table.title.startswith("Published") for table in tables(runs))

    record()
    table = tables(runs)[-1]
    assert table.notes == ("Oracle: at the training step selected on test.",)
    assert texts(table, "AR-GRU (V)")["because"] == "selection not stated"
    assert texts(table, "Attention pooling CNN")["comparable"] == "no"


def test_published_results_stand_below_what_selected_them(record: Make, runs: Path) -> None:
    record()
    table = tables(runs)[-1]

    official = texts(table, "IAAN (official repository)")
    assert [official[name] for name in ("UA", "WA", "oracle UA", "oracle WA")] == [
        *("–", "–"),
        *("67.2", "65.8"),
    ]


def test_the_user_adds_published_results(record: Make, runs: Path, tmp_path: Path) -> None:
    record()
    own = tmp_path / "own.yaml"
    own.write_text(
        "- {system: Mine, source: A thesis, corpus: iemocap, classes: 4, protocol: loso_session, "
        "modality: audio, ua: 60, wa: 61.5, selection: dev}"
    )

    found = report_tables(runs, baselines=own)

    assert texts(found[-1], "Mine")["UA"] == "60.0"
    (beside,) = (table for table in found if "best on dev, and published" in table.title)
    assert texts(beside, "Mine")["Δ UA"].startswith("+10.0")


def test_the_data_hold_every_row_and_every_comparison(record: Make, runs: Path) -> None:
    run = record("activation=arelu")

    document = report_json(runs)

    published = ["published"] * len(read_baselines())
    assert [row["source"] for row in document["rows"]] == ["run", *published]
    promised = {
        *("system", "source", "experiment", "dataset", "protocol", "model", "cell", "activation"),
        *("alpha", "beta", "seeds", "folds", "n", "ua", "wa", "ua_ci", "wa_ci", "ua_oracle"),
        *("wa_oracle", "comparable", "runs", "maf", "recall", "sealed"),
    }
    assert all(set(row) >= promised for row in document["rows"])
    assert len({tuple(row) for row in document["rows"]}) == 1  # the same fields in each
    assert document["rows"][0]["runs"] == [run.key]
    assert {row["published"] for row in document["comparisons"]} >= {"AR-GRU (V)", "IAAN"}


@pytest.mark.parametrize("form", ["table", "markdown", "latex", "csv", "json"])
def test_every_form_reports_even_where_all_runs_are_damaged(
    record: Make, runs: Path, form: str
) -> None:
    (record().path / "run.json").write_text("{")

    made = make_report(ReportRequest([], runs, form))

    assert "AR-GRU (V)" in made.text
    assert len(made.notes) == len(left_out(runs)) == made.status == 1


def test_a_run_is_shown_with_its_results_its_card_and_its_folder(record: Make) -> None:
    run = record("activation=tanh", ua=0.7125)

    text = to_text(run_view(run))

    assert "71.2" in text
    assert "Leave-one-session-out, as the card says." in text
    assert f"Record: {run.path}" in text.replace("\n", "")
    assert "Published" not in text
    assert json.loads(to_text(run_view(run), "json"))["key"] == run.key


def test_a_sweep_is_shown_best_on_dev_first(record: Make) -> None:
    worse, better = record("activation=tanh", dev_ua=0.5), record("activation=relu", dev_ua=0.6)

    text = to_text(sweep_view([worse, better], ["2 trials", "failed: [x]"], {"trials": 2}))

    assert text.index("relu") < text.index("tanh")
    assert text.split("\n")[-4:-1] == ["2 trials", "failed: [x]", ""]


def test_a_sweep_without_any_record_is_its_lines() -> None:
    assert to_text(sweep_view([], ["0 trials"], {})) == "0 trials\n"


def test_test_results_that_are_sealed_are_not_shown_after_a_sweep_either(
    record: Make, search: Callable[..., object]
) -> None:
    best = record("activation=tanh", dev_ua=0.9, ua=0.81)
    other = record("activation=relu", dev_ua=0.5, ua=0.72)
    search(best)

    (table, *_) = sweep_view([best, other], [""], {}).tables

    assert [row[1].text for row in table.rows] == ["81.0", "sealed"]
    assert all(cell.text != "72.0" for cell in table.rows[1])
    assert "sealed" in to_text(run_view(other))
