"""The importance of the swept hyperparameters for UA on dev (PED-ANOVA)."""

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

MIN_TRIALS = 10
"""Complete trials below which no importance is given (our choice)."""

BEST_TRIALS = 5
"""Least number of trials that count as the best (Optuna's advice); else a tenth."""

LOG_RATIO = 100.0
"""Largest over smallest value from which on a hyperparameter is scaled by its logarithm (our
choice)."""


def importance(trials: pd.DataFrame) -> dict[str, float] | None:
    """Return the importance of each swept hyperparameter for a trial to be among the best.

    PED-ANOVA (Watanabe, Bansal & Hutter 2023) compares the values of the best trials with those of
    all: a hyperparameter that is distributed alike in both has no importance.

    Args:
        trials: The trials of a sweep (`sercli.results.sweep_summary.write_sweep`). Numbers are a
            range, on a logarithmic scale where they are positive and span `LOG_RATIO`; all else is
            a choice.

    Returns:
        Swept key → its share, the largest first; they sum to 1. None if there are fewer than
        `MIN_TRIALS` complete trials, fewer than two hyperparameters with several values, or only
        one value of UA on dev.
    """
    complete = trials[(trials["state"] == "complete") & trials["dev_ua"].notna()]
    spaces = {
        name.removeprefix(PARAMETER): space
        for name in complete.columns
        if name.startswith(PARAMETER) and (space := _space(complete[name])) is not None
    }
    if len(complete) < MIN_TRIALS or len(spaces) < 2 or complete["dev_ua"].nunique() < 2:
        return None
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    study = _study(complete, spaces)
    quantile = max(0.1, BEST_TRIALS / len(complete))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one is about values that occur once, as many do here
        return dict(get_param_importances(study, evaluator=evaluator))


def _space(column: pd.Series[Any]) -> BaseDistribution | None:
    """Return the distribution of a hyperparameter; None if it has one value."""
    values = column.dropna()
    if values.nunique() < 2:
        return None
    if not is_numeric_dtype(values):
        return CategoricalDistribution(sorted(set(values.astype(str))))
    low, high = float(values.min()), float(values.max())
    return FloatDistribution(low, high, log=low > 0 and high / low >= LOG_RATIO)


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
