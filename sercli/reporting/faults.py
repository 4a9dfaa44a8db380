"""What keeps a record from being reported: files that are missing, figures that are none.

A record is written whole, but it can be copied by half or edited by hand. What a report reads of it
is checked here once, so that nothing that is made of it has to.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sercli.results.run_record import Record

FILES = ("predictions.parquet", "utterances.parquet", "history.parquet")
"""What a report reads beside the page."""

_MARK = b"PAR1"

Form = Callable[[Any], bool] | dict[str, Any] | list[Any]
"""A check, a mapping of names to forms (a name with a ``?`` may be missing), or a list of them."""


def fault(record: Record) -> str | None:
    """Say in a line what is wrong with a record; nothing where it can be reported."""
    for name in FILES:
        if not _is_whole(record.path / name):
            return f"{record.path}: {name} is missing or cut off; copy it again, or remove it"
    complete = record.summary.get("status") == "complete"
    metrics = _METRICS if complete else {name.rstrip("?") + "?": x for name, x in _METRICS.items()}
    for place in _misfits(record.summary, {**_PAGE, "metrics": metrics}, "run.json"):
        return f"{record.path}: {place}; restore it, or remove the record"
    return None


def _is_whole(path: Path) -> bool:
    """Whether a Parquet file is there to its end, where its mark stands a second time."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_MARK), os.SEEK_END)
            return file.read() == _MARK
    except OSError:
        return False


def _misfits(value: Any, form: Form, where: str) -> Iterator[str]:
    if isinstance(form, dict):
        yield from _misfits_in_mapping(value, form, where)
    elif isinstance(form, list) and isinstance(value, list):
        for position, each in enumerate(value):
            yield from _misfits(each, form[0], f"{where}[{position}]")
    elif isinstance(form, list) or not form(value):
        yield f"{where} cannot be {value!r:.60}"


def _misfits_in_mapping(value: Any, form: dict[str, Any], where: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where} cannot be {value!r:.60}"
        return
    for name, part in form.items():
        key = name.rstrip("?")
        if key in value:
            yield from _misfits(value[key], part, f"{where}: {key}")
        elif key == name:
            yield f"{where} lacks {key}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _are_shares(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_share, value.values()))


def _are_texts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, value.values()))


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


_PART = {"name": _is_text}
_SHARES = dict.fromkeys(("ua?", "wa?", "maf?", "dev_ua?"), _is_share)
_METRICS = {
    **dict.fromkeys(("ua", "wa", "dev_ua"), _is_share),
    **dict.fromkeys(("ua_oracle?", "wa_oracle?", "maf?", "map?"), _is_share),
    **dict.fromkeys(("ua_ci?", "wa_ci?", "ua_oracle_ci?", "wa_oracle_ci?"), _or_none(_is_interval)),
    "recall?": _are_shares,
    "by_seed?": [{"seed": _is_count, **_SHARES}],
    "by_fold?": [{"seed": _is_count, "fold": _is_text, **_SHARES}],
}
_PAGE = {
    "key": _is_text,
    "status": lambda value: value in ("complete", "diverged"),
    "diverged": [{"seed": _is_count, "fold": _is_text, "step": _is_count}],
    "configuration": {
        "model": _PART,
        "cell": _PART,
        "activation": {**_PART, "alpha?": _is_number, "beta?": _is_number},
    },
    "card": {
        "dataset": _is_text,
        "synthetic": _is_switch,
        "classes": [_is_text],
        "mapping": _are_texts,
        "utterances": _is_count,
        "expected": _or_none(_is_count),
        "protocol": _is_text,
        "division?": _is_text,
        "folds": _is_count,
        "seeds": [_is_count],
        "paragraph": _is_text,
    },
}
