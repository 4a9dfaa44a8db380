"""The forest plot and the confusion matrices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.run_factory import drawn_texts, make_run
from matplotlib.axes import Axes

from sercli.reporting.figures.confusion import confusion, draw_confusion
from sercli.reporting.figures.forest import draw_forest


def xs(axes: Axes, label: str) -> list[list[float]]:
    return [
        np.asarray(line.get_xdata(), dtype=float).round(6).tolist()
        for line in axes.lines
        if line.get_label() == label
    ]


def test_a_forest_has_the_best_on_top_with_interval_seeds_and_chance(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, "good", metrics={"ua": 0.8, "ua_ci": [0.75, 0.85]}),
        make_run(tmp_path, "poor"),
    ]
    systems = {"good": "iaan gru arelu", "poor": "iaan gru tanh"}
    drawn = draw_forest(runs, systems, {"poor": 0.66})
    assert drawn is not None
    axes = drawn.figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["tanh", "arelu"]
    assert xs(axes, "UA") == [[60], [80]]
    assert xs(axes, "95 % CI") == [[50, 70], [75, 85]]
    assert xs(axes, "seeds") == [[55, 65], [55, 65]]
    assert xs(axes, "chance") == [[50, 50]]
    assert xs(axes, "published") == [[66]]
    assert "All systems: iaan gru." in drawn.caption
    assert {"80.0", "60.0"} <= set(drawn_texts(drawn.figure))


def test_a_published_result_is_spoken_of_only_where_it_is_drawn(tmp_path: Path) -> None:
    drawn = draw_forest([make_run(tmp_path)], {"made": "x"}, {"another": 0.6})
    assert drawn is not None
    assert "published" not in drawn.caption
    assert "published" not in drawn_texts(drawn.figure)


def test_a_diverged_run_has_no_row_and_alone_no_forest(tmp_path: Path) -> None:
    lost = make_run(tmp_path, "lost", metrics={"ua": None})
    assert draw_forest([lost], {"lost": "x"}, {}) is None


def test_of_very_many_runs_a_forest_has_sixty(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    drawn = draw_forest([run] * 63, {"made": "x"}, {})
    assert drawn is not None
    assert len(xs(drawn.figure.axes[0], "UA")) == 60
    assert "3 more are not shown" in drawn.caption


def test_confusion_is_pooled_over_folds_and_the_mean_over_seeds(tmp_path: Path) -> None:
    tested = [("anger", "anger"), ("anger", "neutral"), ("anger", "anger"), ("neutral", "neutral")]
    run = make_run(tmp_path, tested=tested)
    counts = confusion(run)
    assert counts is not None
    assert counts.to_numpy()[0].tolist() == [4, 2]  # two folds of two and one
    assert counts.to_numpy()[1].tolist() == [0, 2]
    drawn = draw_confusion([run], {"made": "gru tanh"})
    assert drawn is not None
    words = drawn_texts(drawn.figure)
    assert {"66.7 %\n4", "33.3 %\n2", "0.0 %\n0", "100.0 %\n2", "gru tanh"} <= set(words)


def test_predictions_of_a_diverged_seed_do_not_count(tmp_path: Path) -> None:
    run = make_run(tmp_path, metrics={"by_seed": [{"seed": 1}]})
    counts = confusion(run)
    assert counts is not None
    assert counts.to_numpy().sum() == 4  # two utterances in each of two folds


def test_a_class_that_was_never_tested_has_no_shares(tmp_path: Path) -> None:
    run = make_run(tmp_path, tested=[("anger", "anger")])
    drawn = draw_confusion([run], {"made": "x"})
    assert drawn is not None
    assert "100.0 %\n2" in drawn_texts(drawn.figure)
    assert not any("nan" in word for word in drawn_texts(drawn.figure))


def test_predictions_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    half = make_run(tmp_path, "half")
    (half.path / "predictions.parquet").unlink()
    assert draw_confusion([half], {"half": "x"}) is None
    drawn = draw_confusion([half, make_run(tmp_path)], {"half": "x", "made": "y"})
    assert drawn is not None
    assert "1 more are not shown" in drawn.caption


@pytest.mark.parametrize(("runs", "panels"), [(2, 2), (14, 12)])
def test_there_is_a_matrix_for_each_of_twelve_systems(
    tmp_path: Path, runs: int, panels: int
) -> None:
    made = [make_run(tmp_path, f"r{number}") for number in range(runs)]
    drawn = draw_confusion(made, {run.key: f"gru {run.key}" for run in made})
    assert drawn is not None
    visible = [axes for axes in drawn.figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in visible] == [f"r{n}" for n in range(panels)]
    assert "All systems: gru." in drawn.caption
