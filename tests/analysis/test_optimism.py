"""The best of many points flatters itself on dev, and the correction takes that back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sercli.analysis.optimism import best_of, optimism
from sercli.results.fold_result import FoldResult
from sercli.results.run_record import Record, write_record

SPEAKERS, CLASSES, EACH = 10, 4, 40

LABELS = ("anger", "neutral") * 6
WRONG = {"anger": "neutral", "neutral": "anger"}


def simulate(quality: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw what points of these true UAs give with each speaker and class."""
    liking = random.normal(scale=0.03, size=(len(quality), SPEAKERS, 1))
    recall = np.broadcast_to(
        quality[:, None, None] + liking, (len(quality), SPEAKERS, CLASSES)
    ).clip(0, 1)
    right = random.binomial(EACH, recall).astype(float)
    return right, np.full((SPEAKERS, CLASSES), float(EACH))


def test_among_equal_points_the_best_is_too_high_and_the_corrected_one_true(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sercli.analysis.optimism.ROUNDS", 2_000)
    random = np.random.default_rng(0)
    found = [best_of(*simulate(np.full(30, 0.6), random)) for _ in range(25)]

    assert np.mean([each.dev_ua for each in found]) > 0.625
    assert np.mean([each.corrected for each in found]) == pytest.approx(0.6, abs=0.005)
    assert np.mean([each.interval[0] <= 0.6 <= each.interval[1] for each in found]) > 0.9


def test_a_point_that_is_really_better_is_corrected_by_little() -> None:
    quality = np.array([0.7, *[0.5] * 29])

    found = best_of(*simulate(quality, np.random.default_rng(0)))

    assert abs(found.optimism) < 0.005


def test_the_result_is_the_same_every_time() -> None:
    drawn = simulate(np.full(5, 0.6), np.random.default_rng(0))

    assert best_of(*drawn) == best_of(*drawn)


def test_classes_that_few_speakers_show_are_counted_where_they_occur() -> None:
    total = np.array([[10.0, 0.0], [10.0, 0.0], [10.0, 10.0]])
    right = np.array([[[5.0, 0.0], [5.0, 0.0], [5.0, 10.0]]])

    found = best_of(right, total)

    assert found.dev_ua == pytest.approx(0.75)
    assert found.corrected == pytest.approx((2 * 0.5 + 0.75) / 3, abs=0.06)


@pytest.fixture(name="point")
def _point(
    make_result: Callable[..., FoldResult], tmp_path: Path
) -> Callable[[str, Sequence[Sequence[int]]], Record]:
    """Write a run of two seeds or one: which of its 12 utterances of dev are wrong, per seed.

    Three speakers in turn say both classes; test is always wrong.
    """

    def point(
        key: str,
        wrong: Sequence[Sequence[int]],
        *,
        status: str = "complete",
        speakers: int = 3,
        fold: str = "one",
        labels: Sequence[str] = LABELS,
    ) -> Record:
        results = []
        for seed, places in enumerate(wrong):
            guesses = [WRONG[x] if n in places else x for n, x in enumerate(labels)]
            unit = make_result(["anger"], ["neutral"], seed=seed, fold=fold, dev=(labels, guesses))
            results.append(unit)
        names = [f"{fold}-dev{n}" for n in range(len(labels))]
        who = [f"s{n % speakers}" for n in range(len(labels))]
        return write_record(
            tmp_path / "runs" / "e" / key,
            {"key": key, "status": status, "metrics": {}},
            config_yaml="",
            folds={fold: {}},
            environment={},
            utterances=pd.DataFrame({"utterance": names, "speaker": who}),
            results=results,
        )

    return point


Make = Callable[..., Record]


def test_records_are_counted_on_dev_and_seeds_averaged(point: Make) -> None:
    found = optimism([point("a", [[0], [0, 1, 2]]), point("b", [[0, 1, 2, 3], [0, 1]])])

    assert found is not None
    assert found.trials == 2
    # seeds of a: recalls 5/6 and 6/6, then 4/6 and 5/6
    assert found.dev_ua == pytest.approx((11 / 12 + 9 / 12) / 2)
    assert found.optimism == found.dev_ua - found.corrected
    assert found.interval[0] <= found.corrected <= found.interval[1]


def test_a_diverged_run_was_no_choice(point: Make) -> None:
    runs = [point("a", [[0, 1]]), point("b", [[2, 3]]), point("c", [[]], status="diverged")]

    found = optimism(runs)

    assert found is not None
    assert found.trials == 2
    assert found.dev_ua == pytest.approx(10 / 12)


def test_one_run_was_not_chosen(point: Make) -> None:
    assert optimism([point("a", [[0]])]) is None


def test_with_one_speaker_it_cannot_be_told(point: Make) -> None:
    assert optimism([point(name, [[0]], speakers=1) for name in "ab"]) is None


def test_runs_that_were_scored_on_other_utterances_cannot_be_pooled(point: Make) -> None:
    run = point("a", [[0]])

    assert optimism([run, point("b", [[1]], fold="two")]) is None
    assert optimism([run, point("c", [[1]], labels=LABELS[:10])]) is None
