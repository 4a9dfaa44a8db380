"""The study as Optuna's samplers and pruners see it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner
from optuna.storages import RDBStorage
from optuna.trial import Trial

from sercli.search.samplers import make_sampler
from sercli.search.samplers.pruners import intermediate, make_pruner
from sercli.search.study.attributes import StudyAttributes
from sercli.search.study.storage import StorageRetry
from sercli.search.study.trial_queue import ClaimedTrial


class OptunaStudy:
    """Asks the sampler and the pruner of a study about a claimed trial.

    Args:
        name: Name of the study.
        storage: Its storage.
        attributes: Its attributes.
        with_retry: Repeats a transaction until the storage answers.
    """

    def __init__(
        self,
        name: str,
        storage: RDBStorage,
        attributes: StudyAttributes,
        with_retry: StorageRetry,
    ) -> None:
        self._name, self._storage = name, storage
        self._attributes, self._with_retry = attributes, with_retry

    def suggest(self, trial: ClaimedTrial) -> dict[str, Any]:
        """Return the sampler's values of a trial: key → value."""
        return self._with_retry(lambda: self._suggest(trial))

    def should_prune(self, trial: ClaimedTrial, dev_uas: Mapping[int, float]) -> bool:
        """Return True if the pruner would stop a trial.

        Args:
            trial: The trial.
            dev_uas: Place in the order of seeds and folds → UA on dev.
        """
        spec = self._attributes.spec
        pruner = make_pruner(spec.pruner, len(spec.objectives))
        if spec.pruner is None or pruner is None or any(map(math.isnan, dev_uas.values())):
            return False
        steps = _steps(spec.pruner, dev_uas)
        return bool(steps) and self._with_retry(lambda: self._prunes(trial, pruner, steps))

    @cached_property
    def _study(self) -> optuna.Study:
        """Optuna's study, which caches finished trials."""
        return optuna.load_study(study_name=self._name, storage=self._storage)

    def _suggest(self, claimed: ClaimedTrial) -> dict[str, Any]:
        spec, space = self._attributes.spec, self._attributes.space
        self._study.sampler = make_sampler(spec.sampler, spec.seed, claimed.number)
        self._study.get_trials(deepcopy=False)  # else its cache does not know the trial
        trial = Trial(self._study, claimed.trial_id)
        return {key: _suggest(trial, key, how) for key, how in space.distributions().items()}

    def _prunes(self, trial: ClaimedTrial, pruner: BasePruner, steps: Mapping[int, float]) -> bool:
        for step, value in steps.items():
            self._storage.set_trial_intermediate_value(trial.trial_id, step, value)
        return pruner.prune(self._study, self._storage.get_trial(trial.trial_id))


def _steps(pruner: str, dev_uas: Mapping[int, float]) -> dict[int, float]:
    """Return step → intermediate value of a trial.

    A pruner of means sees the first fold runs only, so that all trials are compared on the same
    ones; the paired pruner may see any of them.
    """
    places = sorted(dev_uas)
    if pruner != "wilcoxon":
        places = [place for number, place in enumerate(places) if place == number]
    return {
        place: intermediate(pruner, [dev_uas[each] for each in places[: number + 1]])
        for number, place in enumerate(places)
    }


def _suggest(trial: Trial, key: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(key, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            key, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(
        key, distribution.low, distribution.high, step=distribution.step, log=distribution.log
    )
