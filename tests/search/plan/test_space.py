"""The space of a sweep: points, distributions, and its way to another machine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from optuna.study import create_study

from sercli.config.compose import compose
from sercli.errors import RequestError
from sercli.search.plan.plan import make_plan
from sercli.search.plan.space import Space

AXES = {
    "activation": ["tanh,arelu", "glob(*elu,exclude=*relu*)"],
    "arelu.alpha": ["0.1,0.5", "range(0.1,0.4,0.1)"],
    "activation.name": ["silu,gelu"],
    "arelu.beta": ["1,'2',-1e-3", "shuffle(range(3))", "${optim.lr},2"],
    "optim.clip_norm": ["null,5"],
    "experiment": ["'a,b'"],
    "seeds": ["[0],[1,2]"],
    "dataset.options": ["{seed:1},{seed:2}"],
    "dataset.options.seed": ["1,2"],
    "dataset.root": ["${paths.data}/a,null,'b c'"],
    "trainer.patience": ["null,3"],
    "+dataset.classes.fru": ["anger,sadness"],
}
sweeps = st.lists(st.sampled_from(sorted(AXES)), min_size=1, max_size=3, unique=True).flatmap(
    lambda keys: st.tuples(*(st.sampled_from(AXES[key]).map(f"{key}={{}}".format) for key in keys))
)


def space_of(*overrides: str) -> Space:
    return make_plan((*overrides, "experiment=default"), sampler="random", trials=1).space


@given(sweeps)
@settings(max_examples=4, deadline=None)
def test_every_point_thaws_to_what_its_overrides_compose_to(overrides: tuple[str, ...]) -> None:
    space = space_of(*overrides, "trainer.steps=7,8")
    sent = Space.from_json(json.loads(json.dumps(space.to_json())))

    assert sent == space
    for point in list(space.grid())[:: max(1, len(list(space.grid())) // 3)]:
        expected = repr(compose(point.overrides))
        assert repr(sent.thaw(sent.point(point.parameters))) == expected


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("arelu.alpha=interval(0.1,0.9)", FloatDistribution(0.1, 0.9)),
        ("arelu.beta=interval(-4,4)", FloatDistribution(-4, 4)),
        ("optim.lr=tag(log,interval(1e-5,1e-2))", FloatDistribution(1e-5, 1e-2, log=True)),
        ("trainer.steps=interval(8,64)", IntDistribution(8, 64)),
        ("trainer.patience=interval(1,5)", IntDistribution(1, 5)),
        ("model.hidden=interval(8,64)", IntDistribution(8, 64)),
        ("model.hidden=tag(log,interval(8,64))", IntDistribution(8, 64, log=True)),
        ("model.hidden=float(interval(8,64))", FloatDistribution(8, 64)),
        ("arelu.beta=int(interval(-4,4))", IntDistribution(-4, 4)),
        ("arelu.beta=range(-4,5)", IntDistribution(-4, 4)),
        ("arelu.beta=range(4,-5,-4)", IntDistribution(-4, 4, step=4)),
        ("arelu.alpha=range(0.1,0.4,0.1)", FloatDistribution(0.1, 0.3, step=0.1)),
        ("arelu.beta=range(3,4)", IntDistribution(3, 3)),
        ("arelu.beta=range(0.5,0.6,0.5)", FloatDistribution(0.5, 0.5, step=1)),
        ("arelu.beta=1,2", CategoricalDistribution(("1", "2"))),
        ("activation=tanh,relu", CategoricalDistribution(("tanh", "relu"))),
        ("seeds=[0],[1]", CategoricalDistribution(("[0]", "[1]"))),
        ("dataset.root='a',null", CategoricalDistribution(("'a'", "null"))),
    ],
)
def test_an_axis_has_the_distribution_that_a_sampler_draws_from(
    override: str, expected: object
) -> None:
    space = space_of(override)

    assert list(space.distributions().values()) == [expected]
    assert Space.from_json(space.to_json()).distributions() == space.distributions()


def test_a_sampler_gives_every_axis_a_valid_value() -> None:
    space = space_of(
        "activation=arelu,tanh",
        "arelu.alpha=range(0.1,0.9,0.1)",
        "arelu.beta=interval(-4,4)",
        "trainer.steps=tag(log,interval(1,999))",
        "optim.clip_norm=null,5",
    )
    study = create_study(sampler=RandomSampler(seed=0))
    for _ in range(50):
        trial = study.ask(space.distributions())
        point = space.point(trial.params)
        config = space.thaw(point)
        assert (
            point.parameters["arelu.alpha"] in space.axes[1].values
        )  # and not 0.30000000000000004
        assert config.arelu.alpha == point.parameters["arelu.alpha"]
        assert config.arelu.beta == trial.params["arelu.beta"]
        assert config.trainer.steps == trial.params["trainer.steps"]
        assert config.optim.clip_norm == {"null": None, "5": 5.0}[trial.params["optim.clip_norm"]]
        if trial.number < 5:
            assert repr(compose(point.overrides)) == repr(config)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"arelu.alpha": 0.5},
        {"arelu.alpha": 0.5, "activation": "gelu"},
        {"arelu.alpha": 1.5, "activation": "tanh"},
        {"arelu.alpha": "0.5", "activation": "tanh"},
        {"arelu.alpha": None, "activation": "tanh"},
    ],
)
def test_a_choice_from_another_space_is_refused(parameters: dict[str, Any]) -> None:
    space = space_of("activation=tanh,relu", "arelu.alpha=interval(0.1,0.9)")

    with pytest.raises(RequestError, match=r"is not in .*; the study has another space"):
        space.point(parameters)


def test_samples_have_every_value_and_both_ends_of_each_base() -> None:
    space = space_of("activation=tanh,relu", "arelu.alpha=interval(0.1,0.9)", "arelu.beta=1,2,3")
    found = [point.parameters for point in space.samples()]

    for name in ("tanh", "relu"):
        mine = [each for each in found if each["activation"] == name]
        assert {each["arelu.alpha"] for each in mine} == {0.1, 0.9}
        assert {each["arelu.beta"] for each in mine} == {"1", "2", "3"}


def test_a_point_is_excluded_by_its_settings_and_its_choices() -> None:
    whole = space_of("cell=gru,gru_tf", "arelu.alpha=0.1,0.9")
    space = Space(whole.axes, whole.bases, "cell == 'gru_tf' and arelu.alpha > 0.5")
    sent = Space.from_json(json.loads(json.dumps(space.to_json())))

    points = list(sent.grid())
    assert [sent.excludes(point, sent.thaw(point)) for point in points] == [False] * 3 + [True]
    assert not any(whole.excludes(point, whole.thaw(point)) for point in points)
