"""Configurations: the differences between two runs, and the choices of every group."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import yaml

from sercli.config.keys import ABSENT, Difference, differences
from sercli.errors import SercliError
from sercli.reporting.table import NOTHING, Columns, Table, View, make_table, text_column
from sercli.results.run_record import Record
from sercli.untrusted import read_yaml

if TYPE_CHECKING:
    from sercli.config.compose import Choice

_LONGEST = 60
"""Characters of a value in a table (our choice); JSON has all of it."""


def difference_view(left: Record, right: Record, *, everything: bool = False) -> View:
    """Show the differences between two runs.

    Args:
        left: A run.
        right: Another run.
        everything: Compare settings that cannot change a result, environments and protocol cards
            as well.

    Raises:
        SercliError: Files of a record are missing or damaged.
    """
    found = differences(_description(left, everything), _description(right, everything))
    names = [f"{record.experiment}/{record.key}" for record in (left, right)]
    same = "" if found else ": none"
    table = differences_table(f"Differences between {names[0]} and {names[1]}{same}", found, *names)
    return View((table,), {"differences": [each.to_json() for each in found]})


def differences_table(title: str, found: Sequence[Difference], left: str, right: str) -> Table:
    """Return a table of differences.

    Args:
        title: The title.
        found: The differences.
        left: Heading of the left side.
        right: Heading of the right side.
    """
    columns: Columns[Difference] = [
        text_column("key", lambda each: each.key),
        text_column(left, lambda each: _text(each.left)),
        text_column(right, lambda each: _text(each.right)),
    ]
    return make_table(title, columns, found)


def groups_view(choices: Sequence[Choice]) -> View:
    """Show the choices of every group of the configuration."""
    first = {choice.group: choice for choice in reversed(choices)}
    columns: Columns[Choice] = [
        text_column("group", lambda each: each.group if first[each.group] is each else ""),
        text_column("choice", lambda each: each.name + "*" * each.default),
        text_column("description", lambda each: each.description),
    ]
    lines = [
        {"group": each.group, "name": each.name, "description": each.description,
         "default": each.default}
        for each in choices
    ]  # fmt: skip
    data: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        others = {name: value for name, value in line.items() if name != "group"}
        data.setdefault(str(line["group"]), []).append(others)
    table = make_table("Groups of the configuration", columns, choices, notes=["*: the default."])
    return View((table,), data, lines)


def _description(record: Record, everything: bool) -> dict[str, Any]:
    settings = dict(record.summary["configuration"])
    settings["fingerprint of the data"] = record.summary.get("fingerprint")
    if not everything:
        return settings
    try:
        config = read_yaml(record.path / "config.yaml")
        environment = record.environment()
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SercliError(f"{record.path}: {reason}; see `sercli verify`") from error
    card = {name: x for name, x in record.summary["card"].items() if name != "paragraph"}
    return {**config, **settings, "environment": environment, "card": card}


def _text(value: Any) -> str:
    if value is ABSENT:
        return NOTHING
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
