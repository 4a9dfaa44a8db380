"""UA and WA against values by hand and against their definitions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.results.metrics import maf, map, ua, wa  # noqa: A004 - MAP is its name

PAIRS = st.lists(st.tuples(*[st.sampled_from(["ang", "hap", "neu", "sad"])] * 2), min_size=1)


def test_ua_weighs_classes_alike_and_wa_weighs_utterances_alike() -> None:
    truth = ["neu", "neu", "neu", "neu", "sad", "sad"]
    prediction = ["neu", "neu", "neu", "sad", "sad", "neu"]

    assert ua(truth, prediction) == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert wa(truth, prediction) == pytest.approx(4 / 6)


def test_maf_and_map_average_f_and_precision_over_the_classes() -> None:
    truth = ["neu", "neu", "neu", "sad", "sad", "hap"]
    prediction = ["neu", "neu", "sad", "sad", "neu", "neu"]

    precisions, recalls = (2 / 4, 1 / 2, 0.0), (2 / 3, 1 / 2, 0.0)
    assert map(truth, prediction) == pytest.approx(sum(precisions) / 3)
    scores = [2 * p * r / (p + r) if p else 0.0 for p, r in zip(precisions, recalls, strict=True)]
    assert maf(truth, prediction) == pytest.approx(sum(scores) / 3)


def test_a_class_that_no_utterance_has_is_not_averaged() -> None:
    assert ua(["neu", "sad"], ["neu", "sad"]) == 1.0


def test_an_utterance_taken_for_a_class_that_none_has_is_wrong() -> None:
    assert ua(["neu", "neu", "sad"], ["neu", "hap", "sad"]) == pytest.approx((1 / 2 + 1) / 2)


@given(PAIRS)
def test_ua_is_the_mean_recall_and_wa_the_share_that_is_right(pairs: list[tuple[str, str]]) -> None:
    recalls = []
    for label in {label for label, _ in pairs}:
        guesses = [guess for truth, guess in pairs if truth == label]
        recalls.append(Fraction(guesses.count(label), len(guesses)))
    right = Fraction(sum(truth == guess for truth, guess in pairs), len(pairs))

    truth, prediction = (list(each) for each in zip(*pairs, strict=True))

    assert ua(truth, prediction) == pytest.approx(float(sum(recalls) / len(recalls)))
    assert wa(truth, prediction) == pytest.approx(float(right))
