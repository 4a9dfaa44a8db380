"""The data of a report for a program: JSON, and lines for a spreadsheet. Fractions in both."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sercli.reporting.table import Row


def as_json(data: Mapping[str, Sequence[Row]]) -> str:
    """One document; a figure that is not finite is null, because JSON has no other word."""
    return json.dumps(_plain(data), indent=2, ensure_ascii=False, allow_nan=False)


def as_csv(data: Mapping[str, Sequence[Row]]) -> str:
    """The rows of the first name, one line each.

    An interval becomes two columns, ``…_low`` and ``…_high``; a mapping one for each name in it;
    of what says how a run was done (``card``) there is none.
    """
    lines = [dict(_flat(row)) for row in next(iter(data.values()))]
    text = io.StringIO()
    names = dict.fromkeys(name for line in lines for name in line)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _flat(row: Row) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if name.endswith("_ci"):
            low, high = value or (None, None)
            yield f"{name}_low", low
            yield f"{name}_high", high
        elif isinstance(value, Mapping):
            if name != "card":
                yield from ((f"{name}_{key}", each) for key, each in value.items())
        elif isinstance(value, list):
            yield name, " ".join(map(str, value))
        else:
            yield name, value
