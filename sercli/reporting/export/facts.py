"""What every export tells of a record, in the shapes that those tools have."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sercli.config.keys import flatten
from sercli.errors import RequestError, SercliError, one_line
from sercli.results.run_record import Record
from sercli.results.seal import shows_test

Curve = list[tuple[int, float]]
"""Steps and values."""


@dataclass(frozen=True)
class Facts:
    """A record in short.

    Attributes:
        parameters: Every setting that can change the result, and what tells the run from others.
        figures: Metrics of the run, as fractions; an interval is two of them.
        curves: Seed and fold (``seed0/session1``) → column of the history → its curve.
    """

    parameters: Mapping[str, str | float | bool]
    figures: Mapping[str, float]
    curves: Mapping[str, Mapping[str, Curve]]


def facts(record: Record) -> Facts:
    """Collect what is exported of a record.

    Args:
        record: A run that went through `sercli.results.seal.hide_sealed`; of a sealed one nothing
            that test has a part in.

    Raises:
        SercliError: Its history is missing or damaged.
    """
    summary = record.summary
    settings = flatten({"run": record.key, "dataset": summary["card"]["dataset"]})
    settings |= {"status": record.status, **flatten(summary["configuration"])}
    return Facts(
        {name: _parameter(value) for name, value in settings.items()},
        dict(_figures(record)),
        _curves(record),
    )


def lacking(package: str, extra: str) -> RequestError:
    """Say what to install for an export."""
    return RequestError(f"there is no {package} here; install it: pip install 'sercli[{extra}]'")


def _parameter(value: object) -> str | float | bool:
    if isinstance(value, str | bool | int | float):
        return value
    return json.dumps(value, ensure_ascii=False)


def _figures(record: Record) -> Iterator[tuple[str, float]]:
    for name, value in record.metrics.items():
        if isinstance(value, int | float):
            yield name, float(value)
        elif name.endswith("_ci"):
            yield from zip((f"{name}_low", f"{name}_high"), map(float, value), strict=True)


def _curves(record: Record) -> dict[str, dict[str, Curve]]:
    try:
        history = record.history()
        columns = [
            name
            for name in history.select_dtypes("number")
            if name not in ("seed", "step") and (shows_test(record) or name not in _OF_TEST)
        ]
        return {
            _plain(f"seed{seed}/{fold}"): {
                _plain(str(name)): _curve(unit["step"].tolist(), unit[name].tolist())
                for name in columns
            }
            for (seed, fold), unit in history.groupby(["seed", "fold"])
        }
    except (OSError, KeyError, ValueError) as error:
        reason = one_line(error)
        raise SercliError(f"{record.path}: {reason}; `sercli verify` says more") from error


_OF_TEST = ("test_ua", "test_wa", "max_state")
"""Columns of the history that test has a part in."""


def _curve(steps: list[int], values: list[float]) -> Curve:
    return [(s, value) for s, value in zip(steps, values, strict=True) if math.isfinite(value)]


def _plain(name: str) -> str:
    """Leave only characters that every tool takes in a name."""
    return re.sub(r"[^\w\-. /]", "_", name)
