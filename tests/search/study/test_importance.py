"""The importance of hyperparameters: their shares, and when there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sercli.search.study.importance import importance


def table(n: int = 40, /, **settings: Any) -> pd.DataFrame:
    """Complete trials whose dev UA is set by the column ``dev_ua``."""
    return pd.DataFrame({"number": range(n), "state": "complete", **settings})


def spread(n: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=n)


def test_the_setting_that_decides_has_the_largest_share() -> None:
    alpha, beta = spread(), spread(seed=1)
    trials = table(**{"param/alpha": alpha, "param/beta": beta, "dev_ua": 0.6 - abs(alpha - 0.2)})

    shares = importance(trials)

    assert shares is not None
    assert list(shares) == ["alpha", "beta"]
    assert shares["alpha"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def test_a_choice_can_decide_too() -> None:
    activation = pd.array(["tanh", "arelu"] * 50, dtype="string")
    ua = np.where(np.arange(100) % 2, 0.65, 0.60) + 0.001 * spread(100, seed=2)
    settings = {"param/activation": activation, "param/beta": spread(100)}

    shares = importance(table(100, dev_ua=ua, **settings))

    assert shares is not None
    assert list(shares) == ["activation", "beta"]
    assert shares["activation"] > 0.6


def test_what_spans_decades_is_seen_on_a_logarithmic_scale() -> None:
    exponent, beta = -5 + 4 * spread(), spread(seed=1)
    settings = {"param/beta": beta, "dev_ua": 0.6 - 0.1 * abs(exponent + 3) - 0.1 * beta}

    shares = importance(table(**{"param/lr": 10**exponent, **settings}))

    assert shares == pytest.approx(importance(table(**{"param/lr": exponent, **settings})))


def test_trials_without_a_hyperparameter_do_not_matter() -> None:
    alpha = np.where(np.arange(40) % 4 == 0, np.nan, spread())
    ua = np.where(np.isnan(alpha), 0.5, 0.6 - abs(alpha - 0.2))
    trials = table(**{"param/alpha": alpha, "param/beta": spread(seed=1), "dev_ua": ua})

    shares = importance(trials)

    assert shares is not None
    assert shares["alpha"] > shares["beta"]


def test_only_complete_trials_count() -> None:
    alpha, beta = spread(), spread(seed=1)
    trials = table(**{"param/alpha": alpha, "param/beta": beta, "dev_ua": 0.6 - abs(alpha - 0.2)})
    pruned = trials.assign(state="pruned", dev_ua=np.nan)
    diverged = trials.assign(state="diverged", dev_ua=-trials["dev_ua"])

    assert importance(pd.concat([trials, pruned, diverged])) == importance(trials)
    assert importance(pruned) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda trials: trials.head(9),
        lambda trials: trials.drop(columns="param/beta"),
        lambda trials: trials.assign(**{"param/beta": 1.0}),
        lambda trials: trials.assign(dev_ua=0.6),
        lambda trials: trials.head(0),
    ],
    ids=["nine trials", "one setting", "one that varies", "the same UA", "no trials"],
)
def test_there_is_no_importance_without_enough_trials_or_values(change: Any) -> None:
    trials = table(**{"param/alpha": spread(), "param/beta": spread(seed=1), "dev_ua": spread()})
    assert importance(trials) is not None

    assert importance(change(trials)) is None
