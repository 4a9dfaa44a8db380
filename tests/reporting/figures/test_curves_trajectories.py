"""Learning curves, and where learned numbers go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.run_factory import STEPS, as_sealed, drawn_texts, make_history, make_run
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection

from sercli.reporting.figures.curves import draw_curves, has_curves
from sercli.reporting.figures.trajectories import draw_trajectories

ALPHA = "activation/current.activations.l0.alpha"
BETA = "activation/current.activations.l0.beta"
OTHER = "activation/own.cell.activations.l0.alpha"
ARELU = {"name": "arelu", "alpha_min": 0.01, "alpha_max": 0.99}


def thin(axes: Axes) -> list[np.ndarray]:
    (lines,) = [each for each in axes.collections if isinstance(each, LineCollection)]
    return list(lines.get_segments())


def line(axes: Axes, label: str) -> np.ndarray:
    (found,) = [each for each in axes.lines if each.get_label() == label]
    return np.asarray(found.get_xydata())


def test_curves_show_every_fold_and_seed_and_their_mean(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    drawn = draw_curves([run], {"made": "gru tanh"}, test=True)
    loss, dev, test = drawn.figure.axes
    assert len(thin(loss)) == 4
    assert line(loss, "mean")[:, 1] == pytest.approx([3, 2, 1])
    assert line(dev, "mean")[:, 1] == pytest.approx([50, 75, 70])
    assert line(test, "mean")[:, 1] == pytest.approx([45, 35, 25])
    assert "gru tanh" in drawn_texts(drawn.figure)
    assert all(float(tick).is_integer() for tick in loss.get_xticks())


def test_the_parts_of_a_loss_have_curves_of_their_own(tmp_path: Path) -> None:
    parts = {"loss/classes": [np.nan, 2.0, 1.5, 0.8], "loss/gender": [np.nan, 1.0, 0.5, 0.2]}
    drawn = draw_curves([make_run(tmp_path, history=make_history(**parts))], {"made": "x"})
    loss = drawn.figure.axes[0]
    assert line(loss, "classes")[:, 1] == pytest.approx([2, 1.5, 0.8])
    assert line(loss, "gender")[:, 1] == pytest.approx([1, 0.5, 0.2])


def test_the_step_that_was_selected_on_dev_is_marked_on_dev_and_on_test(tmp_path: Path) -> None:
    drawn = draw_curves([make_run(tmp_path)], {"made": "x"}, test=True)
    _, dev, test = drawn.figure.axes
    for axes, percent in ((dev, 75), (test, 35)):
        (marks,) = [each for each in axes.collections if isinstance(each, PathCollection)]
        assert np.asarray(marks.get_offsets()) == pytest.approx(np.array([[20, percent]] * 4))


def test_of_a_sealed_run_no_test_curve_is_drawn(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, "open"), make_run(tmp_path, "lost")]
    names = {"open": "a", "lost": "b"}
    drawn = draw_curves([runs[0], as_sealed(runs[1])], names, test=True)
    sealed = drawn.figure.axes[5]
    assert not sealed.lines
    assert not sealed.collections
    assert [text.get_text() for text in sealed.texts] == ["sealed"]
    alone = draw_curves([as_sealed(runs[1])], names)
    assert [axes.get_ylabel() for axes in alone.figure.axes] == ["training loss", "dev UA (%)"]
    assert "UA on dev, at every evaluation" in alone.caption


def test_test_ua_is_drawn_for_who_asks_for_it_only(tmp_path: Path) -> None:
    drawn = draw_curves([make_run(tmp_path)], {"made": "x"})

    assert [axes.get_ylabel() for axes in drawn.figure.axes] == ["training loss", "dev UA (%)"]
    assert not any("test" in text.lower() for text in [*drawn_texts(drawn.figure), drawn.caption])


def test_a_single_evaluation_is_a_point(tmp_path: Path) -> None:
    one = pd.DataFrame({"step": [20], "loss": [1.0], "dev_ua": [0.5], "test_ua": [0.5]})
    drawn = draw_curves([make_run(tmp_path, history=one)], {"made": "x"})

    for axes, value in zip(drawn.figure.axes, (1.0, 50.0), strict=True):
        marked = [line for line in axes.lines if line.get_marker() == "o"]
        assert len(marked) == 5, "each fold and seed, and their mean"
        points = [np.asarray(line.get_xydata()) for line in marked]
        assert np.concatenate(points).tolist() == [[20.0, value]] * 5
        (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert low < 20 < high
        assert bottom < value < top


def test_the_mean_ends_where_the_first_unit_stops(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    history = run.history()
    early = (history["seed"] == 0) & (history["fold"] == "one") & (history["step"] > 20)
    history[~early].to_parquet(run.path / "history.parquet")
    drawn = draw_curves([as_sealed(run)], {"made": "x"})
    assert line(drawn.figure.axes[0], "mean")[:, 0].tolist() == [10, 20]


def test_a_history_that_is_missing_or_was_not_trained_step_by_step_has_no_curves(
    tmp_path: Path,
) -> None:
    assert has_curves(make_run(tmp_path, "trained"))
    assert not has_curves(make_run(tmp_path, "fitted", history=make_history(loss=[np.nan] * 4)))
    half = make_run(tmp_path, "half")
    (half.path / "history.parquet").unlink()
    assert not has_curves(half)
    damaged = make_run(tmp_path, "damaged")
    (damaged.path / "history.parquet").write_bytes(b"PAR1 no more")
    assert not has_curves(damaged)


def test_alpha_is_drawn_as_it_acts_within_its_clamp(tmp_path: Path) -> None:
    columns = {ALPHA: [0.01, -0.5, 0.4, 1.5], BETA: [2.0, 2.5, 3.0, -4.0]}
    run = make_run(tmp_path, activation=ARELU, history=make_history(**columns))
    drawn = draw_trajectories([run], {"made": "gru arelu"})
    assert drawn is not None
    alpha, beta = drawn.figure.axes
    assert line(alpha, "mean") == pytest.approx(
        np.array([*zip(STEPS, [0.01, 0.01, 0.4, 0.99], strict=True)])
    )
    assert line(beta, "mean")[:, 1] == pytest.approx([2.0, 2.5, 3.0, -4.0])
    assert line(alpha, "start")[:, 0].tolist() == [0] * 4
    assert (alpha.get_ylabel(), beta.get_ylabel()) == ("α", "β")
    assert "after its clamp" in drawn.caption


def test_there_is_a_column_of_panels_for_every_layer(tmp_path: Path) -> None:
    columns = {ALPHA: [0.1] * 4, BETA: [1.0] * 4, OTHER: [0.2] * 4}
    run = make_run(tmp_path, activation=ARELU, history=make_history(**columns))
    drawn = draw_trajectories([run], {"made": "x"})
    assert drawn is not None
    assert [axes.get_title() for axes in drawn.figure.axes[:2]] == ["current.l0", "own.cell.l0"]
    assert not drawn.figure.axes[3].lines, "the second layer learned no β"


def test_several_runs_share_a_figure_of_their_means(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, key, activation=ARELU, history=make_history(**{ALPHA: values}))
        for key, values in (("a", [0.1] * 4), ("b", [0.2, 0.3, 0.4, 0.99]), ("c", [0.1] * 4))
    ]
    runs[2] = make_run(tmp_path, "tanh")
    drawn = draw_trajectories(runs, {"a": "gru one", "b": "gru two", "tanh": "gru tanh"})
    assert drawn is not None
    assert drawn.name == "trajectories"
    (axes,) = drawn.figure.axes
    assert line(axes, "one")[:, 1] == pytest.approx([0.1] * 4)
    assert line(axes, "two")[:, 1] == pytest.approx([0.2, 0.3, 0.4, 0.99])
    assert line(axes, "clamp")[:, 1].tolist() == [0.99, 0.99]
    assert {"one", "two", "clamp"} <= set(drawn_texts(drawn.figure))
    assert "2 systems" in drawn.caption
    assert "All systems: gru." in drawn.caption


def test_layers_for_which_there_is_no_room_are_named(tmp_path: Path) -> None:
    columns = {f"activation/l{layer}.activations.l0.alpha": [0.1] * 4 for layer in range(8)}
    run = make_run(tmp_path, activation=ARELU, history=make_history(**columns))
    drawn = draw_trajectories([run], {"made": "x"})
    assert drawn is not None
    assert len(drawn.figure.axes) == 6
    assert "Not shown for lack of space: l6.l0, l7.l0." in drawn.caption


def test_where_nothing_was_learned_nothing_is_drawn(tmp_path: Path) -> None:
    assert draw_trajectories([make_run(tmp_path)], {"made": "tanh"}) is None


def test_many_thin_lines_become_pixels(tmp_path: Path) -> None:
    steps = np.arange(500)
    many = pd.DataFrame({"step": steps, "loss": 1.0 / (steps + 1), "dev_ua": 0.5})
    run = make_run(tmp_path, history=many)
    drawn = draw_curves([as_sealed(run)], {"made": "x"})
    assert drawn.figure.axes[0].collections[0].get_rasterized()
    few = draw_curves([as_sealed(make_run(tmp_path, "few"))], {"few": "x"})
    assert not few.figure.axes[0].collections[0].get_rasterized()
