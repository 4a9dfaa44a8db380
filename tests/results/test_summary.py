"""The metrics of a run: pooled over folds, averaged over seeds, with an interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from sercli.results.fold_result import FoldResult
from sercli.results.metrics import ua, wa
from sercli.results.summary import summarise

Make = Callable[..., FoldResult]


def by_position(folds: Sequence[FoldResult], speakers: int) -> dict[str, str]:
    """Deal the test utterances of the folds out to a number of speakers, in blocks."""
    tables = [result.predictions[result.predictions["part"] == "test"] for result in folds]
    names = list(dict.fromkeys(name for table in tables for name in table["utterance"]))
    size = -(-len(names) // speakers)
    return {name: f"speaker{position // size}" for position, name in enumerate(names)}


def summary(*folds: FoldResult, speakers: int = 3) -> Mapping[str, Any]:
    return summarise(folds, by_position(folds, speakers))


def test_predictions_are_pooled_over_folds_before_ua_is_taken(make_result: Make) -> None:
    metrics = summary(
        make_result(["ang", "ang", "sad"], ["ang", "sad", "sad"], fold="one"),
        make_result(["ang", "sad"], ["ang", "ang"], fold="two"),
    )

    assert metrics["ua"] == pytest.approx((2 / 3 + 1 / 2) / 2)  # the mean of folds is 5 / 8
    assert metrics["wa"] == pytest.approx(3 / 5)
    assert metrics["recall"] == pytest.approx({"ang": 2 / 3, "sad": 1 / 2})
    assert metrics["n"] == 5


def test_figures_are_means_over_seeds(make_result: Make) -> None:
    truth = ["ang", "ang", "sad", "sad"]
    metrics = summary(
        make_result(truth, truth, seed=1),
        make_result(truth, ["ang", "sad", "sad", "sad"], seed=2),
    )

    assert metrics["ua"] == pytest.approx((1 + 3 / 4) / 2)
    assert metrics["n"] == 4
    assert [(row["seed"], row["ua"]) for row in metrics["by_seed"]] == [(1, 1.0), (2, 0.75)]


def test_the_oracle_and_dev_have_figures_of_their_own(make_result: Make) -> None:
    result = make_result(
        ["ang", "sad"],
        ["sad", "sad"],
        oracle=["ang", "sad"],
        dev=(["ang", "ang", "ang", "sad"], ["ang", "ang", "sad", "sad"]),
    )
    metrics = summary(result, speakers=1)

    assert (metrics["ua"], metrics["wa"]) == (0.5, 0.5)
    assert (metrics["ua_oracle"], metrics["wa_oracle"]) == (1.0, 1.0)
    assert metrics["dev_ua"] == pytest.approx((2 / 3 + 1) / 2)
    assert metrics["dev_wa"] == pytest.approx(3 / 4)


def test_by_fold_has_a_row_per_unit_with_its_steps(make_result: Make) -> None:
    first = make_result(["ang", "sad"], ["ang", "ang"], fold="one", seed=4)
    second = make_result(["ang", "sad"], ["ang", "sad"], fold="two", seed=4)

    rows = summary(first, second)["by_fold"]

    assert [(row["seed"], row["fold"], row["ua"]) for row in rows] == [
        (4, "one", 0.5),
        (4, "two", 1.0),
    ]
    assert {(row["selected_step"], row["oracle_step"]) for row in rows} == {(10, 20)}


def guesses(number: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Draw labels of four classes and predictions that are right in about 60 %."""
    random = np.random.default_rng(seed)
    truth = random.choice(["ang", "hap", "neu", "sad"], number)
    lucky = random.random(number) < 0.45
    guessed = np.where(lucky, truth, random.choice(["ang", "hap", "neu", "sad"], number))
    return truth.tolist(), guessed.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_holds_the_figure(make_result: Make, seed: int) -> None:
    truth, predicted = guesses(120, seed)
    metrics = summary(make_result(truth, predicted), speakers=10)

    assert metrics["ua_ci"][0] < metrics["ua"] < metrics["ua_ci"][1]
    assert metrics["wa_ci"][0] < metrics["wa"] < metrics["wa_ci"][1]
    assert metrics["ua"] == pytest.approx(ua(truth, predicted))
    assert metrics["wa"] == pytest.approx(wa(truth, predicted))


def test_with_one_utterance_per_speaker_the_interval_is_that_of_a_proportion(
    make_result: Make,
) -> None:
    truth = ["ang"] * 400
    predicted = ["ang"] * 240 + ["sad"] * 160

    low, high = summary(make_result(truth, predicted), speakers=400)["wa_ci"]

    half = 1.96 * (0.6 * 0.4 / 400) ** 0.5
    assert (low, high) == pytest.approx((0.6 - half, 0.6 + half), abs=0.004)


def test_the_interval_is_wider_where_few_speakers_stand_for_all(make_result: Make) -> None:
    truth = ["ang", "sad"] * 60
    predicted = truth[:60] + ["sad", "ang"] * 30  # the later speakers are never understood
    result = make_result(truth, predicted)

    widths = {}
    for speakers in (4, 60):
        metrics = summary(result, speakers=speakers)
        widths[speakers] = metrics["ua_ci"][1] - metrics["ua_ci"][0]
    assert widths[4] > 2 * widths[60]


def test_an_interval_repeats_to_the_bit(make_result: Make) -> None:
    result = make_result(*guesses(50))

    first, second = (summary(result, speakers=25) for _ in range(2))
    assert first["ua_ci"] == second["ua_ci"]


def test_more_seeds_of_the_same_utterances_do_not_make_more_speakers(make_result: Make) -> None:
    truth, predicted = guesses(60)
    one = summary(make_result(truth, predicted), speakers=6)
    many = summary(*(make_result(truth, predicted, seed=seed) for seed in range(5)), speakers=6)

    assert many["ua_ci"] == pytest.approx(one["ua_ci"])


def test_a_class_that_only_predictions_have_is_wrong(make_result: Make) -> None:
    metrics = summary(make_result(["ang", "ang"], ["hap", "ang"]), speakers=1)

    assert metrics["ua"] == 0.5
    assert metrics["recall"] == {"ang": 0.5}


def test_one_speaker_says_nothing_of_others(make_result: Make) -> None:
    metrics = summary(make_result(["ang", "sad"], ["ang", "ang"]), speakers=1)

    assert (metrics["ua_ci"], metrics["wa_ci"]) == (None, None)


def test_a_class_that_a_resample_lacks_is_not_averaged(make_result: Make) -> None:
    metrics = summary(make_result(["ang", "sad"], ["ang", "ang"]), speakers=2)

    assert metrics["ua_ci"] == [0.0, 1.0]  # only the one speaker, or only the other
