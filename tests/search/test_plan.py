"""Plans: the points of a grid, and the files in sweeps/."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from sercli.errors import RequestError
from sercli.resources import packaged
from sercli.search.plan import Point, plan_points, read_plan

PLANS = sorted(path.stem for path in packaged("sweeps").glob("*.yaml"))


@cache
def shipped(name: str) -> list[Point]:
    return plan_points(*read_plan(name))


def overrides_of(arguments: Sequence[str]) -> list[tuple[str, ...]]:
    return [point.overrides for point in plan_points(arguments)]


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def test_a_grid_has_a_point_for_every_combination_in_order() -> None:
    points = plan_points(["activation=arelu", "arelu.alpha=0.1,0.9", "arelu.beta=1,2"])

    assert [(p.config.activation["alpha"], p.config.activation["beta"]) for p in points] == [
        (0.1, 1.0),
        (0.1, 2.0),
        (0.9, 1.0),
        (0.9, 2.0),
    ]
    assert points[1].overrides == ("activation=arelu", "arelu.alpha=0.1", "arelu.beta=2")


def test_points_that_cannot_differ_in_their_result_are_one() -> None:
    assert overrides_of(["activation=tanh,arelu", "arelu.alpha=0.1,0.9"]) == [
        ("activation=tanh", "arelu.alpha=0.1"),
        ("activation=arelu", "arelu.alpha=0.1"),
        ("activation=arelu", "arelu.alpha=0.9"),
    ]
    assert len(overrides_of(["device=cpu,cuda"])) == 1


def test_two_corpora_are_two_points_although_no_key_knows_their_folders() -> None:
    assert len(overrides_of(["dataset=nemo", "dataset.root=here,there"])) == 2


def test_a_point_that_makes_no_sense_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match=r"^point trainer.steps=0: trainer.steps=0: must be"):
        plan_points(["trainer.steps=5,0"])


@pytest.mark.parametrize("name", PLANS)
def test_every_plan_that_is_shipped_expands(name: str) -> None:
    points = shipped(name)

    assert len(points) > 1
    assert {point.config.experiment for point in points} == {name}


@pytest.mark.parametrize("name", PLANS)
def test_every_plan_that_is_shipped_begins_with_its_question_and_its_cost(name: str) -> None:
    text = (packaged("sweeps") / f"{name}.yaml").read_text(encoding="utf-8")
    comment = [line for line in text.splitlines() if line.startswith("#")]

    assert text.startswith("\n".join(comment))
    assert "?" in comment[0]
    assert any(line.startswith("# Cost: ") for line in comment)
    points = int(next(line for line in comment if "Cost" in line).split()[2])
    assert points == len(shipped(name))


def test_the_grid_plan_holds_the_settings_of_table_1_that_the_clamp_allows() -> None:
    points = shipped("alpha_beta_grid")

    pairs = {(p.config.activation["alpha"], p.config.activation["beta"]) for p in points}
    assert {(0.9, 2.0), (0.01, -4.0), (0.01, 2.0), (0.01, 1.0)} <= pairs


def test_a_plan_is_read_from_a_file_and_named_after_it(file: Path) -> None:
    file.write_text(
        "overrides: ['seeds=[1]']\nsweep:\n  activation: tanh,relu\n  trainer.steps: 7\n"
    )

    assert read_plan(str(file), ["device=cpu"]) == [
        ["experiment=mine", "seeds=[1]", "activation=tanh,relu", "trainer.steps=7", "device=cpu"]
    ]


def test_points_are_combined_with_the_sweep_but_not_with_each_other(file: Path) -> None:
    file.write_text(
        "points:\n  one: activation=tanh\n  two: activation=arelu arelu.beta=2\n"
        "sweep: {optim.lr: '1e-3,1e-4'}"
    )

    points = plan_points(*read_plan(str(file)))
    assert [(p.config.activation["name"], p.config.optim.lr) for p in points] == [
        ("tanh", 1e-3),
        ("tanh", 1e-4),
        ("arelu", 1e-3),
        ("arelu", 1e-4),
    ]
    assert points[-1].config.activation["beta"] == 2


def test_points_need_no_sweep(file: Path) -> None:
    file.write_text("points: {one: activation=tanh, two: activation=relu}")

    names = [p.config.activation["name"] for p in plan_points(*read_plan(str(file)))]
    assert names == ["tanh", "relu"]


VARIABLES = """
variables: {size: {full: "", small: _small}}
overrides: ["model=iaan${size}", "dataset.root=${paths.data}/x"]
sweep: {activation: "tanh,relu"}
"""


@pytest.mark.parametrize(("chosen", "name"), [([], "iaan"), (["size=small"], "iaan_small")])
def test_a_variable_stands_for_the_text_of_its_value_and_else_of_the_first(
    file: Path, chosen: list[str], name: str
) -> None:
    file.write_text(VARIABLES)

    points = plan_points(*read_plan(str(file), [*chosen, "seeds=[4]"]))
    assert {p.config.model["name"] for p in points} == {name}
    assert {tuple(p.config.seeds) for p in points} == {(4,)}
    assert {p.config.dataset.root for p in points} == {"data/x"}


def test_a_value_that_a_variable_does_not_have_is_refused(file: Path) -> None:
    file.write_text(VARIABLES)

    with pytest.raises(RequestError, match=r"mine.yaml: no size=smal. Did you mean 'small'\?"):
        read_plan(str(file), ["size=smal"])


def test_table_1_has_its_nine_rows_in_both_sizes() -> None:
    for plan, size in (("table1", "paper"), ("table1", "small")):
        points = plan_points(*read_plan(plan, [f"model_size={size}"]))
        small = [p.config.model["name"].endswith("_small") for p in points]
        assert small == [size == "small"] * 9
        assert {p.config.trainer.steps for p in points} == {{"paper": 2000, "small": 300}[size]}
        assert {p.config.protocol.dev for p in points} == {"next"}
    pairs = [
        (p.config.activation["alpha"], p.config.activation["beta"])
        for p in points
        if "alpha" in p.config.activation
    ]
    assert pairs == [(0.9, 2.0), (0.0, 2.0), (0.01, -4.0), (0.01, 2.0), (0.01, 1.0)]
    assert [p.config.activation["alpha_min"] for p in points if "alpha" in p.config.activation] == [
        0.01,
        0.0,
        0.01,
        0.01,
        0.01,
    ]


@pytest.mark.parametrize("size", ["paper", "small"])
def test_table_1_of_the_repository_is_what_its_code_runs(size: str) -> None:
    for point in plan_points(*read_plan("table1_repo", [f"model_size={size}"])):
        config = point.config
        assert (config.cell["reset"], config.cell["init"], config.cell["gate_bias"]) == (
            "before",
            "glorot",
            1.0,
        )
        assert (config.model["bidirectional"], config.model["mask_context"]) == (False, False)
        assert (config.model["head_l2"], config.trainer.label_smoothing) == (1e-3, 0.1)
        assert (config.optim.lr, config.optim.clip_norm) == (
            {"paper": 1e-4, "small": 1e-3}[size],
            None,
        )
        assert (config.trainer.batches, config.trainer.batch_size) == ("cut_to_last", 16)
        assert (config.protocol.dev, config.trainer.patience) == ("test", None)


def test_the_ablations_differ_in_what_they_hear() -> None:
    heard = [
        (
            p.config.model["context"],
            p.config.dataset.context.choose,
            p.config.dataset.context.past_only,
        )
        for p in shipped("context")
    ]
    assert heard == [
        ("none", "none", False),
        ("steer", "last", False),
        ("full", "random_any", False),
        ("full", "last", False),
        ("full", "last", True),
    ]


def test_an_experiment_of_ones_own_wins_over_the_name_of_the_plan(file: Path) -> None:
    file.write_text("sweep: {activation: 'tanh,relu'}")

    points = plan_points(*read_plan(str(file), ["experiment=own"]))
    assert {point.config.experiment for point in points} == {"own"}


def test_an_unknown_plan_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(
        RequestError, match=r"unknown plan 'activation'. Did you mean 'activations'"
    ):
        read_plan("activation")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sweeps: {a: 1}", r"unknown key 'sweeps'. Did you mean 'sweep'\?"),
        ("- activation=tanh", "expected the keys overrides, variables, points, sweep"),
        ("", "expected the keys overrides, variables, points, sweep"),
        ("points: [activation=tanh]", "'points' must map names to overrides"),
        ("variables: {size: small}", "'variables' must map each name to values and their texts"),
        ("variables: {size: {}}", "'variables' must map each name to values and their texts"),
        ("variables: {size: {a: 1}}", "'variables' must map each name to values and their texts"),
        ("overrides: seeds=[1]", "'overrides' must be a list of KEY=VALUE"),
        ("overrides: [{seeds: 1}]", "'overrides' must be a list of KEY=VALUE"),
        ("sweep: [activation=tanh]", "'sweep' must map keys to values"),
        ("sweep: {activation: [tanh, relu]}", "'sweep' must map keys to values"),
        ("sweep: {activation: }", "'sweep' must map keys to values"),
        ("sweep: {a", "cannot be read: while parsing"),
    ],
)
def test_a_plan_of_another_form_is_refused_in_one_line(file: Path, text: str, reason: str) -> None:
    file.write_text(text)

    with pytest.raises(RequestError, match=reason) as error:
        read_plan(str(file))
    assert str(error.value).startswith(f"plan {file}")
    assert "\n" not in str(error.value)


def test_a_missing_or_unreadable_plan_file_is_refused(file: Path) -> None:
    with pytest.raises(RequestError, match="No such file"):
        read_plan(str(file))
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RequestError, match="cannot be read"):
        read_plan(str(file))
