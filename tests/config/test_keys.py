"""Two nested descriptions are compared leaf by leaf."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.config.keys import ABSENT, Difference, differences, flatten

LEAVES: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text("ab1", max_size=3) | st.just([])
)
NAMES = st.text(alphabet="abc", min_size=1, max_size=2)
NESTED = st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=8)
MAPPINGS = st.dictionaries(NAMES, NESTED, max_size=3)


def test_flatten_names_leaves_by_dotted_keys() -> None:
    nested = {"optim": {"lr": 0.1, "more": {"deep": None}}, "seeds": [0, 1], "options": {}}
    assert flatten(nested) == {
        "optim.lr": 0.1,
        "optim.more.deep": None,
        "seeds": [0, 1],
        "options": {},
    }


def test_changed_and_absent_leaves_are_named_in_the_order_of_the_left() -> None:
    left = {"a": {"x": 1, "same": 2}, "gone": None}
    right = {"new": "n", "a": {"x": 3, "same": 2}}

    found = differences(left, right)

    assert found == [
        Difference("a.x", 1, 3),
        Difference("gone", None, ABSENT),
        Difference("new", ABSENT, "n"),
    ]
    assert [each.in_left for each in found] == [True, True, False]


def test_an_absent_side_has_no_entry_in_json_and_null_has_one() -> None:
    (found,) = differences({"gone": None}, {})
    assert found.to_json() == {"key": "gone", "left": None}


@pytest.mark.parametrize(
    ("left", "right", "differ"),
    [(1, 1.0, False), (1, "1", True), (True, 1, True), (0, False, True), ([1], [1, 2], True)],
)
def test_values_are_compared_as_json_does(left: Any, right: Any, differ: bool) -> None:
    assert bool(differences({"key": left}, {"key": right})) == differ


@given(MAPPINGS)
def test_nothing_differs_from_itself(nested: dict[str, Any]) -> None:
    assert differences(nested, nested) == []


@given(MAPPINGS, MAPPINGS)
def test_the_sides_can_be_exchanged(left: dict[str, Any], right: dict[str, Any]) -> None:
    there = {(each.key, repr(each.left), repr(each.right)) for each in differences(left, right)}
    back = {(each.key, repr(each.right), repr(each.left)) for each in differences(right, left)}
    assert there == back
