"""What is counted of a record, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sercli.analysis.statistics.scores import ScoreReader
from sercli.errors import SercliError
from sercli.results.fold_result import FoldResult
from sercli.results.metrics import ua, wa
from sercli.results.run_record import Record, write_record

Make = Callable[..., FoldResult]


def written(
    path: Path,
    results: Sequence[FoldResult],
    speakers: dict[str, str],
    diverged: Sequence[int] = (),
) -> Record:
    return write_record(
        path,
        {"key": path.name, "diverged": [{"seed": seed} for seed in diverged]},
        config_yaml="",
        folds={unit.fold: {} for unit in results},
        environment={},
        utterances=pd.DataFrame({"utterance": list(speakers), "speaker": list(speakers.values())}),
        results=results,
    )


TRUTH = ["ang", "ang", "sad", "sad", "ang", "sad"]
GUESSES = (
    ["ang", "sad", "sad", "sad", "hap", "ang"],
    ["ang", "ang", "ang", "sad", "ang", "ang"],
)
SPEAKERS = {f"one-test{i}": "xyx"[i % 3] for i in range(6)}


@pytest.fixture(name="record")
def _record(make_result: Make, tmp_path: Path) -> Record:
    results = [make_result(TRUTH, guess, seed=seed) for seed, guess in enumerate(GUESSES)]
    return written(tmp_path / "run", results, SPEAKERS)


def test_right_predictions_are_counted_by_seed_speaker_and_class(record: Record) -> None:
    counts = ScoreReader().read(record).counts

    assert (counts.speakers, counts.classes) == (("x", "y"), ("ang", "sad"))
    assert counts.total.tolist() == [[1, 3], [2, 0]]
    assert counts.correct.tolist() == [[[1, 2], [0, 0]], [[1, 1], [2, 0]]]


def test_ua_and_wa_of_the_counts_are_those_of_the_predictions(record: Record) -> None:
    counts = ScoreReader().read(record).counts

    assert counts.ua.tolist() == pytest.approx([ua(TRUTH, guess) for guess in GUESSES])
    one = counts.of_one_class()
    assert one.ua.tolist() == pytest.approx([wa(TRUTH, guess) for guess in GUESSES])


def test_who_is_right_does_not_depend_on_the_order_of_the_folds(
    make_result: Make, tmp_path: Path
) -> None:
    folds = zip(("one", "two"), GUESSES, strict=True)
    results = [make_result(TRUTH, guess, fold=fold) for fold, guess in folds]
    speakers = {f"{fold}-test{i}": fold for fold in ("one", "two") for i in range(6)}
    forth, back = (
        ScoreReader().read(written(tmp_path / name, order, speakers))
        for name, order in (("forth", results), ("back", results[::-1]))
    )

    assert np.array_equal(forth.utterances, back.utterances)
    assert np.array_equal(forth.right, back.right)
    assert forth.right.sum() == 3 + 4


def test_a_speaker_knows_the_fold_that_tests_it(make_result: Make, tmp_path: Path) -> None:
    results = [make_result(TRUTH, TRUTH, fold=fold) for fold in ("one", "two")]
    speakers = {f"{fold}-test{i}": f"{fold}{i % 2}" for fold in ("one", "two") for i in range(6)}

    counts = ScoreReader().read(written(tmp_path / "run", results, speakers)).counts

    assert dict(zip(counts.speakers, counts.fold.tolist(), strict=True)) == {
        "one0": 0,
        "one1": 0,
        "two0": 1,
        "two1": 1,
    }


def test_the_oracle_has_counts_of_its_own(make_result: Make, tmp_path: Path) -> None:
    record = written(tmp_path / "run", [make_result(TRUTH, GUESSES[0], oracle=TRUTH)], SPEAKERS)

    assert ScoreReader("oracle").read(record).counts.ua.tolist() == [1.0]
    assert ScoreReader().read(record).counts.ua[0] < 1


def test_a_seed_that_diverged_is_left_out(make_result: Make, tmp_path: Path) -> None:
    results = [make_result(TRUTH, guess, seed=seed) for seed, guess in enumerate(GUESSES)]
    results.append(make_result(TRUTH[:2], TRUTH[:2], seed=2))  # it stopped after a part
    record = written(tmp_path / "run", results, SPEAKERS, diverged=[2])

    assert len(ScoreReader().read(record).counts.correct) == 2


def test_seeds_that_were_tested_on_different_utterances_are_refused(
    make_result: Make, tmp_path: Path
) -> None:
    results = [make_result(TRUTH, TRUTH, seed=0), make_result(TRUTH[:2], TRUTH[:2], seed=1)]

    with pytest.raises(SercliError, match="different utterances or labels"):
        ScoreReader().read(written(tmp_path / "run", results, SPEAKERS))


def test_an_utterance_without_a_speaker_is_refused(make_result: Make, tmp_path: Path) -> None:
    record = written(tmp_path / "run", [make_result(TRUTH, TRUTH)], {"one-test0": "x"})

    with pytest.raises(SercliError, match="unknown speakers"):
        ScoreReader().read(record)


@pytest.mark.parametrize("name", ["predictions.parquet", "utterances.parquet"])
@pytest.mark.parametrize("damage", ["gone", "cut", "of another kind"])
def test_a_damaged_file_is_one_clear_line(record: Record, name: str, damage: str) -> None:
    path = record.path / name
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        pd.DataFrame({"x": [1]}).to_parquet(path)

    with pytest.raises(SercliError, match=r"predictions of .*run cannot be read") as caught:
        ScoreReader().read(record)
    assert "\n" not in str(caught.value)
