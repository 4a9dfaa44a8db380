"""Quasi-random search: trial n of a sweep is point n of a scrambled Sobol sequence.

Optuna's own `QMCSampler` keeps the position in the storage, reads it and writes it in two steps,
so that two workers can propose the same point, and draws the first points at random. Here the
number of the trial is the position: nothing is stored and any number of workers agree.
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

AXES = 64
"""Settings that can be swept at once (our choice; each point is drawn with as many coordinates,
so that a coordinate does not depend on how many of them are used)."""


class SobolSampler(BaseSampler):
    """Proposes one point; the first setting that is asked for takes the first coordinate.

    Args:
        seed: Scrambles the sequence (Matoušek 1998); the same for all trials of a sweep.
        trial: Number of the trial, from 0.
    """

    def __init__(self, seed: int, trial: int) -> None:
        sequence = Sobol(AXES, scramble=True, seed=seed)
        if trial:  # scipy takes no step of length 0
            sequence.fast_forward(trial)
        self._coordinates = iter(sequence.random()[0].tolist())

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """No settings are proposed together: the coordinates go together by themselves."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose nothing."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Propose a value of one setting.

        Raises:
            RequestError: There are more settings than `AXES`.
        """
        share = next(self._coordinates, None)
        if share is None:
            raise RequestError(
                f"a quasi-random search has at most {AXES} settings; "
                f"sweep fewer, or take the sampler 'random'"
            )
        return value_at(share, param_distribution)


def value_at(share: float, distribution: BaseDistribution) -> Any:
    """Return the value below which ``share`` (0 ≤ share < 1) of a distribution lies."""
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
    return min(max(value, low), high)  # rounding may step over an end
