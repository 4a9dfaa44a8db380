"""A run as experiment trackers take it: parameters, metrics, curves."""

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
"""(step, value) pairs."""


@dataclass(frozen=True)
class RunExport:
    """A run in the form that experiment trackers take.

    Attributes:
        parameters: Every setting that can change the result, the key, corpus and status.
        metrics: Metrics as fractions; both ends of each interval.
        curves: Seed and fold (``seed0/session1``) → column of the history → its curve.
    """

    parameters: Mapping[str, str | float | bool]
    metrics: Mapping[str, float]
    curves: Mapping[str, Mapping[str, Curve]]


def run_export(record: Record) -> RunExport:
    """Collect the exported values of a run.

    Args:
        record: A run after `sercli.results.seal.hide_sealed`; a sealed one has no test curves.

    Raises:
        SercliError: Its history is missing or damaged.
    """
    summary = record.summary
    settings = flatten({"run": record.key, "dataset": summary["card"]["dataset"]})
    settings |= {"status": record.status, **flatten(summary["configuration"])}
    return RunExport(
        {name: _parameter(value) for name, value in settings.items()},
        dict(_metrics(record)),
        _curves(record),
    )


def not_installed(package: str, extra: str) -> RequestError:
    """Return the error for a missing optional package."""
    return RequestError(f"{package} is not installed; pip install 'sercli[{extra}]'")


def _parameter(value: object) -> str | float | bool:
    if isinstance(value, str | bool | int | float):
        return value
    return json.dumps(value, ensure_ascii=False)


def _metrics(record: Record) -> Iterator[tuple[str, float]]:
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
                _plain(str(name)): _curve(part["step"].tolist(), part[name].tolist())
                for name in columns
            }
            for (seed, fold), part in history.groupby(["seed", "fold"])
        }
    except (OSError, KeyError, ValueError) as error:
        reason = one_line(error)
        raise SercliError(f"{record.path}: {reason}; see `sercli verify`") from error


_OF_TEST = ("test_ua", "test_wa", "max_state")
"""Columns of the history that depend on test."""


def _curve(steps: list[int], values: list[float]) -> Curve:
    return [(s, value) for s, value in zip(steps, values, strict=True) if math.isfinite(value)]


def _plain(name: str) -> str:
    """Replace characters that some tool does not take in a name."""
    return re.sub(r"[^\w\-. /]", "_", name)
