"""A view as data for programs: JSON and CSV, with rates as fractions."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from sercli.reporting.table import View


def as_json(view: View) -> str:
    """Return the data as one JSON document; a number that is not finite becomes null.

    >>> print(as_json(View((), {"rows": [{"ua": 0.7, "wa": float("nan")}]})))
    {
      "rows": [
        {
          "ua": 0.7,
          "wa": null
        }
      ]
    }
    """
    return json.dumps(_plain(view.data), indent=2, ensure_ascii=False, allow_nan=False)


def as_json_lines(view: View) -> str:
    """Return each line of the view as a JSON document on a line of its own."""
    lines = (_plain(line) for line in _lines(view))
    return "".join(f"{json.dumps(x, ensure_ascii=False, allow_nan=False)}\n" for x in lines)


def as_csv(view: View) -> str:
    """Return the lines of the view.

    An interval becomes two columns, ``…_low`` and ``…_high``; a mapping one column per name. The
    protocol card is left out.

    >>> print(as_csv(View((), {"rows": [{"ua": 0.7, "ua_ci": [0.6, 0.8]}]})))
    ua,ua_ci_low,ua_ci_high
    0.7,0.6,0.8
    <BLANKLINE>
    """
    lines = [dict(_fields(_plain(line))) for line in _lines(view)]
    text = io.StringIO()
    names = dict.fromkeys(name for line in lines for name in line)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _lines(view: View) -> Sequence[Any]:
    if view.lines is not None:
        return view.lines
    lists = (value for value in view.data.values() if isinstance(value, list | tuple))
    return next(lists, [view.data])


def _fields(line: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in line.items():
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


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
