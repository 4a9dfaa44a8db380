"""Runs compared with a reference, and when they are not."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.simulated_records import write_simulated_records
from helpers.simulated_runs import Design

from sercli.analysis.comparison import COLUMNS, best_is_real, compare
from sercli.analysis.statistics.references import BEST
from sercli.analysis.statistics.tests import holm
from sercli.errors import RequestError
from sercli.results.run_record import Record

pytestmark = pytest.mark.usefixtures("few_resamples")

SMALL = Design(counts=(60, 80, 80, 60), seeds=2)


@pytest.fixture(name="records", scope="module")
def _records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """The run of tanh, and two of AReLU that are much better."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    return list(write_simulated_records(folder, 3, design=SMALL, better=1.0))


def changed(record: Record, key: str = "changed", **parts: Mapping[str, Any]) -> Record:
    """The same files under another first page."""
    summary = dict(record.summary, key=key)
    for name, changes in parts.items():
        summary[name] = {**summary[name], **changes}
    return replace(record, summary=summary)


def by_run(frame: pd.DataFrame) -> dict[str, dict[Any, Any]]:
    return {row["a"]: row for row in frame.to_dict("records")}


def test_runs_are_compared_with_the_one_of_tanh(records: list[Record]) -> None:
    frame = compare(records[::-1])

    assert tuple(frame.columns) == COLUMNS
    assert frame["a"].tolist() == [records[2].key, records[1].key]
    assert set(frame["b"]) == {records[0].key}


def test_differences_are_those_of_the_figures_of_the_records(records: list[Record]) -> None:
    tanh, arelu = records[0].metrics, records[1].metrics

    row = by_run(compare(records))[records[1].key]

    for name in ("ua", "wa"):
        assert row[f"delta_{name}"] == pytest.approx(arelu[name] - tanh[name])
        assert row[f"delta_{name}_low"] < row[f"delta_{name}"] < row[f"delta_{name}_high"]


def test_a_large_difference_is_significant_by_every_measure(records: list[Record]) -> None:
    frame = compare(records)

    assert frame["significant"].all()
    assert (frame[["p_ua", "p_wa", "p_mcnemar"]] < 0.01).all(axis=None)
    assert (frame["delta_ua_low"] > 0).all()
    assert (frame["aso"] < 0.5).all()
    assert (frame["detectable"] < frame["delta_ua"]).all()
    assert (frame[["reason", "note"]] == "").all(axis=None)


def test_p_values_are_corrected_for_all_comparisons_of_the_table(records: list[Record]) -> None:
    frame = compare([*records, changed(records[0], configuration={"activation": {"name": "relu"}})])

    assert len(frame) == 3
    for name in ("p_ua", "p_wa"):
        assert frame[f"{name}_holm"].tolist() == holm(frame[name].tolist()).tolist()
    assert frame["p_ua_holm"].max() == 1.0  # that one is the same as its reference


def test_any_run_can_be_the_reference(records: list[Record]) -> None:
    frame = compare(records, against=records[1].key)

    assert frame["a"].tolist() == [records[0].key, records[2].key]
    assert set(frame["b"]) == {records[1].key}


def test_an_unknown_reference_is_refused(records: list[Record]) -> None:
    with pytest.raises(RequestError, match="no run 'nobody' among those to be compared"):
        compare(records, against="nobody")


def test_the_best_on_dev_is_the_reference_on_request(records: list[Record]) -> None:
    weak = changed(records[1], "weak", metrics={"dev_ua": 0.2})
    strong = changed(records[2], "strong", metrics={"dev_ua": 0.9, "ua": 0.1})

    frame = compare([records[0], weak, strong], against=BEST)

    assert frame[["a", "b"]].to_numpy().tolist() == [[records[0].key, "strong"], ["weak", "strong"]]


def test_with_two_runs_of_tanh_the_best_on_dev_is_the_reference(records: list[Record]) -> None:
    other = changed(records[0], "other", metrics={"dev_ua": 0.99})

    assert set(compare([*records, other])["b"]) == {"other"}


def test_models_with_one_run_each_are_compared_with_the_best_on_dev(records: list[Record]) -> None:
    others = [
        changed(records[0], name, configuration={"model": {"name": name}}, metrics={"dev_ua": ua})
        for name, ua in (("mscnn_spu", 0.99), ("cpc", 0.1))
    ]

    assert by_run(compare([records[0], *others])).keys() == {records[0].key, "cpc"}
    assert {row["b"] for row in by_run(compare([records[0], *others])).values()} == {"mscnn_spu"}


