"""Quasi-random search: trial n of a sweep is element n of a scrambled Sobol sequence.

Optuna's `QMCSampler` reads and writes the position in the storage in two steps, so that two workers
can suggest the same values, and draws the first trials at random. Here the number of the trial is
the position: nothing is stored, and any number of workers agree.
"""

from __future__ import annotations

import math
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from scipy.stats.qmc import Sobol

from sercli.errors import RequestError

MAX_HYPERPARAMETERS = 64
"""Largest number of hyperparameters (our choice; all are drawn for each trial, so that a value does
not depend on the number of hyperparameters)."""


class SobolSampler(BaseSampler):
    """Suggests the values of one trial; the first hyperparameter takes the first coordinate.

    Args:
        seed: Seed of the scrambling (Matoušek 1998), the same for all trials of a sweep.
        trial: Number of the trial, from 0.
    """

    def __init__(self, seed: int, trial: int) -> None:
        sequence = Sobol(MAX_HYPERPARAMETERS, scramble=True, seed=seed)
        if trial:  # scipy takes no step of length 0
            sequence.fast_forward(trial)
        self._coordinates = iter(sequence.random()[0].tolist())

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the value of one hyperparameter.

        Raises:
            RequestError: There are more than `MAX_HYPERPARAMETERS`.
        """
        share = next(self._coordinates, None)
        if share is None:
            raise RequestError(
                f"a quasi-random search has at most {MAX_HYPERPARAMETERS} hyperparameters; "
                f"sweep fewer, or use --sampler random"
            )
        return value_at(share, param_distribution)


def value_at(share: float, distribution: BaseDistribution) -> Any:
    """Return the quantile of a distribution.

    >>> value_at(0.5, IntDistribution(0, 8))
    4

    Args:
        share: The share of the distribution below the value, in [0, 1).
        distribution: The distribution.
    """
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(share * len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    whole = isinstance(distribution, IntDistribution)
    if distribution.log:
        margin = 0.5 if whole else 0.0
        start, end = math.log(low - margin), math.log(high + margin)
        value = math.exp(start + share * (end - start))
        value = round(value) if whole else value
    elif step is None:
        value = low + share * (high - low)
    else:
        value = low + step * int(share * (round((high - low) / step) + 1))
    return min(max(value, low), high)  # rounding may exceed an end
