from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, Field

from sercli.errors import RequestError
from sercli.validation import StrictModel, validate


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


class Part(StrictModel):
    alpha: Annotated[float, Field(ge=0)] = 0.0
    batch: Annotated[int, AfterValidator(_even)] = 2
    shuffle: bool = False


class Plan(StrictModel):
    name: str
    parts: list[Part] = Field(default_factory=list)


def refusal(data: Any, place: str = "plan.yaml: ") -> str:
    with pytest.raises(RequestError) as error:
        validate(Plan, data, place)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_data_that_fit_become_an_instance() -> None:
    plan = validate(Plan, {"name": "grid", "parts": [{"alpha": 1}]}, "")
    assert plan == Plan(name="grid", parts=[Part(alpha=1.0)])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "plan.yaml: name is missing"),
        ([], "plan.yaml must be a mapping, not []"),
        ({"name": 3}, "plan.yaml: name must be text, not 3"),
        ({"name": "x", "part": []}, "plan.yaml: unknown key 'part'. Did you mean 'parts'?"),
        ({"name": "x", "parts": {}}, "plan.yaml: parts must be a list, not {}"),
    ],
)
def test_the_message_names_the_key_and_the_value(data: Any, message: str) -> None:
    assert refusal(data) == message


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"alpa": 1}, "unknown key 'plan.parts[0].alpa'. Did you mean 'alpha'?"),
        ({"alpha": -1}, "plan.parts[0].alpha must be greater than or equal to 0, not -1"),
        ({"alpha": "1"}, "plan.parts[0].alpha must be a number, not '1'"),
        ({"batch": 3}, "plan.parts[0].batch must be even, not 3"),
        ({"batch": True}, "plan.parts[0].batch must be a whole number, not True"),
        ({"shuffle": 1}, "plan.parts[0].shuffle must be true or false, not 1"),
    ],
)
def test_a_nested_key_is_named_by_its_path(part: dict[str, Any], message: str) -> None:
    assert refusal({"name": "x", "parts": [part]}, "plan.") == message
