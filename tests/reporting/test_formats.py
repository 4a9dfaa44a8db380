"""The forms of a report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from rich.console import Console

from sercli.reporting.formats import FORMS, as_csv, as_json, as_markdown, as_table
from sercli.reporting.rows import comparisons, published_rows, run_rows
from sercli.results.baselines import read_baselines
from sercli.results.record import Record

Make = Callable[..., Record]
Rows = list[dict[str, Any]]

FIELDS = {
    *("system", "source", "experiment", "dataset", "protocol", "model", "cell", "activation"),
    *("alpha", "beta", "seeds", "folds", "n", "ua", "wa", "ua_ci", "wa_ci", "ua_oracle"),
    *("wa_oracle", "comparable", "runs"),
}
"""The fields of a row that the form is promised to have."""


def rows_of(*records: Record) -> tuple[Rows, Rows]:
    baselines = read_baselines()
    own = run_rows(records, baselines)
    return own + published_rows(baselines, records), comparisons(own, baselines)


def lines_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def cells_of(text: str, first: str) -> list[str]:
    """Return the cells of the Markdown line that begins with this cell."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def table_of(rows: Rows, compared: Sequence[dict[str, Any]] = (), width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(as_table(rows, compared))
    return capture.get()


def test_json_is_one_document_with_the_promised_fields(record: Make) -> None:
    rows, compared = rows_of(record("activation=arelu"), record("activation=tanh"))

    document = json.loads(as_json(rows, compared))

    assert set(document) == {"rows", "comparisons"}
    assert len(document["rows"]) == 2 + 14
    assert all(set(row) >= FIELDS for row in document["rows"])
    assert document["rows"] == rows
    assert document["comparisons"] == compared
    assert "α" in as_json(rows, compared)


def test_csv_has_a_line_per_row_with_fractions_and_whole_counts(record: Make) -> None:
    run = record("activation=arelu", "seeds=[0,1]", ua=0.7125)
    rows, compared = rows_of(run)

    lines = lines_of(as_csv(rows, compared))

    assert len(lines) == 1 + 14
    assert (lines[0]["ua"], lines[0]["ua_ci_low"], lines[0]["ua_ci_high"]) == (
        "0.7125",
        "0.651",
        "0.749",
    )
    assert (lines[0]["seeds"], lines[0]["folds"], lines[0]["n"]) == ("2", "5", "5531")
    assert lines[0]["runs"] == run.key
    published = next(line for line in lines if line["system"] == "AR-GRU (V)")
    assert float(published["ua"]) == pytest.approx(0.683)
    assert (published["ua_ci_low"], published["seeds"], published["runs"]) == ("", "", "")


def test_csv_quotes_commas(record: Make) -> None:
    rows, compared = rows_of(record("seeds=[0,1]"), record("seeds=[2,3]"))

    assert lines_of(as_csv(rows, compared))[0]["system"].endswith("seeds=[0, 1]")


def test_markdown_shows_percentages(record: Make) -> None:
    text = as_markdown(*rows_of(record("activation=tanh", ua=0.7125)))

    assert "**iemocap, loso_session, 4 classes (per cent)**" in text
    assert cells_of(text, "iaan_small gru tanh")[:8] == [
        "iaan_small gru tanh",
        "71.2",
        "65.1–74.9",
        "68.0",
        "72.0",
        "69.0",
        "71.0",
        "5",
    ]
    assert cells_of(text, "AR-GRU (V)") == [
        "AR-GRU (V)",
        "68.3",
        "66.9",
        "–",
        "–",
        "yes",
        "selection not stated",
    ]
    assert "| iaan_small gru tanh | AR-GRU (V) | +3.0 | +1.1 | dev | selection not stated |" in text
    assert "test (oracle)" in text


def test_markdown_escapes_pipes(record: Make) -> None:
    rows, _ = rows_of(record())
    rows[0]["system"] = "a|b"

    assert "| a\\|b |" in as_markdown(rows, [])


def test_every_table_of_markdown_has_as_many_cells_in_each_line(record: Make) -> None:
    for block in as_markdown(*rows_of(record(), record("dataset=nemo"))).split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1


def test_synthetic_speech_is_shouted(record: Make) -> None:
    for text in (
        as_markdown(*rows_of(record("dataset=synthetic"))),
        table_of(*rows_of(record("dataset=synthetic"))),
    ):
        assert "SYNTHETIC speech: these numbers say nothing about people." in text
    assert "SYNTHETIC" not in as_markdown(*rows_of(record()))


