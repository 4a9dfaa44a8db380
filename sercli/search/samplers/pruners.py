"""The pruners, which stop poor trials before all their folds and seeds are trained.

The steps of a trial are its fold runs: seed after seed, and fold after fold in each. After each but
the last a worker reports `intermediate`, and the pruner decides. benchmarks/samplers.md has the
cost of pruning: how often it stops trials of equal quality.
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
    """Return a pruner.

    >>> type(make_pruner("wilcoxon")).__name__
    'PairedPruner'

    Args:
        name: None, or one of `PRUNERS`:

            - ``wilcoxon``: stops a trial that is worse than the best one on the same folds and
              seeds (`PairedPruner`);
            - ``median``: stops a trial whose best running mean is below the median of the finished
              trials after as many fold runs; not before two fold runs and five finished trials
              (our choice);
            - ``halving``: stops all but the best third after 2 fold runs, then after 4, 10, 28, …
              (asynchronous successive halving, Li et al. 2020; the third and the two fold runs are
              our choice).
        objectives: Number of objectives of the sweep.

    Raises:
        RequestError: There is no such pruner, or there are several objectives.
    """
    if name is None:
        return None
    if name not in PRUNERS:
        raise RequestError(f"unknown pruner '{name}'.{nearest(name, PRUNERS)}")
    if objectives > 1:
        raise RequestError(
            f"pruner '{name}' needs one objective, the sweep has {objectives}; "
            f"leave out the pruner or the other objectives"
        )
    return PRUNERS[name]()


def intermediate(name: str, dev_uas: Sequence[float]) -> float:
    """Return the intermediate value of a trial after its latest fold run.

    >>> intermediate("wilcoxon", [0.5, 0.6]), intermediate("median", [0.5, 0.6])
    (0.6, 0.55)

    Args:
        name: One of `PRUNERS`.
        dev_uas: UA on dev of the fold runs so far.

    Returns:
        The latest for ``wilcoxon``, which pairs fold runs; else the mean.
    """
    return dev_uas[-1] if name == "wilcoxon" else sum(dev_uas) / len(dev_uas)


class PairedPruner(BasePruner):
    """Stops a trial that a one-sided signed-rank test finds worse than the best one.

    In the first five fold runs the threshold is p < 0.07, which four fold runs that are all worse
    reach (else five folds could never be stopped). From the sixth on it is p < 0.02, because the
    test is repeated and the best of many trials owes some of its rank to luck (both our choice).
    """

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self._early = WilcoxonPruner(p_threshold=0.07)
            self._late = WilcoxonPruner(p_threshold=0.02)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
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
