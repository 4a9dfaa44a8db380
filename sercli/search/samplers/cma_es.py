"""CMA-ES whose state is computed from the trials, each time anew.

Optuna's own sampler keeps the state of the optimiser as a pickle in the storage and loads it
again; whoever can write to a storage could then choose what a worker runs. Telling the optimiser
all finished generations once more takes milliseconds and gives the same state.
"""

from __future__ import annotations

from typing import Any

from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial


class ReplayedCmaEsSampler(CmaEsSampler):
    """CMA-ES (Hansen 2016) that reads no state from the storage and writes none.

    It maximises one objective and moves numbers only; ``start`` proposes values of the other
    settings, and of all until a trial is finished.

    Args:
        seed: Seed of the optimiser, the same for all trials of a sweep: Optuna adds the trial's
            number before it draws a point.
        start: Another sampler.
    """

    def __init__(self, seed: int, start: BaseSampler) -> None:
        super().__init__(seed=seed, independent_sampler=start, warn_independent_sampling=False)
        self._space: dict[str, BaseDistribution] = {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose values of all settings that are numbers."""
        self._space = search_space
        return super().sample_relative(study, trial, search_space)

    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
        """Tell a new optimiser every generation that is finished.

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
