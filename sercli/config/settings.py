"""The settings of the schema: their keys, types, defaults and meanings."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Any

from sercli.config.schema import Config

GROUPS = (
    "dataset",
    "features",
    "protocol",
    "augment",
    "model",
    "cell",
    "activation",
    "optim",
    "schedule",
    "trainer",
    "launcher",
)
"""The groups, in the order in which data pass them."""

PARTS = "dataset.parts."
"""Prefix of the settings of the corpora of ``dataset=several``: dataset.parts.emodb.root, …"""

STREAMS = "streams"
"""The node of the streams, and the beginning of their keys: streams.text, streams.text.path, …"""

COMBINED = ("augment",)
"""Groups of which several choices may be combined, in a list."""

TYPE_NAMES = {str: "text", bool: "true or false", int: "integer", float: "number", list: "list"}
"""Type of a value → its name in messages and tables."""


@dataclass(frozen=True)
class Setting:
    """A leaf of the schema.

    Attributes:
        key: Dotted key.
        kind: ``str``, ``int``, ``float``, ``bool``, ``list``, ``dict``, or `Any` where each choice
            of the group has settings of its own.
        type: The type in words ("integer or null").
        default: Default of the schema.
        meaning: Description in the schema's docstring, on one line.
    """

    key: str
    kind: Any
    type: str
    default: Any
    meaning: str


@cache
def schema_settings() -> Mapping[str, Setting]:
    """Return the settings of the schema by their keys, in order.

    >>> schema_settings()["optim.lr"].type
    'number'
    """
    return {setting.key: setting for setting in _settings(Config, "")}


def kind_of(key: str) -> Any:
    """Return the kind of a setting; below an open node that of its values.

    >>> kind_of("dataset.root"), kind_of("dataset.classes.ang"), kind_of("model.hidden")
    (<class 'str'>, <class 'str'>, typing.Any)
    """
    known, key = schema_settings(), described_by(key)
    if key in known:
        return known[key].kind
    parent = key
    while "." in parent:
        parent = parent.rpartition(".")[0]
        if parent in known:
            return str if known[parent].type == "mapping to text" else Any
    return None


def described_by(key: str) -> str:
    """Return the key of the schema that describes a setting of a part or of a stream.

    >>> described_by("dataset.parts.emodb.root"), described_by("streams.text.pool")
    ('dataset.root', 'features.pool')
    """
    if key.startswith(PARTS):
        return f"dataset.{key.removeprefix(PARTS).partition('.')[2]}"
    if key.startswith(f"{STREAMS}."):
        return ".".join(("features", *key.split(".")[2:]))
    return key


def group_of(key: str) -> str | None:
    """Return the group whose choices a key takes; None for a key of a setting.

    >>> group_of("cell"), group_of("streams.text"), group_of("streams.text.path")
    ('cell', 'features', None)
    """
    if key in GROUPS:
        return key
    return "features" if key.startswith(f"{STREAMS}.") and key.count(".") == 1 else None


def choice_names(group: str, choice: Any) -> list[str]:
    """Return the names in a choice of a group: one, or those of a list where that is allowed.

    >>> choice_names("augment", "[spec_augment,speed]"), choice_names("cell", "gru")
    (['spec_augment', 'speed'], ['gru'])
    """
    text = str(choice)
    if group not in COMBINED or not text.startswith("["):
        return [text]
    return [name for part in text.strip("[]").split(",") if (name := part.strip(" '\""))]


def is_path(key: str) -> bool:
    """Return True for the settings that are a file or a folder.

    >>> [is_path(key) for key in ("dataset.root", "paths.store", "experiment")]
    [True, True, False]
    """
    files = ("features.config", "features.path")
    return described_by(key) in files or key.startswith("paths.") or key.endswith(".root")


def _settings(schema: type, prefix: str) -> Iterator[Setting]:
    hints, meanings = typing.get_type_hints(schema), described(schema, "Attributes")
    for field in fields(schema):
        key, hint = f"{prefix}{field.name}", hints[field.name]
        if is_dataclass(hint):
            yield from _settings(typing.cast("type", hint), f"{key}.")
        else:
            kind, words = _describe(hint)
            yield Setting(key, kind, words, _default(field), meanings.get(field.name, ""))


def _describe(hint: Any) -> tuple[Any, str]:
    """Return the kind of a type, and its words."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (given,) = [each for each in inner if each is not type(None)]
        kind, words = _describe(given)
        return kind, f"{words} or null"
    if origin is list:
        return list, f"list of {TYPE_NAMES[inner[0]]}s"
    if origin is dict:
        return dict, "mapping to text" if inner[1] is str else "mapping"
    return hint, TYPE_NAMES[hint]


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


@cache
def described(part: Any, section: str = "Args") -> Mapping[str, str]:
    """Return the descriptions in a section of the docstring of a class, each on one line.

    >>> described(Setting, "Attributes")["key"]
    'Dotted key.'
    """
    found: dict[str, str] = {}
    name = ""
    for line in (inspect.getdoc(part) or "").partition(f"{section}:\n")[2].splitlines():
        start = re.fullmatch(r" {4}(\w+): (.*)", line)
        if start:
            name = start[1]
            found[name] = start[2]
        elif name and line.startswith(" " * 8):
            found[name] += f" {line.strip()}"
        elif line and not line.startswith(" "):
            break  # the next section
    return found
