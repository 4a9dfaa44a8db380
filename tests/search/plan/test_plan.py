"""Plans: what a sweep is made of, and the files in sweeps/."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sercli.config.compose import compose
from sercli.config.schema import Config
from sercli.errors import RequestError
from sercli.resources import packaged
from sercli.search.announce import announce
from sercli.search.plan.plan import Plan, identity, make_plan
from sercli.search.plan.plan_file import read_plan_file

PLANS = sorted(path.stem for path in packaged("sweeps").glob("*.yaml"))
SEARCHES = {"alpha_beta_grid", "alpha_beta_tpe", "study_alpha_beta", "study_alpha_beta_search"}
NARROWED = {
    "activations": "activation=tanh,relu",
    "augmentation": "augment=none,speed",
    "cells": "cell=gru,lstm activation=tanh",
    "study_activations": "activation=tanh,relu",
    "study_alpha_beta": "arelu.alpha=0",
    "study_cells": "cell=gru,lstm activation=tanh",
    "study_collapse": "features.pool=5",
    "study_features": "activation=tanh",
    "study_systems": "model=bigru_att_small,hnsd_small",
    "systems": "model=hnsd_small,iaan_small",
}
"""Large plan → overrides that leave a few of its points to compose."""


@cache
def shipped(name: str, *overrides: str) -> tuple[Plan, list[Config]]:
    plan = make_plan(overrides, plan=name)
    return plan, thawed(plan)


def thawed(plan: Plan) -> list[Config]:
    return [plan.space.thaw(point) for point in plan.points]


def configs(*overrides: str, **options: Any) -> list[Config]:
    return thawed(make_plan(overrides, **options))


def overrides_of(*overrides: str, **options: Any) -> list[tuple[str, ...]]:
    return [point.overrides for point in make_plan(overrides, **options).points]


def refusal(*overrides: str, **options: Any) -> str:
    with pytest.raises(RequestError) as error:
        make_plan(overrides, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def test_a_grid_has_a_point_for_every_combination_in_order() -> None:
    plan = make_plan(["activation=arelu", "arelu.alpha=0.1,0.9", "arelu.beta=1,2"])

    assert [(c.activation["alpha"], c.activation["beta"]) for c in thawed(plan)] == [
        (0.1, 1.0),
        (0.1, 2.0),
        (0.9, 1.0),
        (0.9, 2.0),
    ]
    assert plan.points[1].overrides == ("activation=arelu", "arelu.alpha=0.1", "arelu.beta=2")
    assert plan.points[1].parameters == {"arelu.alpha": "0.1", "arelu.beta": "2"}
    assert (plan.sampler, plan.trials, plan.objectives) == ("grid", None, ("dev_ua",))
    assert (plan.pruner, plan.comparison) == (None, False)


def test_a_sweep_without_a_name_is_named_by_what_it_sweeps() -> None:
    def name(*overrides: str, **options: Any) -> str:
        return make_plan(overrides, **options).experiment

    asked = name("activation=tanh,relu", "seeds=[1]")
    assert re.fullmatch("activation-[0-9a-f]{6}", asked)
    assert asked == name("seeds=[1]", "activation=tanh,relu", "device=cpu", "paths.runs=there")
    others = {
        name("activation=tanh,relu"),
        name("activation=tanh,elu", "seeds=[1]"),
        name("activation=tanh,relu", "seeds=[1]", comparison=True),
        name("activation=tanh,relu", "seeds=[1]", sampler="random", trials=2),
    }
    assert len(others - {asked}) == 4
    search = "optim.lr=interval(0.01,0.1)"
    assert name(search, sampler="tpe", trials=3) == name(search, sampler="tpe", trials=9)
    plan = make_plan(["activation=tanh,relu"])
    assert {c.experiment for c in thawed(plan)} == {plan.experiment}
    assert plan.unnamed
    assert not make_plan(["activation=tanh,relu", "experiment=default"]).unnamed


VALUES = {
    "activation": ["tanh", "arelu", "relu"],
    "cell": ["gru", "lstm"],
    "arelu.alpha": ["0.1", "0.10000000001", "0.9"],
    "arelu.alpha_min": ["0", "0.0"],
    "features.level": ["lld", "functionals"],
    "features.pool": ["5", "2"],
    "dataset.options.seed": ["0", "1"],
    "device": ["cpu", "cuda"],
    "experiment": ["'a'"],
    "seeds": ["[0]", "[1]"],
}
grids = st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True).flatmap(
    lambda keys: st.fixed_dictionaries(
        {key: st.lists(st.sampled_from(VALUES[key]), min_size=1, max_size=2) for key in keys}
    )
)


@given(grids)
@settings(max_examples=5, deadline=None)
def test_a_grid_is_what_composing_each_point_alone_would_give(grid: dict[str, list[str]]) -> None:
    words = [[f"{key}={value}" for value in values] for key, values in grid.items()]
    configs = [compose(["features=IS09", *point]) for point in itertools.product(*words)]

    swept = [f"{key}={','.join(values)}" for key, values in grid.items()]
    plan = make_plan(["features=IS09", *swept, "trainer.steps=choice(1000)"])
    found = [identity(config) for config in thawed(plan)]
    assert found == list(dict.fromkeys(map(identity, configs)))


def test_points_that_cannot_differ_in_their_result_are_one() -> None:
    assert overrides_of("activation=tanh,arelu", "arelu.alpha=0.1,0.9") == [
        ("activation=tanh", "arelu.alpha=0.1"),
        ("activation=arelu", "arelu.alpha=0.1"),
        ("activation=arelu", "arelu.alpha=0.9"),
    ]
    assert len(overrides_of("device=cpu,cuda")) == 1


def test_two_corpora_are_two_points_although_no_key_knows_their_folders() -> None:
    assert len(overrides_of("dataset=nemo", "dataset.root=here,there")) == 2


def test_a_space_is_composed_once_for_each_choice_of_groups() -> None:
    plan = make_plan(["activation=tanh,arelu", "arelu.alpha=range(0.1,0.9,0.1)", "arelu.beta=1,2"])

    assert list(plan.space.bases) == ["activation=tanh", "activation=arelu"]
    assert len(plan.points) == 1 + 8 * 2


def test_a_search_lists_no_points() -> None:
    plan = make_plan(
        ["arelu.alpha=interval(0,0.9)", "arelu.alpha_min=0", "experiment=own"],
        sampler="tpe",
        trials=60,
        objectives=["dev_ua", "seconds"],
    )

    assert plan.points == ()
    assert (plan.sampler, plan.trials, plan.experiment) == ("tpe", 60, "own")
    assert plan.objectives == ("dev_ua", "seconds")


@pytest.mark.parametrize(
    ("overrides", "options", "message"),
    [
        (["trainer.steps=5,0"], {}, "point trainer.steps=0: trainer.steps=0: must be 1 or more"),
        (["trainer.steps=1,x"], {}, "point trainer.steps=x: trainer.steps: Value 'x'"),
        (
            ["activation=tanh,arelu", "activation.alpha=0.1,0.2"],
            {},
            "point activation=tanh activation.alpha=0.1: unknown key 'activation.alpha'",
        ),
        (["cell=gru,lstm", "seeds=[0,0]"], {}, "point cell=gru seeds=[0,0]: seeds=[0, 0]: must be"),
        (["arelu.alpah=1,2"], {}, "unknown key 'arelu.alpah'. Did you mean 'arelu.alpha'?"),
        (["activation=tanh,rleu"], {}, "unknown activation 'rleu'. Did you mean 'relu'?"),
        (["arelu.beta=range(1,0)"], {}, "'arelu.beta=range(1,0)' has no value"),
        (
            ["arelu.alpha=interval(0,1)"],
            {},
            "'arelu.alpha=interval(0,1)' is an interval, but a grid needs values: "
            "list them (a=1,2), or use range(start,stop,step)",
        ),
        (["arelu.beta=range(999)", "trainer.steps=range(1,999)"], {}, "a grid of 997002 points"),
        (["experiment=a,b"], {}, "a sweep is one experiment"),
        (["paths.runs=a,b"], {}, "a sweep is one experiment"),
        ([], {}, "nothing to sweep: give a key several values"),
        (["arelu.alpha=0.1"], {}, "(train a single configuration by sercli train)"),
        (["seeds=[0,1]", "model=iaan"], {}, "nothing to sweep"),
        (["paths.data=${oc.env:HOME}", "cell=gru,lstm"], {}, "paths.data=${oc.env:HOME}: a sweep"),
        (["cell=gru,lstm"], {"sampler": "tpee"}, "unknown sampler 'tpee'. Did you mean 'tpe'?"),
        (["cell=gru,lstm"], {"sampler": "tpe"}, "sampler tpe needs a number of trials"),
        (["cell=gru,lstm"], {"sampler": "tpe", "trials": 0}, "sampler tpe needs a number of"),
        (["cell=gru,lstm"], {"trials": 9}, "trials=9: a grid runs all its points"),
        (["cell=gru,lstm"], {"objectives": ["dev_u"]}, "unknown objective 'dev_u'. Did you mean"),
        (["cell=gru,lstm"], {"objectives": ["seconds"]}, "objectives seconds: dev_ua is required"),
        (["cell=gru,lstm"], {"objectives": ["dev_ua"] * 2}, "objectives dev_ua, dev_ua: "),
        (["cell=gru,lstm"], {"pruner": "wilcoxn"}, "unknown pruner 'wilcoxn'. Did you mean"),
        (
            ["cell=gru,lstm"],
            {"pruner": "median", "objectives": ["dev_ua", "seconds"]},
            "pruner 'median' needs one objective",
        ),
        (
            ["cell=gru,lstm"],
            {"sampler": "cmaes", "trials": 9, "objectives": ["dev_ua", "seconds"]},
            "sampler cmaes searches one objective; use tpe for several",
        ),
        (
            ["cell=gru,lstm"],
            {"comparison": True, "pruner": "median"},
            "--comparison: pre-registered",
        ),
        (
            ["cell=gru,lstm"],
            {"comparison": True, "sampler": "tpe", "trials": 9},
            "--comparison: pre-registered",
        ),
        (
            ["trainer.steps=interval(0,9)"],
            {"sampler": "tpe", "trials": 9},
            "point trainer.steps=0: trainer.steps=0: must be 1 or more",
        ),
        (
            ["trainer.steps=interval(0.5,9)"],
            {"sampler": "tpe", "trials": 9},
            "point trainer.steps=0.5: trainer.steps: Value '0.5' of type 'float'",
        ),
        (
            ["arelu.learn=interval(0,1)"],
            {"sampler": "tpe", "trials": 9},
            "'arelu.learn=interval(0,1)': arelu.learn is not a number",
        ),
        (
            ["experiment=interval(0,1)"],
            {"sampler": "tpe", "trials": 9},
            "'experiment=interval(0,1)': experiment is not a number",
        ),
    ],
)
def test_an_invalid_plan_is_refused_in_one_line(
    overrides: list[str], options: dict[str, Any], message: str
) -> None:
    assert message in refusal(*overrides, **options)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        *((name, ()) for name in PLANS if name not in NARROWED),
        *((name, tuple(overrides.split())) for name, overrides in NARROWED.items()),
        *(pytest.param(name, (), marks=pytest.mark.exhaustive) for name in NARROWED),
    ],
)
def test_every_plan_that_is_shipped_can_be_made(name: str, overrides: tuple[str, ...]) -> None:
    plan, configs = shipped(name, *overrides)

    assert plan.experiment == name
    assert plan.comparison is (name not in SEARCHES)
    assert len(configs) > 1 or plan.trials


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.exhaustive] if name in NARROWED else [])
        for name in PLANS
    ],
)
def test_every_plan_that_is_shipped_begins_with_its_question_and_its_cost(name: str) -> None:
    text = (packaged("sweeps") / f"{name}.yaml").read_text(encoding="utf-8")
    comment = [line for line in text.splitlines() if line.startswith("#")]
    plan, _ = shipped(name)

    assert text.startswith("\n".join(comment))
    assert "?" in comment[0]
    (cost,) = [line for line in comment if line.startswith("# Cost: ")]
    trials = f"{plan.trials or len(plan.points)} trials"
    assert cost.startswith((f"# Cost: {trials} × ", "# Cost: a trial per activation × "))


def test_the_grid_plan_holds_the_settings_of_table_1_that_the_clamp_allows() -> None:
    _, configs = shipped("alpha_beta_grid")

    pairs = {(c.activation["alpha"], c.activation["beta"]) for c in configs}
    assert {(0.9, 2.0), (0.01, -4.0), (0.01, 2.0), (0.01, 1.0)} <= pairs


def test_the_bayesian_plan_holds_all_settings_of_table_1() -> None:
    plan, _ = shipped("alpha_beta_tpe")

    for alpha, beta in [(0.9, 2.0), (0.0, 2.0), (0.01, -4.0), (0.01, 2.0), (0.01, 1.0)]:
        point = plan.space.point({"arelu.alpha": alpha, "arelu.beta": beta})
        activation = plan.space.thaw(point).activation
        assert (activation["alpha"], activation["beta"]) == (alpha, beta)
        assert activation["alpha_min"] <= alpha <= activation["alpha_max"]


def test_a_plan_is_read_from_a_file_and_named_after_it(file: Path) -> None:
    file.write_text(
        "overrides: ['seeds=[1]']\nsweep:\n  activation: tanh,relu\n  trainer.steps: 7\n"
    )

    assert overrides_of("device=cpu", plan=str(file)) == [
        ("seeds=[1]", f"activation={name}", "trainer.steps=7", "device=cpu")
        for name in ("tanh", "relu")
    ]


def test_points_are_combined_with_the_sweep_but_not_with_each_other(file: Path) -> None:
    file.write_text(
        "points:\n  one: activation=tanh\n  two: activation=arelu arelu.beta=2\n"
        "sweep: {optim.lr: '1e-3,1e-4'}"
    )

    points = configs(plan=str(file))
    assert [(c.activation["name"], c.optim.lr) for c in points] == [
        ("tanh", 1e-3),
        ("tanh", 1e-4),
        ("arelu", 1e-3),
        ("arelu", 1e-4),
    ]
    assert points[-1].activation["beta"] == 2


def test_a_point_may_set_what_the_overrides_choose(file: Path) -> None:
    file.write_text(
        "overrides: [model=cross_attention_small]\n"
        "points:\n  alone: 'model.streams=[]'\n  with words: streams.text=word_vectors"
    )

    alone, with_words = configs(plan=str(file))
    assert alone.model["streams"] == []
    assert not alone.streams
    assert with_words.model["streams"] == list(with_words.streams) == ["text"]


def test_values_and_overrides_may_be_lists_and_mappings_of_yaml(file: Path) -> None:
    file.write_text(
        "overrides: {trainer.patience: null, seeds: [1, 2], protocol.refit: true}\n"
        "sweep: {activation: [tanh, relu], optim.clip_norm: [null, 1.5]}"
    )
    found = configs(plan=str(file))
    assert [(c.activation["name"], c.optim.clip_norm) for c in found] == [
        ("tanh", None), ("tanh", 1.5), ("relu", None), ("relu", 1.5),
    ]  # fmt: skip
    assert (found[0].trainer.patience, found[0].seeds) == (None, [1, 2])
    assert found[0].protocol.refit


@pytest.mark.parametrize("names", [("tanh", "relu"), ("tanh",)])
def test_points_need_no_sweep(file: Path, names: Sequence[str]) -> None:
    file.write_text("\n".join(["points:", *(f"  p {name}: activation={name}" for name in names)]))

    assert [c.activation["name"] for c in configs(plan=str(file))] == list(names)


def test_a_sampler_chooses_among_the_points_of_a_file(file: Path) -> None:
    file.write_text(
        "points: {one: activation=tanh, two: activation=arelu arelu.beta=2}\n"
        "sweep: {optim.lr: 'tag(log,interval(1e-4,1e-2))'}\nsampler: random\ntrials: 5\n"
    )

    plan = make_plan([], plan=str(file))
    assert [axis.key for axis in plan.space.axes] == ["point", "optim.lr"]
    config = plan.space.thaw(plan.space.point({"point": "two", "optim.lr": 0.005}))
    assert (config.activation["beta"], config.optim.lr) == (2, 0.005)


def test_arguments_win_over_the_plan_file(file: Path) -> None:
    file.write_text(
        "sweep: {arelu.beta: 'range(-4,5)'}\nsampler: tpe\ntrials: 60\nprune: median\n"
        "objectives: [dev_ua]\n"
    )

    plan = make_plan([], plan=str(file))
    assert (plan.sampler, plan.trials, plan.pruner) == ("tpe", 60, "median")
    plan = make_plan(
        ["arelu.beta=1,2"],
        plan=str(file),
        trials=3,
        sampler="qmc",
        pruner="none",
        objectives=["dev_ua", "parameters"],
    )
    assert (plan.sampler, plan.trials, plan.pruner) == ("qmc", 3, None)
    assert plan.objectives == ("dev_ua", "parameters")
    assert [axis.values for axis in plan.space.axes] == [("1", "2")]
    plan = make_plan([], plan=str(file), sampler="grid", pruner="none", comparison=True)
    assert (len(plan.points), plan.trials, plan.comparison) == (9, None, True)


def test_a_plan_of_a_comparison_is_none_with_a_sampler(file: Path) -> None:
    file.write_text("sweep: {arelu.beta: '1,2'}\ncomparison: true\n")

    assert make_plan([], plan=str(file)).comparison
    assert not make_plan([], plan=str(file), sampler="random", trials=1).comparison


def test_a_plan_has_no_point_that_it_excludes(file: Path) -> None:
    sweep = "sweep: {activation: 'tanh,arelu', arelu.alpha: '0.1,0.9'}\n"
    file.write_text(f"{sweep}exclude: activation == 'arelu' and arelu.alpha > 0.5\n")

    plan = make_plan([], plan=str(file))
    assert [point.parameters for point in plan.points] == [
        {"activation": "tanh", "arelu.alpha": "0.1"},
        {"activation": "arelu", "arelu.alpha": "0.1"},
    ]
    for expression, message in [
        ("arelu.alpha > 0", "exclude 'arelu.alpha > 0' excludes all points"),
        ("arelu.alhpa > 0", "unknown key 'arelu.alhpa'. Did you mean 'arelu.alpha'?"),
        ("arelu.alpha > activation", "cannot be evaluated for activation='tanh', arelu.alpha=0.1"),
    ]:
        file.write_text(f"{sweep}exclude: {expression}\n")
        assert message in refusal(plan=str(file))


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

    points = configs(*chosen, "seeds=[4]", plan=str(file))
    assert {p.model["name"] for p in points} == {name}
    assert {tuple(p.seeds) for p in points} == {(4,)}
    assert {p.dataset.root for p in points} == {"data/x"}


def test_a_value_that_a_variable_does_not_have_is_refused(file: Path) -> None:
    file.write_text(VARIABLES)

    message = refusal("size=smal", plan=str(file))
    assert message.endswith("mine.yaml: size has no value 'smal'. Did you mean 'small'?")


def test_table_1_has_its_nine_rows_in_both_sizes() -> None:
    for size, points in (
        ("paper", shipped("table1")[1]),
        ("small", configs("model_size=small", plan="table1")),
    ):
        small = [p.model["name"].endswith("_small") for p in points]
        assert small == [size == "small"] * 9
        assert {p.trainer.steps for p in points} == {{"paper": 2000, "small": 300}[size]}
        assert {p.protocol.dev for p in points} == {"next"}
    pairs = [
        (p.activation["alpha"], p.activation["beta"]) for p in points if "alpha" in p.activation
    ]
    assert pairs == [(0.9, 2.0), (0.0, 2.0), (0.01, -4.0), (0.01, 2.0), (0.01, 1.0)]
    assert [p.activation["alpha_min"] for p in points if "alpha" in p.activation] == [
        0.01,
        0.0,
        0.01,
        0.01,
        0.01,
    ]


@pytest.mark.parametrize("size", ["paper", pytest.param("small", marks=pytest.mark.exhaustive)])
def test_table_1_of_the_repository_is_what_its_code_runs(size: str) -> None:
    overrides = () if size == "paper" else ("model_size=small",)
    for config in shipped("table1_repo", *overrides)[1]:
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


def test_the_ablations_of_context_differ_in_the_context() -> None:
    heard = [
        (
            p.model["context"],
            p.dataset.context.choose,
            p.dataset.context.past_only,
        )
        for p in shipped("context")[1]
    ]
    assert heard == [
        ("none", "none", False),
        ("steer", "last", False),
        ("full", "random_any", False),
        ("full", "last", False),
        ("full", "last", True),
    ]


def test_the_users_experiment_wins_over_the_name_of_the_plan(file: Path) -> None:
    file.write_text("sweep: {activation: 'tanh,relu'}")

    assert make_plan(["experiment=own"], plan=str(file)).experiment == "own"


def test_an_unknown_plan_is_refused_with_the_nearest_one() -> None:
    message = refusal(plan="activation")
    assert message == "unknown plan 'activation'. Did you mean 'activations'?"


def test_a_point_of_a_file_has_one_value_of_each_key(file: Path) -> None:
    file.write_text("points: {one: 'activation=tanh,relu'}")

    message = refusal(plan=str(file))
    assert message == "point one: 'activation=tanh,relu' has several values; move it to 'sweep'"
    file.write_text("points: {one: 'lr=0.1'}\nsweep: {seeds: '[0],[1]'}")
    assert refusal(plan=str(file)) == "point one: unknown key 'lr'; write optim.lr=0.1"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sweeps: {a: 1}", r"unknown key 'sweeps'. Did you mean 'sweep'\?"),
        ("- activation=tanh", r"must be a mapping, not \['activation=tanh'\]"),
        ("", "must be a mapping, not None"),
        ("points: [activation=tanh]", "points must be a mapping"),
        ("variables: {size: small}", "variables.size must be a mapping, not 'small'"),
        ("variables: {size: {}}", "variables.size must have a value and its text, not {}"),
        ("variables: {size: {a: 1}}", "variables.size.a must be text, not 1"),
        ("overrides: seeds=[1]", "overrides must be a list, not 'seeds="),
        ("overrides: [{seeds: 1}]", r"overrides\[0\] must be text, not {'seeds': 1}"),
        ("sweep: [activation=tanh]", "sweep must be a mapping"),
        ("sweep: {activation: }", "sweep.activation must be text, not None"),
        ("sampler: [tpe]", r"sampler must be text, not \['tpe'\]"),
        ("trials: many", "trials must be a whole number, not 'many'"),
        ("trials: 0", "trials must be greater than or equal to 1, not 0"),
        ("trials: true", "trials must be a whole number, not True"),
        ("exclude: [a]", "exclude must be text"),
        ("objectives: dev_ua", "objectives must be a list, not 'dev_ua'"),
        ("prune: true", "prune must be text, not True"),
        ("comparison: 1", "comparison must be true or false, not 1"),
        ("sweep: {1: '2,3'}", "must be text, not 1"),
        ("sweep: {a", "cannot be read: while parsing"),
    ],
)
def test_a_plan_file_with_an_invalid_key_or_value_is_refused_in_one_line(
    file: Path, text: str, reason: str
) -> None:
    file.write_text(text)

    with pytest.raises(RequestError, match=reason) as error:
        read_plan_file(str(file))
    assert str(error.value).startswith(f"plan {file}")
    assert "\n" not in str(error.value)


def test_a_missing_or_unreadable_plan_file_is_refused(file: Path) -> None:
    with pytest.raises(RequestError, match="No such file"):
        read_plan_file(str(file))
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RequestError, match="cannot be read"):
        read_plan_file(str(file))


def test_a_model_without_a_recurrent_layer_is_one_point_for_all_cells_and_activations() -> None:
    swept = ("activation=tanh,relu", "model=light_sernet_small,bigru_att_small")
    plan = make_plan(["experiment=mine", *swept, "optim.lr=0.1,0.2"])
    assert [tuple(point.parameters.values()) for point in plan.points] == [
        ("tanh", "light_sernet_small", "0.1"),
        ("tanh", "light_sernet_small", "0.2"),
        ("tanh", "bigru_att_small", "0.1"),
        ("tanh", "bigru_att_small", "0.2"),
        ("relu", "bigru_att_small", "0.1"),
        ("relu", "bigru_att_small", "0.2"),
    ]
    assert plan.merged == ("light_sernet_small",)
    no_study: Any = None  # the first note needs none
    assert next(announce(plan, no_study, pd.DataFrame())).startswith(
        "light_sernet_small: no recurrent layer; trials that differ only in cell or activation are"
    )
    assert make_plan(["activation=tanh,relu", "model=bigru_att_small"]).merged == ()
