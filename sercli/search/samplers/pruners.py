"""What stops a point before all its folds and seeds are trained, by its name.

A point's units, seed after seed and in each seed fold after fold, are the steps: after each a
worker reports `intermediate` and asks whether to go on, except after the last. How often points of
equal quality are stopped, which is what pruning costs, stands in benchmarks/samplers.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, MedianPruner, SuccessiveHalvingPruner, WilcoxonPruner
from optuna.study import Study
from optuna.trial import FrozenTrial

from sercli.errors import RequestError, nearest


def make_pruner(name: str | None, objectives: int = 1) -> BasePruner | None:
    """Make a pruner.

    Args:
        name: None, or one of `PRUNERS`:

            - ``wilcoxon``: stops a point that is worse than the best one on the same folds and
              seeds (`PairedPruner`);
            - ``median``: stops a point whose mean so far, at its best, is below the median of the
              finished points' after as many units; not before two units and five finished points
              (our choice);
            - ``halving``: stops all but the best third after 2 units, then after 4, 10, 28, …
              (asynchronous successive halving, Li et al. 2020; the third and the two units are
              our choice).
        objectives: How many objectives the sweep has.

    Raises:
        RequestError: There is no such pruner, or there are several objectives.
    """
    if name is None:
        return None
    if name not in PRUNERS:
        raise RequestError(f"unknown pruner '{name}'.{nearest(name, PRUNERS)}")
    if objectives > 1:
        raise RequestError(
            f"pruner '{name}' compares points in one objective, the sweep has {objectives}; "
            f"leave out one or the other"
        )
    return PRUNERS[name]()


def intermediate(name: str, dev_uas: Sequence[float]) -> float:
    """Return what a point reports to a pruner after its latest unit.

    Args:
        name: One of `PRUNERS`.
        dev_uas: Dev UA of the units so far, each of its own fold and seed.

    Returns:
        The latest one for ``wilcoxon``, which pairs unit with unit; else the mean so far.
    """
    return dev_uas[-1] if name == "wilcoxon" else sum(dev_uas) / len(dev_uas)


class PairedPruner(BasePruner):
    """Stops a point that a one-sided signed-rank test finds worse than the best one, step by step.

    It stops early at p < 0.07 – after four units that are all worse, else five folds could never
    be stopped – and from the sixth unit on at p < 0.02, because it is asked again after each unit
    and the best of many points owes some of its rank to luck (both are our choice).
    """

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self._early = WilcoxonPruner(p_threshold=0.07)
            self._late = WilcoxonPruner(p_threshold=0.02)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Say whether a point should be stopped."""
        test = self._early if len(trial.intermediate_values) < 6 else self._late
        return test.prune(study, trial)


def _median() -> BasePruner:
    return MedianPruner(n_startup_trials=5, n_warmup_steps=1)  # steps count from 0


def _halving() -> BasePruner:
    return SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)  # steps count from 0


PRUNERS: Mapping[str, Callable[[], BasePruner]] = {
    "wilcoxon": PairedPruner,
    "median": _median,
    "halving": _halving,
}
"""The pruners by name."""
