"""Descriptions of settings: default, type, allowed values and meaning.

Meanings come from the schema, from comments in the files of ``conf/``, and, for models, cells,
activations and augmentations, from the docstrings of their classes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sercli.config import hints
from sercli.config.check import allowed_range, allowed_values
from sercli.config.completion import written
from sercli.config.compose import Choice, comments, default_settings, list_choices
from sercli.config.settings import GROUPS, TYPE_NAMES, described, described_by, schema_settings
from sercli.errors import RequestError
from sercli.reporting.table import Columns, Table, View, make_table, text_column

_PARTS = ("model", "cell", "activation")
"""Groups whose settings are documented by classes."""

_OF_EVERY_PART = {
    "model.name": "Name in tables.",
    "model.system": "Implementation.",
    "cell.name": "Cell.",
    "cell.layers": "Layers in a stack.",
    "activation.name": "Activation.",
    "activation.share": "Scope of one set of learned parameters: each direction of each layer, "
    "each layer, or the whole model.",
    "activation.per_unit": "One set of learned parameters per hidden unit.",
}
"""Settings that no class of a part documents."""


@dataclass(frozen=True)
class Explanation:
    """The description of a setting.

    Attributes:
        key: Dotted key.
        default: Default, as an override writes it.
        type: Type in words.
        allowed: Allowed values, or range; empty: any of the type.
        meaning: Description.
    """

    key: str
    default: str
    type: str
    allowed: str
    meaning: str


def explain_view(names: Sequence[str] = ()) -> View:
    """Describe settings.

    Args:
        names: Keys and groups, and choices whose settings are meant (``cell=a_lstm``); none: all
            settings of the default configuration.

    Raises:
        RequestError: There is no such key, group or choice.

    >>> explain_view(["optim.lr"]).data["settings"][0]["allowed"]
    'above 0'
    """
    chosen = [name for name in names if "=" in name]
    values = default_settings(chosen)
    wanted = [_meant(name.partition("=")[0], values) for name in names]
    meanings = _of_parts(values, wanted) | comments(chosen)
    found = [
        _explain(key, value, meanings)
        for key, value in values.items()
        if key not in GROUPS  # leaves out augment={}
        and (not wanted or any(f"{key}.".startswith(f"{name}.") for name in wanted))
    ]
    choices = [
        each for name in dict.fromkeys(wanted) if name in GROUPS for each in list_choices(name)
    ]
    tables = [_settings_table(found)] if found else []
    if choices:
        tables.append(_choices_table(choices))
    data = {"settings": list(map(asdict, found)), "choices": list(map(asdict, choices))}
    return View(tuple(tables), data)


def _meant(name: str, values: Collection[str]) -> str:
    """Return the key or group that a name means, a synonym included."""
    parts = [key.split(".") for key in values]
    keys = {".".join(part[:n]) for part in parts for n in range(1, len(part) + 1)} | {*GROUPS}
    meant = name if name in keys else hints.meant_key(name, keys)
    if meant is None:
        raise RequestError(hints.unknown_key(name, "", keys))
    return meant


def _explain(key: str, value: Any, meanings: Mapping[str, str]) -> Explanation:
    setting = schema_settings().get(described_by(key))
    kind = setting.type if setting else TYPE_NAMES.get(type(value), "")
    meaning = setting.meaning if setting else meanings.get(key) or _of_node(key)
    allowed = ", ".join(allowed_values(described_by(key))) or allowed_range(described_by(key))
    return Explanation(key, written(value), kind, allowed, meaning.replace("`", ""))


def _of_node(key: str) -> str:
    """Return the meaning of the closest node of the schema above a key."""
    while "." in key:
        key = key.rpartition(".")[0]
        if key in schema_settings():
            return schema_settings()[key].meaning
    return ""


def _of_parts(values: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, str]:
    """Return the meanings of the settings that classes document, if they are wanted."""
    found: dict[str, str] = {}
    groups = {name.partition(".")[0] for name in wanted} or {*GROUPS}
    for group in _PARTS:
        if group in groups:
            for part in _classes(group, str(values[f"{group}.{_naming(group)}"])):
                found |= {f"{group}.{name}": text for name, text in described(part).items()}
    names = {key.split(".")[1] for key in values if key.startswith("augment.")}
    if names and "augment" in groups:
        found |= _of_augmentations(names)
    return {**_OF_EVERY_PART, **found}


def _of_augmentations(names: Collection[str]) -> dict[str, str]:
    """Return the meanings of the settings of augmentations."""
    from sercli.training.augment import AUGMENTATIONS

    return {
        f"augment.{name}.{key}": text
        for name, part in AUGMENTATIONS.items()
        if name in names
        for key, text in described(part).items()
    }


def _naming(group: str) -> str:
    return "system" if group == "model" else "name"


def _classes(group: str, name: str) -> list[Any]:
    """Return the class of a part, last, and those whose arguments it takes too."""
    from sercli.models import MODELS
    from sercli.nn.activations import ACTIVATIONS
    from sercli.nn.cells import CELLS
    from sercli.nn.layer import RecurrentLayer

    if group == "cell":
        return [RecurrentLayer, CELLS[name]]
    return [MODELS[name] if group == "model" else ACTIVATIONS[name]]


def _settings_table(found: Sequence[Explanation]) -> Table:
    columns: Columns[Explanation] = [
        text_column("key", lambda each: each.key),
        text_column("default", lambda each: each.default),
        text_column("type", lambda each: each.type),
        text_column("allowed", lambda each: each.allowed or None),
        text_column("meaning", lambda each: each.meaning or None),
    ]
    return make_table("Settings", columns, found)


def _choices_table(choices: Sequence[Choice]) -> Table:
    columns: Columns[Choice] = [
        text_column("choice", lambda each: f"{each.group}={each.name}" + "*" * each.default),
        text_column("description", lambda each: each.description),
    ]
    return make_table("Choices", columns, choices, notes=["*: the default."])
