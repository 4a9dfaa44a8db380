"""The surface over two settings, and the history of a sweep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.run_factory import drawn_texts
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.contour import QuadContourSet
from matplotlib.patches import Rectangle

from sercli.reporting.figures.contours import smooth
from sercli.reporting.figures.history import draw_history
from sercli.reporting.figures.surface import draw_surface, find_surfaces
from sercli.results.sweep_summary import SweepSummary


def summary(sampler: str = "grid", **more: Any) -> SweepSummary:
    return SweepSummary(
        "study", sampler, ("dev_ua",), None, **({"space": {}} | more), seeds=[0], states={}
    )


def grid(**more: Any) -> pd.DataFrame:
    """α × β = 2 × 3; the best is (0.9, 1)."""
    table = pd.DataFrame(
        [(a, b) for b in (-1, 0, 1) for a in (0.1, 0.9)],
        columns=["param/arelu.alpha", "param/arelu.beta"],
    )
    ua = [0.50, 0.51, 0.52, 0.53, 0.54, 0.60]
    return table.assign(**({"number": range(6), "state": "complete", "dev_ua": ua} | more))


def scattered(number: int = 20) -> pd.DataFrame:
    random = np.random.default_rng(0)
    alpha, beta = random.uniform(0.01, 0.99, number), random.uniform(-4, 4, number)
    ua = 0.6 - 0.1 * (alpha - 0.5) ** 2 - 0.01 * beta**2
    table = pd.DataFrame({"number": range(number), "state": "complete", "dev_ua": ua})
    return table.assign(**{"param/arelu.alpha": alpha, "param/arelu.beta": beta})


def offsets(axes: Axes, label: str) -> np.ndarray:
    (found,) = [each for each in axes.collections if each.get_label() == label]
    return np.asarray(found.get_offsets())


def test_a_grid_is_a_heat_map_with_its_values_and_the_best_framed() -> None:
    (surface,) = find_surfaces(summary(), grid())
    axes = draw_surface(summary(), surface).figure.axes[0]
    assert [text.get_text() for text in axes.texts] == [
        "50.0",
        "51.0",
        "52.0",
        "53.0",
        "54.0",
        "60.0",
    ]
    (frame,) = [each for each in axes.patches if isinstance(each, Rectangle)]
    assert frame.get_xy() == (1, 2)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.1", "0.9"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["−1", "0", "1"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("initial α", "initial β")


def test_a_diverged_cell_has_a_cross_and_no_value() -> None:
    states = ["complete"] * 5 + ["diverged"]
    drawn = draw_surface(summary(), next(find_surfaces(summary(), grid(state=states))))
    texts = drawn.figure.axes[0].texts
    assert [text.get_text() for text in texts][-1] == "×"
    assert texts[-1].get_position() == (1.5, 2.5)
    assert "60.0" not in drawn_texts(drawn.figure)
    assert "Crosses: diverged." in drawn.caption


def test_points_anywhere_get_contours_and_the_best_a_star() -> None:
    trials = scattered()
    trials.loc[3, "state"] = "diverged"
    bayes = summary("tpe")
    drawn = draw_surface(bayes, next(find_surfaces(bayes, trials)))
    axes = drawn.figure.axes[0]
    assert any(isinstance(each, QuadContourSet) for each in axes.collections)
    kept = trials.drop(index=3)
    points = kept[["param/arelu.alpha", "param/arelu.beta"]].to_numpy()
    assert offsets(axes, "trial") == pytest.approx(points)
    assert len(offsets(axes, "diverged")) == 1
    (star,) = axes.lines
    assert np.asarray(star.get_xydata()) == pytest.approx(points[[int(kept["dev_ua"].argmax())]])
    assert "Gaussian process" in drawn.caption


def test_few_points_are_drawn_without_contours() -> None:
    bayes = summary("random")
    drawn = draw_surface(bayes, next(find_surfaces(bayes, scattered(5))))
    assert all(isinstance(each, PathCollection) for each in drawn.figure.axes[0].collections)
    assert "Gaussian" not in drawn.caption


def test_points_that_all_gave_the_same_are_no_obstacle() -> None:
    bayes = summary("tpe")
    drawn = draw_surface(bayes, next(find_surfaces(bayes, scattered().assign(dev_ua=0.5))))
    assert len(offsets(drawn.figure.axes[0], "trial")) == 20


def test_a_setting_that_was_drawn_on_a_logarithmic_scale_is_shown_on_one() -> None:
    trials = scattered()
    trials["param/optim.lr"] = 10 ** np.linspace(-4, -2, 20)
    trials = trials.drop(columns="param/arelu.beta")
    bayes = summary("tpe", space={"optim.lr": "tag(log, interval(1e-4, 1e-2))"})
    axes = draw_surface(bayes, next(find_surfaces(bayes, trials))).figure.axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")


def test_every_choice_of_a_further_setting_has_a_surface() -> None:
    trials = pd.concat(
        [grid(**{"param/cell": "gru"}), grid(**{"param/cell": "lstm"}),
         grid(**{"param/cell": "rnn"}).head(1)],
        ignore_index=True,
    )  # fmt: skip
    found = list(find_surfaces(summary(), trials))
    assert [surface.fixed for surface in found] == ["cell=gru", "cell=lstm"]
    assert [len(surface.points) for surface in found] == [6, 6]
    assert "cell=lstm" in drawn_texts(draw_surface(summary(), found[1]).figure)


def test_a_third_setting_of_many_values_is_drawn_together() -> None:
    trials = scattered().assign(**{"param/optim.lr": np.linspace(0.001, 0.01, 20)})
    bayes = summary("tpe")
    (surface,) = find_surfaces(bayes, trials)
    assert (surface.x, surface.y, surface.together) == ("arelu.alpha", "arelu.beta", ("optim.lr",))
    assert "Drawn over: optim.lr" in draw_surface(bayes, surface).caption


def test_of_other_settings_the_most_important_are_drawn() -> None:
    trials = scattered().rename(
        columns={"param/arelu.alpha": "param/a", "param/arelu.beta": "param/b"}
    )
    trials["param/c"] = np.linspace(0, 1, 20)
    (surface,) = find_surfaces(summary("tpe", importance={"a": 0.1, "b": 0.5, "c": 0.4}), trials)
    assert (surface.x, surface.y) == ("b", "c")


@pytest.mark.parametrize(
    "trials",
    [
        grid().drop(columns="param/arelu.alpha"),
        grid(**{"param/arelu.alpha": ["tanh", "relu"] * 3}),
        grid(**{"param/arelu.alpha": [True, False] * 3}),
        grid(dev_ua=np.nan),
        grid().head(1),
        grid().head(0),
    ],
)
def test_without_two_numeric_settings_that_gave_something_there_is_no_surface(
    trials: pd.DataFrame,
) -> None:
    assert list(find_surfaces(summary(), trials)) == []


def test_a_smooth_surface_comes_near_the_truth_behind_noise() -> None:
    random = np.random.default_rng(1)
    points = random.uniform(size=(200, 2))  # more than a fit takes

    def truth(where: np.ndarray) -> np.ndarray:
        return np.asarray(np.sin(3 * where[:, 0]) + where[:, 1] ** 2)

    wanted = random.uniform(size=(50, 2))
    made = smooth(points, truth(points) + random.normal(0, 0.05, 200), wanted)
    assert np.abs(made - truth(wanted)).mean() < 0.05


def test_history_shows_every_point_by_what_became_of_it_and_the_best_so_far() -> None:
    trials = pd.DataFrame(
        {
            "number": [3, 0, 1, 2, 4, 5],
            "state": ["complete", "complete", "diverged", "complete", "pruned", "failed"],
            "dev_ua": [0.6, 0.5, 0.9, 0.4, 0.45, np.nan],
        }
    )
    drawn = draw_history(summary(), trials)
    assert drawn is not None
    (axes,) = drawn.figure.axes
    (best,) = axes.lines
    assert np.asarray(best.get_xydata()) == pytest.approx(np.array([[0, 50], [2, 50], [3, 60]]))
    assert offsets(axes, "complete") == pytest.approx(np.array([[0, 50], [2, 40], [3, 60]]))
    assert offsets(axes, "diverged") == pytest.approx(np.array([[1, 90]]))
    assert offsets(axes, "failed")[0, 1] < 40, "on the lower edge"


def test_importances_are_bars_the_most_important_on_top() -> None:
    drawn = draw_history(summary(importance={"arelu.alpha": 0.2, "optim.lr": 0.7}), grid())
    assert drawn is not None
    bars = drawn.figure.axes[1]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["arelu.alpha", "optim.lr"]
    widths = [bar.get_width() for bar in bars.patches if isinstance(bar, Rectangle)]
    assert widths == pytest.approx([0.2, 0.7])


def test_a_sweep_that_has_found_nothing_yet_has_no_history() -> None:
    assert draw_history(summary(), grid(dev_ua=np.nan, state="waiting")) is None
    assert draw_history(summary(), grid()[:4]) is None  # a table says it better
    assert draw_history(summary(comparison=True), grid()) is None
