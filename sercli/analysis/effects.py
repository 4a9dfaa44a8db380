"""Marginal effects of swept settings on dev UA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from sercli.results.sweep_summary import PARAMETER

FEW_VALUES = 10
"""Most values of a setting that are tabulated one by one; more numbers are binned."""

BINS = 5
"""Bins of a continuous setting, equal in trials (both numbers are our choice)."""


def effects(trials: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the marginal effect of every swept setting on dev UA.

    Args:
        trials: The trials of a sweep (`sercli.results.sweep_summary.write_sweep`); only complete
            ones count.

    Returns:
        For each setting with several values, a row per value or bin: ``key``; ``value`` (None for
        a bin); ``low`` and ``high``, the ends of a bin, both included (else NaN); ``mean`` and
        ``sd`` of dev UA; ``n`` trials; ``paired``: True if every value met the same other
        settings, whose effects are then removed from ``sd``.
    """
    complete = _complete(trials)
    keys = swept(complete)
    rows = [row for key in keys for row in _effects_of_setting(complete, key, keys)]
    names = ["key", "value", "low", "high", "mean", "sd", "n", "paired"]
    return pd.DataFrame(rows, columns=names)


def effects_of_pair(trials: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Tabulate dev UA by two settings, such as α and β, the best pair first.

    Args:
        trials: The trials, as for `effects`.
        first: Key of a setting.
        second: Key of another.

    Returns:
        A row for each pair of values or bins: both as text, in columns named by the keys; ``mean``
        of dev UA; ``n`` trials.
    """
    complete = _complete(trials)
    levels = [_levels(complete[PARAMETER + key]).rename(key) for key in (first, second)]
    means = complete["dev_ua"].groupby(levels).agg(["mean", "size"]).reset_index()
    means[[first, second]] = means[[first, second]].map(level_text)
    return means.rename(columns={"size": "n"}).sort_values("mean", ascending=False, kind="stable")


def swept(trials: pd.DataFrame) -> list[str]:
    """Return the settings with several values among some trials."""
    columns = [name for name in trials.columns if name.startswith(PARAMETER)]
    return [name.removeprefix(PARAMETER) for name in columns if trials[name].nunique() > 1]


def level_text(level: Any) -> str:
    """Write a value, or a bin as the range of its ends."""
    if isinstance(level, tuple):
        return "–".join(level_text(end) for end in level)
    return f"{level:.3g}" if isinstance(level, float) else str(level)


def _complete(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[(trials["state"] == "complete") & trials["dev_ua"].notna()]


def _effects_of_setting(
    complete: pd.DataFrame, key: str, keys: Sequence[str]
) -> list[dict[str, Any]]:
    levels = _levels(complete[PARAMETER + key])
    spread = _within_blocks(complete, levels, [PARAMETER + k for k in keys if k != key])
    rows = []
    for level, points in complete.groupby(levels):
        low, high = level if isinstance(level, tuple) else (np.nan, np.nan)
        rows.append(
            {
                "key": key,
                "value": None if isinstance(level, tuple) else level,
                "low": low,
                "high": high,
                "mean": float(points["dev_ua"].mean()),
                "sd": float((points["dev_ua"] if spread is None else spread[points.index]).std()),
                "n": len(points),
                "paired": spread is not None,
            }
        )
    return rows


def _levels(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return the value of each trial, or the ends of its bin; NaN without the setting."""
    if values.nunique() <= FEW_VALUES or not is_numeric_dtype(values):
        return values
    bins = pd.qcut(values, BINS, labels=False, duplicates="drop")
    ends = values.groupby(bins).agg(["min", "max"])
    return bins.map({number: (row["min"], row["max"]) for number, row in ends.iterrows()})


def _within_blocks(
    complete: pd.DataFrame, levels: pd.Series[Any], others: Sequence[str]
) -> pd.Series[float] | None:
    """Return dev UA minus the mean of the trials with the same other settings.

    None unless every value met each combination of the others exactly once.
    """
    if not others:
        return None
    blocks = [complete[name] for name in others]
    met = complete.groupby([levels, *blocks]).ngroups
    if not len(complete) == met == levels.nunique() * complete.groupby(blocks).ngroups:
        return None
    return complete["dev_ua"] - complete.groupby(blocks)["dev_ua"].transform("mean")