def test_another_cell_has_a_reference_of_its_own(records: list[Record]) -> None:
    lstm = [
        changed(record, f"lstm{number}", configuration={"cell": {"name": "lstm"}})
        for number, record in enumerate(records[:2])
    ]

    rows = by_run(compare([*records, *lstm]))

    assert rows["lstm1"]["b"] == "lstm0"
    assert rows[records[1].key]["b"] == records[0].key


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        ({"dataset": "emodb"}, "corpus emodb, not iemocap"),
        ({"synthetic": True}, "corpus iemocap (SYNTHETIC), not iemocap"),
        ({"mapping": {"ang": "anger"}}, "classes ang → anger, not ang → anger, exc → happiness"),
        ({"division": "loso_speaker"}, "protocol loso_speaker, not loso_session"),
        ({"selected_on": "test"}, "step selected on test, not dev"),
    ],
)
def test_another_task_is_not_compared_and_says_why(
    records: list[Record], card: dict[str, Any], reason: str
) -> None:
    other = changed(records[1], card=card)

    rows = by_run(compare([*records, other], against=records[0].key))

    assert rows["changed"]["reason"].startswith(reason)
    assert np.isnan(rows["changed"]["delta_ua"])
    assert not rows["changed"]["significant"]
    known = rows[records[1].key]
    assert known["p_ua_holm"] == 2 * known["p_ua"]  # that one is not counted


def test_a_run_alone_in_its_task_has_nothing_to_be_compared_with(records: list[Record]) -> None:
    alone = changed(records[1], card={"dataset": "emodb"})

    assert "changed" not in set(compare([*records, alone])["a"])


def test_other_utterances_are_not_compared(records: list[Record], tmp_path: Path) -> None:
    fewer = replace(SMALL, counts=(60, 80, 80, 59))
    other = next(iter(write_simulated_records(tmp_path, 1, design=fewer)))
    other = replace(other, summary={**other.summary, "key": "other", "fingerprint": "another"})

    (row,) = compare([records[0], other], against=records[0].key).to_dict("records")

    assert row["reason"] == "the test utterances or labels differ (279 and 280)"


def test_unreadable_predictions_are_a_reason_and_the_rest_is_compared(
    records: list[Record], tmp_path: Path
) -> None:
    lost = replace(changed(records[1]), path=tmp_path / "lost")

    rows = by_run(compare([*records, lost]))

    assert "lost cannot be read" in rows["changed"]["reason"]
    assert rows[records[1].key]["significant"]


def test_the_same_utterances_by_other_speakers_are_not_compared(
    records: list[Record], tmp_path: Path
) -> None:
    shutil.copytree(records[1].path, tmp_path / "changed")
    table = records[1].utterances().assign(speaker="one and the same")
    table.to_parquet(tmp_path / "changed" / "utterances.parquet")
    other = replace(changed(records[1]), path=tmp_path / "changed")
    other = replace(other, summary={**other.summary, "fingerprint": "another"})

    rows = by_run(compare([records[0], other]))

    assert rows["changed"]["reason"] == "the same utterances have other speakers"


def test_runs_without_figures_and_runs_seen_twice_are_left_out(records: list[Record]) -> None:
    diverged = replace(records[1], summary={**records[1].summary, "key": "lost", "metrics": {}})

    assert len(compare([*records, diverged, records[1]])) == 2


def test_nothing_to_compare_is_an_empty_table() -> None:
    frame = compare([])

    assert tuple(frame.columns) == COLUMNS
    assert frame.empty
    assert not best_is_real(frame)


def test_a_table_says_when_its_speakers_are_too_few_for_so_many_tests(
    records: list[Record],
) -> None:
    many = [changed(records[1], f"again{number}") for number in range(26)]

    frame = compare([records[0], *many])

    assert not frame["significant"].any()
    assert frame["note"].iloc[0] == (
        "10 speakers: p is at least 0.002; no difference can be significant (comparisons: 26)"
    )


def test_with_one_seed_folds_are_compared_and_the_table_says_so(tmp_path: Path) -> None:
    records = list(write_simulated_records(tmp_path, 2, design=replace(SMALL, seeds=1)))

    (row,) = compare(records).to_dict("records")

    assert row["note"] == (
        "one seed: the effects of speakers and of their common model cannot be told apart, so "
        "folds are permuted; 5 folds: p is at least 0.062; no difference can be significant "
        "(comparisons: 1)"
    )
    assert np.isnan(row["aso"])


def test_only_a_run_that_beats_every_other_is_really_best(records: list[Record]) -> None:
    frame = compare([records[0], records[1]], against=records[1].key)
    assert best_is_real(frame)
    assert not best_is_real(compare([records[0], records[1]], against=records[0].key))

    twin = changed(records[1], "twin")
    assert not best_is_real(compare([records[0], records[1], twin], against=records[1].key))


def test_a_comparison_repeats_to_the_bit(records: list[Record]) -> None:
    pd.testing.assert_frame_equal(compare(records), compare(records))
