"""UA and WA against values by hand and against scikit-learn."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.training.metrics import ua, wa

sklearn = pytest.importorskip("sklearn.metrics")

PAIRS = st.lists(st.tuples(*[st.sampled_from(["ang", "hap", "neu", "sad"])] * 2), min_size=1)


def test_ua_weighs_classes_alike_and_wa_weighs_utterances_alike() -> None:
    truth = ["neu", "neu", "neu", "neu", "sad", "sad"]
    prediction = ["neu", "neu", "neu", "sad", "sad", "neu"]

    assert ua(truth, prediction) == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert wa(truth, prediction) == pytest.approx(4 / 6)


def test_a_class_that_no_utterance_has_is_not_averaged() -> None:
    assert ua(["neu", "sad"], ["neu", "sad"]) == 1.0


def test_an_utterance_taken_for_a_class_that_none_has_is_wrong() -> None:
    assert ua(["neu", "neu", "sad"], ["neu", "hap", "sad"]) == pytest.approx((1 / 2 + 1) / 2)


@given(PAIRS)
def test_ua_and_wa_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    truth, prediction = map(list, zip(*pairs, strict=True))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about classes that only predictions have
        assert ua(truth, prediction) == pytest.approx(
            sklearn.balanced_accuracy_score(truth, prediction)
        )
    assert wa(truth, prediction) == pytest.approx(sklearn.accuracy_score(truth, prediction))
