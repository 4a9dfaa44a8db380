"""Which of the swept settings decided dev UA (PED-ANOVA)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial
from pandas.api.types import is_numeric_dtype

from sercli.results.sweep_summary import PARAMETER

LEAST_POINTS = 10
"""Complete points below which nothing is said (our choice)."""

BEST_POINTS = 5
"""The best points that are told from the rest, at least (as Optuna advises); else a tenth."""

DECADES = 100.0
"""Largest over smallest value from which on a setting is seen on a logarithmic scale (our choice).
"""


def importance(trials: pd.DataFrame) -> dict[str, float] | None:
    """Tell how much each swept setting decides whether a point is among the best.

    PED-ANOVA (Watanabe, Bansal & Hutter 2023) compares the values of the best points with those
    of all: a setting whose values are spread alike in both decides nothing.

    Args:
        trials: The points of a sweep (`sercli.results.sweep_summary.write_sweep`). A setting that
            holds numbers is a range, on a logarithmic scale where they are positive and span
            `DECADES`; any other is a choice. A point without a value of a setting has none.

    Returns:
        Swept key → its share, the largest first; they sum to 1. None where it cannot be told:
        fewer than `LEAST_POINTS` complete points, fewer than two settings with several values,
        or the same dev UA everywhere.
    """
    complete = trials[(trials["state"] == "complete") & trials["dev_ua"].notna()]
    spaces = {
        name.removeprefix(PARAMETER): space
        for name in complete.columns
        if name.startswith(PARAMETER) and (space := _space(complete[name])) is not None
    }
    if len(complete) < LEAST_POINTS or len(spaces) < 2 or complete["dev_ua"].nunique() < 2:
        return None
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    study = _study(complete, spaces)
    quantile = max(0.1, BEST_POINTS / len(complete))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one is about values that occur once, as many do here
        return dict(get_param_importances(study, evaluator=evaluator))


def _space(column: pd.Series[Any]) -> BaseDistribution | None:
    """The range or the choices of a setting; None where it has one value."""
    values = column.dropna()
    if values.nunique() < 2:
        return None
    if not is_numeric_dtype(values):
        return CategoricalDistribution(sorted(set(values.astype(str))))
    low, high = float(values.min()), float(values.max())
    return FloatDistribution(low, high, log=low > 0 and high / low >= DECADES)


def _study(complete: pd.DataFrame, spaces: Mapping[str, BaseDistribution]) -> optuna.Study:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    optuna.logging.set_verbosity(verbosity)
    for _, row in complete.iterrows():
        values = {key: row[PARAMETER + key] for key in spaces if pd.notna(row[PARAMETER + key])}
        study.add_trial(
            create_trial(
                value=float(row["dev_ua"]),
                distributions={key: spaces[key] for key in values},
                params={key: _plain(value, spaces[key]) for key, value in values.items()},
            )
        )
    return study


def _plain(value: Any, space: BaseDistribution) -> float | str:
    return float(value) if isinstance(space, FloatDistribution) else str(value)