def test_runs_of_other_corpora_protocols_and_tasks_stand_apart(record: Make) -> None:
    three = ["~dataset.classes.sad", "~dataset.expected.sadness"]
    merged = ["dataset.classes.sad=neutral", "~dataset.expected.sadness"]
    text = as_markdown(
        *rows_of(
            record(),
            record("dataset=nemo"),
            record("protocol=loso_speaker"),
            record(*three),
            record(*merged),
        )
    )

    titles = [line.strip("*") for line in text.splitlines() if line.startswith("**")]
    assert sorted(titles[:-3]) == [
        "iemocap, loso_session, 3 classes (per cent)",
        "iemocap, loso_session, 3 classes (per cent)",
        "iemocap, loso_session, 4 classes (per cent)",
        "iemocap, loso_speaker, 4 classes (per cent)",
        "nemo, loso_session, 4 classes (per cent)",
    ]
    assert titles[-3:] == [
        "Runs beside the published results that they stand for (per cent) – ANOTHER CORPUS: the "
        "published figures are of iemocap",
        "Published results (per cent)",
        "Runs minus published results (points)",
    ]


def test_runs_stand_beside_what_they_stand_for_in_the_published_order(record: Make) -> None:
    text = as_markdown(
        *rows_of(
            record("activation=arelu", "arelu.alpha=0.9", "arelu.beta=2", dev_ua=0.9),
            record("model=bilstm_att_small", "activation=tanh", "cell=lstm"),
            record("activation=relu"),
            record("activation=leaky_relu"),
            record("activation=tanh"),
        )
    )

    assert "**Runs beside the published results that they stand for (per cent)**" in text
    table = text.partition("**Runs beside")[2].partition("**")[2].partition("**")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    assert rows[0] == ["published", "run", "UA", "WA", "published UA", "published WA"]
    assert [row[0] for row in rows[2:]] == ["BiLSTM+ATT", "IAAN", "R-GRU", "AR-GRU (I)"]
    assert rows[-1][2:] == ["70.0", "68.0", "35.7", "38.7"]


def test_a_test_selected_run_is_called_so_in_the_title(record: Make) -> None:
    chosen = {"selected_on": "test", "division": "loso_session"}
    text = as_markdown(*rows_of(record("protocol=iaan_repo", card=chosen), record()))

    titles = [line for line in text.splitlines() if line.startswith("**iemocap")]
    assert sorted("TEST-SELECTED" in title for title in titles) == [False, True]
    assert "iaan_repo" in next(title for title in titles if "TEST-SELECTED" in title)


def test_the_table_says_where_a_run_diverged(record: Make) -> None:
    where = [{"seed": 3, "fold": "Session2", "step": 140}]
    rows, compared = rows_of(record("activation=tanh"), record("activation=relu", diverged=where))

    text = table_of(rows[:2], compared)

    line = next(line for line in text.splitlines() if "gru relu" in line)
    assert "–" in line
    assert "iaan_small gru relu: diverged: seed 3, fold Session2, step 140" in text.splitlines()
    assert "note" not in table_of(rows[:1])


def test_the_experiment_is_a_column_where_there_are_several(record: Make) -> None:
    one, two = record("activation=tanh"), record("activation=relu", experiment="second")

    assert "experiment" in as_markdown(*rows_of(one, two))
    assert "experiment" not in as_markdown(*rows_of(one))


def test_a_reason_that_all_published_results_share_stands_once(record: Make) -> None:
    (title,) = [
        line
        for line in as_markdown(*rows_of(record("dataset=synthetic"))).splitlines()
        if line.startswith("**Published")
    ]
    assert title.startswith("**Published results (per cent), not comparable: iemocap is real")

    several = as_markdown(*rows_of(record("dataset=nemo"), record("dataset=synthetic")))
    assert "not comparable" in several
    assert "| because |" not in several

    text = as_markdown(*rows_of(record()))
    assert "not comparable" not in text
    assert "| because |" in text
    assert "protocol loso_speaker, not loso_session" in cells_of(text, "Attention pooling CNN")


def test_the_table_of_runs_fits_80_columns(record: Make) -> None:
    rows, _ = rows_of(record("activation=arelu"), record("activation=leaky_relu"))

    text = table_of(rows[:2], width=80)

    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text
    assert "65.1–74.9" in text


def test_brackets_survive_the_terminal(record: Make) -> None:
    rows, _ = rows_of(record())
    rows[0]["system"] = "a [red]gru[/red] with seeds=[1]"

    assert "a [red]gru[/red] with seeds=[1]" in table_of(rows[:1])


def test_the_forms_are_those_of_the_command_line() -> None:
    assert list(FORMS) == ["table", "markdown", "csv", "json"]
