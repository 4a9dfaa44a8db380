"""A view as data for programs: JSON and CSV, with rates as fractions."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from sercli.errors import CONTROLS, visible
from sercli.reporting.table import View

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First letters that a spreadsheet takes for a formula, the last four in full width."""

_JSON_ESCAPES = {code: f"\\u{code:04x}" for code in CONTROLS if code >= 0x7F}
"""Control code that `json.dumps` leaves as it is → its escape."""


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
    return _dumps(_plain(view.data), indent=2)


def as_json_lines(view: View) -> str:
    """Return each line of the view as a JSON document on a line of its own."""
    return "".join(f"{_dumps(_plain(line))}\n" for line in _lines(view))


def as_csv(view: View) -> str:
    """Return the lines of the view.

    An interval becomes two columns, ``…_low`` and ``…_high``; a mapping one column per name.
    Numbers have 15 significant digits: without the noise of binary fractions. The protocol card is
    left out. Texts that a spreadsheet would run are marked (`spreadsheet_text`).

    >>> print(as_csv(View((), {"rows": [{"ua": 0.1 + 0.2, "ua_ci": [0.6, 0.8]}]})))
    ua,ua_ci_low,ua_ci_high
    0.3,0.6,0.8
    <BLANKLINE>
    """
    lines = [
        {spreadsheet_text(name): _field(value) for name, value in _fields(_plain(line))}
        for line in _lines(view)
    ]
    text = io.StringIO()
    names = dict.fromkeys(name for line in lines for name in line)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _field(value: Any) -> Any:
    return float(f"{value:.15g}") if isinstance(value, float) else spreadsheet_text(value)


def _dumps(data: Any, **layout: Any) -> str:
    """Return data as JSON in which no label can steer a terminal."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, **layout).translate(_JSON_ESCAPES)


def spreadsheet_text(value: Any) -> Any:
    """Return a value for a CSV file that spreadsheets show and do not run.

    A text that begins as a formula gets a quotation mark before it; numbers, also as text, stay.

    >>> spreadsheet_text("=HYPERLINK(1)"), spreadsheet_text("-0.5"), spreadsheet_text(-0.5)
    ("'=HYPERLINK(1)", '-0.5', -0.5)
    """
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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
