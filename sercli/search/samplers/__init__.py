"""What proposes the next point of a search, by its name.

A sampler is made anew for every trial that a worker claims. What it proposes follows from the
seed, the number of the trial and the trials that are in the storage, so that one worker alone
repeats itself and several propose different points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec

import numpy as np
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from sercli.errors import RequestError, nearest


def make_sampler(name: str, seed: int, trial: int) -> BaseSampler:
    """Make the sampler of one trial.

    Args:
        name: One of `SAMPLERS`:

            - ``random``: independent draws;
            - ``qmc``: a scrambled Sobol sequence (`sercli.search.samplers.sobol`);
            - ``tpe``: tree-structured Parzen estimators, of all settings together where there is
              one objective; points that run count as bad ones (Optuna's constant liar);
            - ``gp``: a Gaussian process and the expected improvement beside the points that run;
              its first 10 points are those of ``qmc``;
            - ``cmaes``: CMA-ES (`sercli.search.samplers.cma_es`).
        seed: Seed of the search, 0 or more.
        trial: Number of the trial in its study, from 0.

    Raises:
        RequestError: There is no such sampler, or its package is not installed.
    """
    if name not in SAMPLERS:
        raise RequestError(f"unknown sampler '{name}'.{nearest(name, SAMPLERS)}")
    return SAMPLERS[name](seed, trial)


def _random(seed: int, trial: int) -> BaseSampler:
    return RandomSampler(seed=_own_seed(seed, trial))


def _qmc(seed: int, trial: int) -> BaseSampler:
    from sercli.search.samplers.sobol import SobolSampler

    return SobolSampler(seed, trial)


def _tpe(seed: int, trial: int) -> BaseSampler:
    return TPESampler(seed=_own_seed(seed, trial))


def _gp(seed: int, trial: int) -> BaseSampler:
    return GPSampler(
        seed=_own_seed(seed, trial),
        independent_sampler=_qmc(seed, trial),
        warn_independent_sampling=False,
    )


def _cmaes(seed: int, trial: int) -> BaseSampler:
    if find_spec("cmaes") is None:  # Optuna would notice at the second point
        raise RequestError("sampler 'cmaes' needs the package cmaes: pip install 'sercli[cmaes]'")
    from sercli.search.samplers.cma_es import ReplayedCmaEsSampler

    return ReplayedCmaEsSampler(seed, start=_qmc(seed, trial))


def _own_seed(seed: int, trial: int) -> int:
    """A seed of this trial alone; a sum would give seed 0, trial 1 the point of seed 1, trial 0."""
    return int(np.random.SeedSequence((seed, trial)).generate_state(1)[0])


SAMPLERS: Mapping[str, Callable[[int, int], BaseSampler]] = {
    "random": _random,
    "qmc": _qmc,
    "tpe": _tpe,
    "gp": _gp,
    "cmaes": _cmaes,
}
"""The samplers by name; ``grid`` is none, since its points are planned with their settings."""
