"""Samplers, created anew for every trial: reproducible, and different for several workers."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from sercli.errors import RequestError
from sercli.search.samplers import SAMPLERS, make_sampler
from sercli.search.samplers.sobol import MAX_HYPERPARAMETERS, value_at

ALL = sorted(SAMPLERS)
REPEATED = [
    pytest.param(each, marks=[pytest.mark.exhaustive] if each == "gp" else []) for each in ALL
]
MODELS = ("tpe", "gp")
SPACE: dict[str, BaseDistribution] = {
    "alpha": FloatDistribution(0, 0.99),
    "beta": FloatDistribution(-4, 4),
}

Values = tuple[Any, ...]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def new_study() -> optuna.Study:
    return optuna.create_study(direction="maximize")


def propose(study: optuna.Study, sampler: str, seed: int = 0) -> tuple[optuna.Trial, Values]:
    """Claim a trial, and have all its settings proposed by a sampler of its own."""
    trial = study.ask()
    study.sampler = make_sampler(sampler, seed, trial.number)
    return trial, tuple(
        trial.suggest_float(name, how.low, how.high)
        for name, how in SPACE.items()
        if isinstance(how, FloatDistribution)
    )


def bowl(values: Values) -> float:
    """Best at α = 0.3 and β = 1."""
    alpha, beta = values
    return float(-((alpha - 0.3) ** 2) - ((beta - 1) / 8) ** 2)


def finish(study: optuna.Study, found: Sequence[Values]) -> None:
    """Add finished trials."""
    for values in found:
        params = dict(zip(SPACE, values, strict=True))
        study.add_trial(create_trial(value=bowl(values), params=params, distributions=SPACE))


def search(
    sampler: str, trials: int, seed: int = 0, study: optuna.Study | None = None
) -> list[Values]:
    study = study or new_study()
    suggested = []
    for _ in range(trials):
        trial, values = propose(study, sampler, seed)
        study.tell(trial, bowl(values))
        suggested.append(values)
    return suggested


LEARNERS = {"tpe": 60, "gp": 20, "cmaes": 60}
"""Sampler → trials after which it has come closer."""


@cache
def searched(sampler: str) -> list[Values]:
    """Search once for all tests."""
    return search(sampler, LEARNERS.get(sampler, 14))


@pytest.mark.parametrize("sampler", REPEATED)
def test_one_worker_alone_repeats_itself(sampler: str) -> None:
    assert search(sampler, 12) == searched(sampler)[:12]


@pytest.mark.parametrize("sampler", ALL)
def test_another_seed_suggests_none_of_the_same_trials(sampler: str) -> None:
    assert not set(searched(sampler)[:11]) & set(search(sampler, 11, seed=1))


@pytest.mark.parametrize("finished", [0, 12])
@pytest.mark.parametrize("sampler", ALL)
def test_workers_at_the_same_moment_suggest_different_trials(sampler: str, finished: int) -> None:
    study = new_study()
    if sampler == "cmaes":  # keeps its state with the trials
        search(sampler, finished, study=study)
    else:
        finish(study, searched(sampler)[:finished])

    proposed = [propose(study, sampler)[1] for _ in range(3)]

    for axis in zip(*proposed, strict=True):
        assert len(set(axis)) == 3


@pytest.mark.parametrize("sampler", MODELS)
def test_a_model_keeps_away_from_trials_that_others_run(sampler: str) -> None:
    def proposal(others: Values, state: TrialState) -> Values:
        study = new_study()
        finish(study, searched("qmc")[:12])
        for _ in range(4):
            params = dict(zip(SPACE, others, strict=True))
            study.add_trial(create_trial(state=state, params=params, distributions=SPACE))
        return propose(study, sampler)[1]

    alone = proposal((0.0, 0.0), TrialState.FAIL)

    assert proposal(alone, TrialState.FAIL) == alone
    assert proposal(alone, TrialState.RUNNING) != alone


@pytest.mark.parametrize("sampler", LEARNERS)
def test_what_learns_comes_closer_than_it_began(sampler: str) -> None:
    distances = [-bowl(values) for values in searched(sampler)]

    assert np.median(distances[-10:]) < np.median(distances[:10]) / 4


def test_sixteen_quasi_random_trials_fill_every_quarter_alike() -> None:
    trials = search("qmc", 16)

    for low, width, axis in ((0, 0.99, 0), (-4, 8, 1)):
        quarters = [int(4 * (params[axis] - low) / width) for params in trials]
        assert sorted(quarters) == sorted([0, 1, 2, 3] * 4)


def test_quasi_random_trials_do_not_depend_on_who_claims_first() -> None:
    study = new_study()
    trials = [study.ask() for _ in range(6)]
    late_first = {}
    for trial in reversed(trials):
        study.sampler = make_sampler("qmc", 0, trial.number)
        late_first[trial.number] = (
            trial.suggest_float("alpha", 0, 0.99),
            trial.suggest_float("beta", -4, 4),
        )

    assert [late_first[number] for number in range(6)] == search("qmc", 6)
    assert study._storage.get_study_system_attrs(study._study_id) == {}


def test_more_hyperparameters_than_a_sequence_has_are_refused() -> None:
    study = new_study()
    trial = study.ask()
    study.sampler = make_sampler("qmc", 0, 0)
    for axis in range(MAX_HYPERPARAMETERS):
        trial.suggest_float(str(axis), 0, 1)

    with pytest.raises(RequestError, match=r"at most 64 hyperparameters.*random"):
        trial.suggest_float("one more", 0, 1)


@st.composite
def distributions(draw: st.DrawFn) -> BaseDistribution:
    low = draw(st.integers(1, 50))
    high = low + draw(st.integers(1, 50))
    log = draw(st.booleans())
    step = None if log else draw(st.sampled_from([1, 3]))
    high = low + (high - low) // (step or 1) * (step or 1)
    return draw(
        st.sampled_from(
            [
                CategoricalDistribution(["a", "b", "c"]),
                IntDistribution(low, high, log=log, step=step or 1),
                FloatDistribution(low, high, log=log),
                FloatDistribution(low / 10, high / 10, step=step and step / 10),
            ]
        )
    )


@given(distributions(), st.floats(0, 1, exclude_max=True))
def test_a_share_of_a_distribution_is_a_value_of_it(how: BaseDistribution, share: float) -> None:
    value = value_at(share, how)

    assert how._contains(how.to_internal_repr(value))


@pytest.mark.parametrize(
    ("how", "values"),
    [
        (IntDistribution(3, 6), [3, 4, 5, 6]),
        (FloatDistribution(0, 1.5, step=0.5), [0, 0.5, 1, 1.5]),
        (
            CategoricalDistribution(["tanh", "relu", "arelu", "elu"]),
            ["tanh", "relu", "arelu", "elu"],
        ),
        (FloatDistribution(1, 16, log=True), [1, 2, 4, 8]),
        (FloatDistribution(0, 4), [0, 1, 2, 3]),
    ],
)
def test_equal_shares_lie_between_the_quarters(how: BaseDistribution, values: list[Any]) -> None:
    assert [value_at(share, how) for share in (0, 0.25, 0.5, 0.75)] == pytest.approx(values)


def test_whole_numbers_on_a_logarithmic_scale_reach_both_ends() -> None:
    how = IntDistribution(1, 64, log=True)

    values = [value_at(share / 1000, how) for share in range(1000)]

    assert (min(values), max(values)) == (1, 64)
    assert sum(value <= 8 for value in values) == pytest.approx(580, abs=10)  # ln 17 / ln 129


def test_cma_es_moves_numbers_and_draws_choices() -> None:
    study = new_study()
    drawn = set()
    for number in range(20):
        study.sampler = make_sampler("cmaes", 0, number)
        trial = study.ask()
        drawn.add(trial.suggest_categorical("cell", ["gru", "lstm"]))
        study.tell(trial, -abs(trial.suggest_float("x", 0, 1) - trial.suggest_float("y", 0, 1)))

    assert drawn == {"gru", "lstm"}


class Harmful:
    """Writes a file when its pickle is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def test_cma_es_neither_loads_a_pickle_from_the_storage_nor_writes_one(tmp_path: Path) -> None:
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, direction="maximize")
    planted = pickle.dumps(Harmful(tmp_path / "harm")).hex()
    study.add_trial(
        create_trial(
            value=0.0,
            params={"alpha": 0.5, "beta": 0.0},
            distributions=SPACE,
            system_attrs={"cma:optimizer:0": planted},
        )
    )
    for _ in range(20):
        trial, values = propose(study, "cmaes")
        study.tell(trial, bowl(values))

    assert not (tmp_path / "harm").exists()
    written = [key for trial in study.trials[1:] for key in trial.system_attrs]
    assert any(key == "cma:generation" for key in written)
    assert not any(key.startswith("cma:optimizer") for key in written)


def test_without_its_package_cma_es_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)

    with pytest.raises(RequestError, match=r"pip install 'sercli\[cmaes\]'"):
        make_sampler("cmaes", 0, 0)


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(RequestError, match=r"unknown sampler 'tbe'. Did you mean 'tpe'\?"):
        make_sampler("tbe", 0, 0)


def test_tpe_searches_with_several_objectives() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for number in range(30):
        study.sampler = make_sampler("tpe", 0, number)
        trial = study.ask()
        x = trial.suggest_float("x", 0, 10)
        study.tell(trial, [-((x - 2) ** 2), (x - 3) ** 2])

    late = [trial.params["x"] for trial in study.trials[-10:]]
    assert sum(1 < x < 4 for x in late) >= 7
