"""The pruners stop poor trials early, and good ones never."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from sercli.errors import RequestError
from sercli.search.samplers.pruners import PRUNERS, intermediate, make_pruner

ALL = sorted(PRUNERS)
FOLDS = np.array([0.60, 0.66, 0.55, 0.63, 0.70])


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def new_study(pruner: str) -> optuna.Study:
    return optuna.create_study(direction="maximize", pruner=make_pruner(pruner))


def run(study: optuna.Study, pruner: str, dev_uas: Sequence[float]) -> int:
    """Run the folds of a trial until it is pruned; return their number."""
    trial = study.ask()
    for step in range(len(dev_uas)):
        trial.report(intermediate(pruner, dev_uas[: step + 1]), step)
        if step < len(dev_uas) - 1 and trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return step + 1
    study.tell(trial, float(np.mean(dev_uas)))
    return len(dev_uas)


def noisy(random: np.random.Generator, gain: float = 0.0, seeds: int = 1) -> list[float]:
    dev_uas = np.tile(FOLDS, seeds) + gain + random.normal(scale=0.01, size=5 * seeds)
    return [float(each) for each in dev_uas]


@pytest.mark.parametrize("pruner", ALL)
def test_a_clearly_bad_trial_is_pruned_and_a_clearly_good_one_never(pruner: str) -> None:
    random = np.random.default_rng(0)
    for _ in range(5):
        study = new_study(pruner)
        for _ in range(8):
            run(study, pruner, noisy(random))

        assert run(study, pruner, noisy(random, gain=-0.1)) < 5
        assert run(study, pruner, noisy(random, gain=0.1)) == 5


def test_of_equal_trials_the_paired_test_prunes_few() -> None:
    random = np.random.default_rng(0)
    trained = []
    for _ in range(4):
        study = new_study("wilcoxon")
        trained += [run(study, "wilcoxon", noisy(random, seeds=3)) for _ in range(20)]

    assert np.mean(np.array(trained) < 15) < 0.35  # 0.24 in benchmarks/samplers.md


def test_the_paired_test_compares_fold_with_fold() -> None:
    study = new_study("wilcoxon")
    run(study, "wilcoxon", FOLDS.tolist())

    assert run(study, "wilcoxon", (FOLDS - 0.001).tolist()) == 4  # the folds differ by far more


def test_the_paired_test_wants_four_fold_runs_all_of_them_worse_and_later_more() -> None:
    study = new_study("wilcoxon")
    run(study, "wilcoxon", [0.6] * 10)
    worse = [0.6 - 0.01 * each for each in range(1, 11)]

    assert run(study, "wilcoxon", worse) == 4  # p = 1/16
    once_better = [0.59, 0.625, *worse[2:]]
    assert run(study, "wilcoxon", once_better) == 8  # 3/64 after six fold runs, 3/256 after eight


def test_the_median_rule_waits_for_five_trials() -> None:
    study = new_study("median")
    for _ in range(4):
        run(study, "median", [0.6] * 5)
    assert run(study, "median", [0.1] * 5) == 5

    assert run(study, "median", [0.05] * 5) == 2


def test_halving_keeps_the_best_third_after_two_and_four_fold_runs() -> None:
    study = new_study("halving")
    for ua in (0.60, 0.61, 0.62):
        assert run(study, "halving", [ua] * 5) == 5

    assert run(study, "halving", [0.5] * 5) == 2
    assert run(study, "halving", [0.7, 0.7, 0.2, 0.2, 0.2]) == 4


def test_a_trial_reports_its_latest_fold_run_to_a_paired_test_and_else_its_mean() -> None:
    assert intermediate("wilcoxon", [0.5, 0.6, 0.7]) == 0.7
    assert intermediate("median", [0.5, 0.6, 0.7]) == pytest.approx(0.6)
    assert intermediate("halving", [0.5, 0.7]) == pytest.approx(0.6)


def test_no_pruner_is_none() -> None:
    assert make_pruner(None, objectives=2) is None


@pytest.mark.parametrize("pruner", ALL)
def test_pruning_with_several_objectives_is_refused(pruner: str) -> None:
    with pytest.raises(RequestError, match=f"pruner '{pruner}'.*the sweep has 2"):
        make_pruner(pruner, objectives=2)


def test_an_unknown_pruner_is_refused() -> None:
    with pytest.raises(RequestError, match=r"unknown pruner 'wilcoxn'. Did you mean 'wilcoxon'\?"):
        make_pruner("wilcoxn")


def test_making_a_pruner_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for pruner in ALL:
            make_pruner(pruner)
