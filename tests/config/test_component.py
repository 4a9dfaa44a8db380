from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from sercli.config.component import build
from sercli.errors import RequestError


class Part:
    """A part with a setting of each type."""

    def __init__(
        self,
        size: int = 1,
        share: float = 0.5,
        learn: bool = True,
        kind: str = "a",
        limit: float | None = None,
        order: int | None = None,
        steps: list[int] | None = None,
        *,
        given: str = "",
    ) -> None:
        self.seen = {
            "size": size,
            "share": share,
            "learn": learn,
            "kind": kind,
            "limit": limit,
            "order": order,
            "steps": steps,
        }
        self.given = given


class WithoutSettings(nn.Module):
    """A part that inherits the constructor of `nn.Module`."""


def test_settings_and_given_arguments_reach_the_part() -> None:
    part = build("part", Part, {"name": "part", "size": 3, "kind": "b"}, given="x")
    assert (part.seen["size"], part.seen["kind"], part.given) == (3, "b", "x")


def test_a_function_is_a_part_too() -> None:
    def double(size: int) -> int:
        return 2 * size

    assert build("part", double, {"size": 2}) == 4


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("size", 3),
        ("share", 0.25),
        ("learn", False),
        ("kind", "b"),
        ("limit", None),
        ("limit", 2.5),
        ("order", None),
        ("order", 2),
        ("steps", [1, 2]),
        ("steps", None),
    ],
)
def test_a_value_of_the_right_type_is_taken_as_it_is(setting: str, value: Any) -> None:
    assert build("part", Part, {setting: value}).seen[setting] == value


@pytest.mark.parametrize("setting", ["share", "limit"])
def test_an_int_is_accepted_for_a_float(setting: str) -> None:
    found = build("part", Part, {setting: 2}).seen[setting]
    assert found == 2.0
    assert isinstance(found, float)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("size", 2.0, "part.size=2.0: expected int, not float"),
        ("size", "2", "part.size=2: expected int, not str"),
        ("size", True, "part.size=True: expected int, not bool"),
        ("size", None, "part.size=None: expected int, not null"),
        ("share", True, "part.share=True: expected float, not bool"),
        ("share", "0.5", "part.share=0.5: expected float, not str"),
        ("learn", 1, "part.learn=1: expected bool, not int"),
        ("kind", 1, "part.kind=1: expected str, not int"),
        ("limit", "x", "part.limit=x: expected float or null, not str"),
        ("limit", False, "part.limit=False: expected float or null, not bool"),
        ("order", 1.5, "part.order=1.5: expected int or null, not float"),
        ("steps", 3, "part.steps=3: must be a list; write part.steps=[3]"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(setting: str, value: Any, message: str) -> None:
    with pytest.raises(RequestError) as error:
        build("part", Part, {setting: value})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("part", "setting", "message"),
    [
        (Part, "shares", "unknown setting 'part.shares'. Did you mean 'share'?"),
        (Part, "given", "unknown setting 'part.given'."),
        (WithoutSettings, "slope", "unknown setting 'part.slope'."),
        (WithoutSettings, "args", "unknown setting 'part.args'."),
        (WithoutSettings, "kwargs", "unknown setting 'part.kwargs'."),
    ],
)
def test_a_setting_that_the_part_does_not_have_is_refused(
    part: type, setting: str, message: str
) -> None:
    given = {"given": "x"} if part is Part else {}
    with pytest.raises(RequestError) as error:
        build("part", part, {setting: 1}, **given)
    assert str(error.value).startswith(message)
    assert "args" not in str(error.value).removeprefix(message)
