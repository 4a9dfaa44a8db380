"""The samplers, which suggest the hyperparameters of the next trial.

A sampler is created anew for every trial that a worker claims. Its suggestion follows from the
seed, the number of the trial and the trials in the storage: one worker alone is reproducible, and
several suggest different trials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec

import numpy as np
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from sercli.errors import RequestError, nearest


def make_sampler(name: str, seed: int, trial: int) -> BaseSampler:
    """Return the sampler of one trial.

    >>> type(make_sampler("tpe", seed=0, trial=3)).__name__
    'TPESampler'

    Args:
        name: One of `SAMPLERS`:

            - ``random``: independent draws;
            - ``qmc``: a scrambled Sobol sequence (`sercli.search.samplers.sobol`);
            - ``tpe``: tree-structured Parzen estimators, multivariate where there is one objective;
              running trials count as bad ones (Optuna's constant liar);
            - ``gp``: a Gaussian process with expected improvement, which accounts for running
              trials; its first 10 trials are those of ``qmc``;
            - ``cmaes``: CMA-ES (`sercli.search.samplers.cma_es`).
        seed: Seed of the search, 0 or more.
        trial: Number of the trial in its study, from 0.

    Raises:
        RequestError: There is no such sampler, or its package is missing.
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
    if find_spec("cmaes") is None:  # Optuna checks at the second trial only
        raise RequestError("sampler 'cmaes' needs the package cmaes: pip install 'sercli[cmaes]'")
    from sercli.search.samplers.cma_es import ReplayedCmaEsSampler

    return ReplayedCmaEsSampler(seed, start=_qmc(seed, trial))


def _own_seed(seed: int, trial: int) -> int:
    """Return a seed of this trial (by a sum, seed 0, trial 1 would be seed 1, trial 0)."""
    return int(np.random.SeedSequence((seed, trial)).generate_state(1)[0])


SAMPLERS: Mapping[str, Callable[[int, int], BaseSampler]] = {
    "random": _random,
    "qmc": _qmc,
    "tpe": _tpe,
    "gp": _gp,
    "cmaes": _cmaes,
}
"""The samplers by name; ``grid`` is none, since its trials are planned with their values."""
