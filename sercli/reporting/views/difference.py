"""What differs between two runs: settings and data; with ``everything`` also how they were made."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from sercli.config.keys import ABSENT, Difference, differences
from sercli.errors import SercliError, one_line
from sercli.reporting.table import NOTHING, Cell, Column, Table, View, make_table, text_column
from sercli.results.run_record import Record

_LONG = 60
"""Characters of a value that a table shows (our choice); JSON has all of it."""


def difference_view(left: Record, right: Record, *, everything: bool = False) -> View:
    """Show what differs between two runs.

    Args:
        left: One run.
        right: Another.
        everything: Compare the settings that say how to run, the environments and the protocol
            cards as well; else only what can change a result.

    Raises:
        SercliError: Files of a record are missing or damaged.
    """
    found = differences(_described(left, everything), _described(right, everything))
    names = [f"{record.experiment}/{record.key}" for record in (left, right)]
    same = "" if found else ": nothing"
    table = differences_table(f"{names[0]} and {names[1]} differ in{same}", found, *names)
    return View((table,), {"differences": [each.to_json() for each in found]})


def differences_table(title: str, found: Sequence[Difference], left: str, right: str) -> Table:
    """Lay out differences below the names of the two sides."""
    columns: list[tuple[Column, Callable[[Difference], Cell]]] = [
        text_column("key", lambda each: each.key),
        text_column(left, lambda each: _text(each.left)),
        text_column(right, lambda each: _text(each.right)),
    ]
    return make_table(title, columns, found)


def _described(record: Record, everything: bool) -> dict[str, Any]:
    settings = dict(record.summary["configuration"])
    settings["fingerprint of the data"] = record.summary.get("fingerprint")
    if not everything:
        return settings
    try:
        config = yaml.safe_load((record.path / "config.yaml").read_text(encoding="utf-8"))
        environment = record.environment()
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = one_line(error)
        raise SercliError(f"{record.path}: {reason}; `sercli verify` says more") from error
    card = {name: x for name, x in record.summary["card"].items() if name != "paragraph"}
    return {**config, **settings, "environment": environment, "card": card}


def _text(value: Any) -> str:
    if value is ABSENT:
        return NOTHING
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
