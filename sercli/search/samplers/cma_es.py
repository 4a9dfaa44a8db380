"""CMA-ES with a state that is recomputed from the finished trials.

Optuna's sampler keeps the state of the optimiser as a pickle in the storage; whoever can write to
the storage could then run code on a worker. To replay all finished generations takes milliseconds
and gives the same state.
"""

from __future__ import annotations

from typing import Any

from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial


class ReplayedCmaEsSampler(CmaEsSampler):
    """CMA-ES (Hansen 2016) that neither reads its state from the storage nor writes it.

    It maximises one objective over numeric hyperparameters.

    Args:
        seed: Seed of the optimiser, the same for all trials of a sweep: Optuna adds the number of
            the trial before it draws values.
        start: The sampler of all other hyperparameters, and of all until a trial is finished.
    """

    def __init__(self, seed: int, start: BaseSampler) -> None:
        super().__init__(seed=seed, independent_sampler=start, warn_independent_sampling=False)
        self._space: dict[str, BaseDistribution] = {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self._space = search_space
        return super().sample_relative(study, trial, search_space)

    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
        """Replay every finished generation in a new optimiser.

        None is then left for Optuna to tell, after which it would store the pickle.
        """
        transform = _SearchSpaceTransform(self._space, transform_0_1=True)
        optimizer = self._init_optimizer(transform, StudyDirection.MAXIMIZE)
        while True:
            told = self._get_solution_trials(completed_trials, optimizer.generation)
            told = told[: optimizer.population_size]
            if len(told) < optimizer.population_size:
                return optimizer
            optimizer.tell([(transform.transform(each.params), -_value(each)) for each in told])


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None, "a complete trial has a value"
    return trial.value
