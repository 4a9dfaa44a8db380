"""Where a run is right: by groups of utterances, by class, by utterance."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sercli.analysis.confusions import confused_utterances, confusions
from sercli.analysis.predictions import RunPredictions, read_run_predictions
from sercli.analysis.subgroups import subgroups
from sercli.errors import RequestError, SercliError
from sercli.reporting.formats.csv_json import as_json
from sercli.reporting.views.diagnostics import diagnostics_view
from sercli.results.run_record import Record

CLASSES = ("anger", "happiness")


def utterances(number: int = 12, **columns: Sequence[Any]) -> pd.DataFrame:
    """Utterances by six speakers, anger and happiness in turn; ``columns`` say more of them."""
    table = pd.DataFrame(
        {
            "utterance": [f"u{i:02}" for i in range(number)],
            "speaker": [f"s{i % 6}" for i in range(number)],
            "label": [CLASSES[i // 6 % 2] for i in range(number)],
        }
    )
    nothing = dict.fromkeys(("gender", "session", "transcript", "improvised", "seconds"))
    return table.assign(**nothing | {"own": False, "interlocutor": False} | columns)


def predictions(table: pd.DataFrame, wrong: Sequence[str] = (), seed: int = 0) -> pd.DataFrame:
    """Predict every utterance right but those that are named."""
    missed = table["utterance"].isin(list(wrong))
    other = table["label"].map(dict(zip(CLASSES, CLASSES[::-1], strict=True)))
    predicted = table["label"].where(~missed, other)
    probability = np.where(predicted == "anger", 0.9, 0.1)
    return pd.DataFrame(
        {
            "utterance": table["utterance"],
            "label": table["label"],
            "predicted": predicted,
            "p_anger": probability,
            "p_happiness": 1 - probability,
            "part": "test",
            "selection": "dev",
            "seed": seed,
            "fold": "one",
        }
    )


@pytest.fixture(name="tested")
def _tested(record: Callable[..., Record]) -> Callable[..., RunPredictions]:
    def tested(table: pd.DataFrame, *seeds: Sequence[str]) -> RunPredictions:
        predicted = [predictions(table, wrong, seed) for seed, wrong in enumerate(seeds)]
        return RunPredictions(
            record(),
            "a system",
            pd.concat(predicted, ignore_index=True),
            table.set_index("utterance"),
        )

    return tested


@pytest.fixture(name="kept")
def _kept(record: Callable[..., Record]) -> Callable[..., Record]:
    """Write a record with these predictions and utterances."""

    def kept(
        table: pd.DataFrame, *seeds: Sequence[str], card: dict[str, Any] | None = None, **facts: Any
    ) -> Record:
        made = record(card={"classes": list(CLASSES), **(card or {})}, **facts)
        predicted = [predictions(table, wrong, seed) for seed, wrong in enumerate(seeds)]
        pd.concat(predicted, ignore_index=True).to_parquet(made.path / "predictions.parquet")
        table.to_parquet(made.path / "utterances.parquet")
        return made

    return kept


def by(rows: Sequence[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {row["group"]: row for row in rows if row["by"] == kind}


def test_ua_of_a_group_is_that_of_its_utterances_over_seeds(
    tested: Callable[..., RunPredictions],
) -> None:
    table = utterances(improvised=[i % 2 == 0 for i in range(12)])

    rows = by(subgroups(tested(table, ["u00"], ["u00", "u02"])), "speech")

    assert list(rows) == ["improvised", "scripted"]
    assert rows["improvised"]["n"] == 6
    assert rows["improvised"]["ua"] == pytest.approx(np.mean([(2 / 3 + 1) / 2, (1 / 3 + 1) / 2]))
    assert rows["scripted"]["ua"] == 1


def test_an_interval_needs_five_speakers(tested: Callable[..., RunPredictions]) -> None:
    table = utterances(24, gender=["F" if i % 6 < 5 else "M" for i in range(24)])

    rows = by(subgroups(tested(table, ["u00", "u07", "u13"])), "gender")

    low, high = rows["F"]["ua_ci"]
    assert rows["F"]["speakers"] == 5
    assert low < rows["F"]["ua"] < high
    assert rows["M"]["ua_ci"] is None


def test_what_the_corpus_does_not_state_makes_no_groups(
    tested: Callable[..., RunPredictions],
) -> None:
    rows = subgroups(tested(utterances(session=["one"] * 12), ["u00"]))
    assert {row["by"] for row in rows} == {"speaker"}


def test_utterances_of_which_it_is_not_stated_are_in_no_group(
    tested: Callable[..., RunPredictions],
) -> None:
    table = utterances(gender=["F", "M", None] * 4)
    assert [row["n"] for row in by(subgroups(tested(table, [])), "gender").values()] == [4, 4]


def test_lengths_are_terciles(tested: Callable[..., RunPredictions]) -> None:
    table = utterances(seconds=[float(i) for i in range(1, 13)])

    rows = by(subgroups(tested(table, ["u00"])), "length")

    assert {name: row["n"] for name, row in rows.items()} == {
        "up to 4.7 s": 4,
        "4.7 to 8.3 s": 4,
        "over 8.3 s": 4,
    }


def test_lengths_that_are_all_alike_make_no_groups(tested: Callable[..., RunPredictions]) -> None:
    table = utterances(seconds=[2.0] * 11 + [float("nan")])
    assert by(subgroups(tested(table, [])), "length") == {}
    lumped = utterances(seconds=[2.0] * 10 + [3.0, 4.0])
    assert by(subgroups(tested(lumped, [])), "length") == {}


def test_context_is_told_by_which_turns_there_are(tested: Callable[..., RunPredictions]) -> None:
    table = utterances(own=[True, True, False, False] * 3, interlocutor=[True, False] * 6)
    assert set(by(subgroups(tested(table, [])), "context")) == {
        "both turns",
        "own turn only",
        "interlocutor's turn only",
        "no turn",
    }


def test_a_group_that_lacks_a_class_has_the_ua_of_the_others_and_says_so(
    kept: Callable[..., Record],
) -> None:
    table = utterances(session=[f"part {i // 6}" for i in range(12)])

    view = diagnostics_view([kept(table, ["u00"])])

    groups = by(view.data["groups"], "session")
    assert groups["part 0"]["classes"] == 1
    assert groups["part 0"]["ua"] == pytest.approx(5 / 6)
    cells = [[cell.text for cell in row] for row in view.tables[0].rows]
    assert ["session", "part 0", "6", "6", "1 of 2", "83.3"] in [row[:6] for row in cells]
    assert "With fewer than 2 classes, UA is the mean recall of those." in view.tables[0].notes


def test_confusions_are_shares_of_the_true_class_the_largest_first(
    tested: Callable[..., RunPredictions],
) -> None:
    rows = confusions(tested(utterances(), ["u00", "u06", "u07"], ["u01", "u06", "u07"]))

    assert [(row["truth"], row["predicted"], row["n"]) for row in rows] == [
        ("happiness", "anger", 2),
        ("anger", "happiness", 1),
    ]
    assert [row["share"] for row in rows] == pytest.approx([2 / 6, 1 / 6])


def test_the_utterances_confused_most_often_come_first(
    tested: Callable[..., RunPredictions],
) -> None:
    table = utterances(transcript=["so what"] * 12)
    one, other = tested(table, ["u00", "u01"], ["u00"]), tested(table, ["u00", "u02"])

    rows = confused_utterances([one, other], most=2)

    assert [(row["utterance"], row["wrong"], row["trials"]) for row in rows] == [
        ("u00", 3, 3),
        ("u01", 1, 3),
    ]
    assert rows[0]["truth"] == "anger"
    assert rows[0]["predicted"] == "happiness"
    assert rows[0]["probability"] == pytest.approx(0.1)
    assert rows[0]["transcript"] == "so what"


def test_of_equally_confused_utterances_the_surest_error_is_first(
    tested: Callable[..., RunPredictions],
) -> None:
    run = tested(utterances(), ["u03", "u05"])
    surer = run.predictions.assign(
        p_anger=run.predictions["p_anger"].where(run.predictions["utterance"] != "u05", 0.01)
    )

    rows = confused_utterances([replace(run, predictions=surer)], most=5)

    assert [row["utterance"] for row in rows] == ["u05", "u03"]


def test_the_view_has_tables_for_every_run_and_data_for_programs(
    kept: Callable[..., Record],
) -> None:
    table = utterances(transcript=["mm"] * 12)
    runs = [kept(table, ["u00"]), kept(table, ["u00", "u01"], experiment="second")]

    view = diagnostics_view(runs)

    titles = [each.title for each in view.tables]
    assert len(titles) == 5
    assert (
        titles[-1] == "iemocap: test utterances most often misclassified, over the seeds of 2 runs"
    )
    assert [cell.text for cell in view.tables[-1].rows[0]] == [
        *("u00", "anger", "happiness", "2 of 2", "10.0", "mm")
    ]
    data = json.loads(as_json(view))
    assert set(data) == {"groups", "confusions", "confused"}
    assert {row["experiment"] for row in data["groups"]} == {"first", "second"}


def test_transcripts_are_left_out_where_there_are_none(kept: Callable[..., Record]) -> None:
    columns = diagnostics_view([kept(utterances(), ["u00"])]).tables[-1].columns
    assert "transcript" not in [column.name for column in columns]


def test_of_many_speakers_those_with_the_lowest_ua_are_shown(kept: Callable[..., Record]) -> None:
    table = utterances(80).assign(speaker=[f"s{i % 40:02}" for i in range(80)])

    view = diagnostics_view([kept(table, ["u07", "u47"])])

    shown = [row[1].text for row in view.tables[0].rows]
    assert shown[0] == "s07"
    assert len(shown) == 30
    assert len(view.data["groups"]) == 40
    assert "By speaker: the 30 of 40 subgroups with the lowest UA." in view.tables[0].notes


def test_synthetic_speech_is_marked_on_every_table(kept: Callable[..., Record]) -> None:
    view = diagnostics_view([kept(utterances(), ["u00"], card={"synthetic": True})])
    assert all("SYNTHETIC" in table.warning for table in view.tables)


def test_sealed_runs_have_no_part_in_it(kept: Callable[..., Record]) -> None:
    table = utterances()
    sealed = kept(table, ["u00"])
    sealed = Record(sealed.path, {**sealed.summary, "sealed": True})

    view = diagnostics_view([sealed, kept(table, ["u01"], experiment="second")])

    assert {row["experiment"] for row in view.data["groups"]} == {"second"}
    assert [row["utterance"] for row in view.data["confused"]] == ["u01"]
    with pytest.raises(RequestError, match="SEALED"):
        diagnostics_view([sealed])


def test_seeds_that_diverged_are_left_out(kept: Callable[..., Record]) -> None:
    run = kept(utterances(), ["u00"], ["u01"])
    page = {**run.summary, "diverged": [{"seed": 1, "fold": "one", "step": 3}]}
    half = read_run_predictions(Record(run.path, page), "a system")

    assert half is not None
    assert set(half.predictions["seed"]) == {0}
    nothing = {**page, "diverged": [{"seed": seed, "fold": "one", "step": 3} for seed in (0, 1)]}
    with pytest.raises(RequestError, match="these runs diverged with every seed"):
        diagnostics_view([Record(run.path, nothing)])


@pytest.mark.parametrize("name", ["predictions", "utterances"])
def test_a_damaged_table_is_one_line(kept: Callable[..., Record], name: str) -> None:
    run = kept(utterances(), ["u00"])
    Path(run.path / f"{name}.parquet").write_text("no table")

    with pytest.raises(SercliError, match="see `sercli verify`") as error:
        diagnostics_view([run])
    assert "\n" not in str(error.value)


def test_predictions_of_unknown_utterances_are_one_line(kept: Callable[..., Record]) -> None:
    run = kept(utterances(), ["u00"])
    utterances(8).to_parquet(run.path / "utterances.parquet")

    with pytest.raises(SercliError, match=r"4 predicted utterances are not in .* \(u08\)"):
        diagnostics_view([run])
