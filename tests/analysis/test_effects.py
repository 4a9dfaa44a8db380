"""Marginal effects: means by value or bin, and what other settings do taken out."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sercli.analysis.effects import effects, effects_of_pair


def grid() -> pd.DataFrame:
    """α lifts dev UA by 0.02 and β by 0.1: every combination once."""
    rows = [
        {"state": "complete", "param/arelu.alpha": a, "param/arelu.beta": b,
         "dev_ua": 0.5 + 0.02 * a + 0.1 * b}
        for a, b in itertools.product([0, 1], [0, 1, 2])
    ]  # fmt: skip
    return pd.DataFrame(rows)


def of(table: pd.DataFrame, key: str) -> pd.DataFrame:
    return table[table["key"] == key].reset_index(drop=True)


def test_each_value_of_a_grid_has_its_mean() -> None:
    beta = of(effects(grid()), "arelu.beta")

    assert beta["value"].tolist() == [0, 1, 2]
    assert beta["mean"].tolist() == pytest.approx([0.51, 0.61, 0.71])
    assert beta["n"].tolist() == [2, 2, 2]


def test_in_a_complete_grid_the_other_settings_are_taken_out_of_the_spread() -> None:
    table = effects(grid())

    assert table["paired"].all()
    assert table["sd"].tolist() == pytest.approx([0] * 5, abs=1e-9)


def test_in_a_grid_with_holes_they_are_not() -> None:
    alpha = of(effects(grid().drop(index=0)), "arelu.alpha")

    assert not alpha["paired"].any()
    assert alpha["sd"].tolist() == pytest.approx([np.std([0.6, 0.7], ddof=1), 0.1])


def test_points_of_the_same_settings_make_no_complete_grid() -> None:
    assert not effects(pd.concat([grid(), grid()], ignore_index=True))["paired"].any()


def test_one_swept_setting_has_no_others_to_take_out() -> None:
    table = effects(grid().drop(columns="param/arelu.beta"))

    assert not table["paired"].any()
    assert table["sd"].tolist() == pytest.approx([0.1, 0.1])


def test_a_continuous_setting_is_put_in_bins_of_as_many_points() -> None:
    alpha = np.linspace(0, 1, 50)
    trials = pd.DataFrame({"state": "complete", "param/arelu.alpha": alpha, "dev_ua": alpha})

    table = effects(trials)

    assert table["n"].tolist() == [10] * 5
    assert table["value"].isna().all()
    assert (table["low"][0], table["high"][4]) == (0, 1)
    assert (table["low"][1:].to_numpy() > table["high"][:4].to_numpy()).all()
    assert table["mean"].tolist() == pytest.approx(((table["low"] + table["high"]) / 2).tolist())


def test_many_choices_stand_by_themselves() -> None:
    names = pd.array([f"a{n}" for n in range(15)], dtype="string")
    trials = pd.DataFrame({"state": "complete", "param/activation": names, "dev_ua": 0.5})

    assert sorted(effects(trials)["value"]) == sorted(names)


def test_points_without_the_setting_are_left_out() -> None:
    trials = grid()
    trials.loc[0, "param/arelu.alpha"] = np.nan

    table = of(effects(trials), "arelu.alpha")

    assert table["n"].tolist() == [2, 3]
    assert not table["paired"].any()


def test_only_complete_points_count() -> None:
    others = grid().assign(state="pruned", dev_ua=np.nan)
    diverged = grid().assign(state="diverged", dev_ua=0.0)

    table = effects(pd.concat([grid(), others, diverged], ignore_index=True))

    pd.testing.assert_frame_equal(table, effects(grid()))


@pytest.mark.parametrize(
    "trials", [grid().head(0), grid().head(1), grid().drop(columns=[
        "param/arelu.alpha", "param/arelu.beta"])], ids=["none", "one", "nothing swept"]
)  # fmt: skip
def test_where_nothing_varies_there_is_no_effect(trials: pd.DataFrame) -> None:
    table = effects(trials)

    assert table.empty
    assert list(table) == ["key", "value", "low", "high", "mean", "sd", "n", "paired"]


def test_the_best_cell_of_two_settings_comes_first() -> None:
    trials = pd.concat([grid(), grid().assign(dev_ua=lambda t: t["dev_ua"] + 0.01)])

    table = effects_of_pair(trials, "arelu.alpha", "arelu.beta")

    best: dict[Any, Any] = table.iloc[0].to_dict()
    assert (best["arelu.alpha"], best["arelu.beta"], best["n"]) == ("1", "2", 2)
    assert best["mean"] == pytest.approx(0.725)
    assert len(table) == 6


def test_cells_of_continuous_settings_are_named_by_their_ends() -> None:
    random = np.random.default_rng(0)
    trials = pd.DataFrame(
        {
            "state": "complete",
            "param/arelu.alpha": random.uniform(0, 1, 200),
            "param/arelu.beta": random.uniform(-4, 4, 200),
        }
    )
    trials["dev_ua"] = -abs(trials["param/arelu.alpha"] - 0.5) - abs(trials["param/arelu.beta"])

    best = effects_of_pair(trials, "arelu.alpha", "arelu.beta").iloc[0]

    low, high = (float(end) for end in best["arelu.alpha"].split("–"))
    assert low < 0.5 < high
