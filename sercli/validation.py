"""Validate nested data with pydantic, and report the first mistake in one line."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from sercli.errors import RequestError, nearest

_REASONS = {
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
}
"""pydantic's error type → reason in the words of a configuration."""

Validated = TypeVar("Validated")


class StrictModel(BaseModel):
    """Base of validated data: immutable, without conversions, unknown keys refused."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, data: Any) -> Any:
        names = {field.alias or name for name, field in cls.model_fields.items()}
        for key in data if isinstance(data, dict) else ():
            if key not in names:
                hint = nearest(str(key), names)
                raise PydanticCustomError("unknown_key", "{hint}", {"key": str(key), "hint": hint})
        return data


def validate(schema: type[Validated], data: Any, place: str) -> Validated:
    """Return ``data`` as an instance of ``schema``.

    >>> class Options(StrictModel):
    ...     seed: int = 0
    >>> validate(Options, {"seed": 1}, "dataset.options.")
    Options(seed=1)
    >>> validate(Options, {"sede": 1}, "dataset.options.")
    Traceback (most recent call last):
    sercli.errors.RequestError: unknown key 'dataset.options.sede'. Did you mean 'seed'?

    Args:
        schema: A `StrictModel`, another pydantic model, or a dataclass.
        data: Nested data from YAML, JSON or the configuration.
        place: Text in front of a key in messages: ``"dataset.options."``, ``"plan.yaml: "``.

    Raises:
        RequestError: The data do not fit; the message names the key, its value and the remedy.
    """
    try:
        return TypeAdapter(schema).validate_python(data)
    except ValidationError as error:
        raise RequestError(_message(error.errors()[0], place)) from None


def validate_settings(schema: type[Validated], data: Any, place: str) -> Validated:
    """Validate settings read from a file as a dataclass; see `validate`.

    Types are not converted, and unknown keys are refused at any depth.
    """
    try:
        return TypeAdapter(schema).validate_json(json.dumps(data), strict=True, extra="forbid")
    except ValidationError as error:
        raise RequestError(_message(error.errors()[0], place)) from None


def _message(error: ErrorDetails, place: str) -> str:
    kind, path = error["type"], [*error["loc"]]
    file, colon, prefix = place.rpartition(": ")
    if kind == "unknown_key":
        key = prefix + _dotted([*path, error["ctx"]["key"]])
        return f"{file}{colon}unknown key '{key}'.{error['ctx']['hint']}"
    key = (place + _dotted(path)).rstrip(".: ")
    if kind == "unexpected_keyword_argument":
        return f"{file}{colon}unknown key '{prefix}{_dotted(path)}'"
    if kind == "missing":
        return f"{key} is missing"
    reason = error["msg"].removeprefix("Value error, ").replace("Input should", "must", 1)
    return f"{key} {_REASONS.get(kind, reason)}, not {error['input']!r:.60}"


def _dotted(path: list[int | str]) -> str:
    """Return a path as the configuration writes it: "points[0].alpha"."""
    parts = (f"[{each}]" if isinstance(each, int) else f".{each}" for each in path)
    return "".join(parts).removeprefix(".")
