from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sercli.config.compose import compose
from sercli.config.grammar import expand
from sercli.errors import RequestError

VALUES = {
    "arelu.alpha": st.floats(0.01, 0.99).map(lambda value: f"{value:.3g}"),
    "arelu.beta": st.integers(-9, 9).map(str),
    "trainer.steps": st.integers(1, 9).map(str),
    "activation": st.sampled_from(["tanh", "relu", "arelu"]),
    "experiment": st.sampled_from(["a", "'b c'", "'d,e'", '"f"']),
}
axes = st.dictionaries(st.sampled_from(sorted(VALUES)), st.none(), min_size=1).flatmap(
    lambda keys: st.fixed_dictionaries(
        {key: st.lists(VALUES[key], min_size=1, max_size=4) for key in keys}
    )
)


def values(override: str) -> list[str]:
    """What the one axis of a sweep expands to."""
    key = override.partition("=")[0]
    return [point[0].removeprefix(f"{key}=") for point in expand([override])]


def refusal(*overrides: str) -> str:
    with pytest.raises(RequestError) as error:
        expand(overrides)
    return str(error.value)


@given(axes)
@settings(deadline=None)
def test_a_grid_is_the_product_of_its_different_values_and_the_last_varies_fastest(
    lists: dict[str, list[str]],
) -> None:
    overrides = [f"{key}={','.join(listed)}" for key, listed in lists.items()]
    if not any(len(listed) > 1 for listed in lists.values()):
        assert "nothing to sweep" in refusal(*overrides)
        return
    points = expand(overrides)
    different = [list(dict.fromkeys(listed)) for listed in lists.values()]
    assert len(points) == math.prod(map(len, different))
    assert points == [
        tuple(f"{key}={value}" for key, value in zip(lists, chosen, strict=True))
        for chosen in itertools.product(*different)
    ]


@given(axes)
@settings(max_examples=8, deadline=None)
def test_every_point_of_a_grid_composes(lists: dict[str, list[str]]) -> None:
    overrides = [f"{key}={','.join(listed)}" for key, listed in lists.items()]
    for point in expand([*overrides, "seeds=[0],[1]"])[:2]:
        compose(point)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("arelu.beta=-1,-2.5,1e-3", ["-1", "-2.5", "0.001"]),
        ("arelu.beta=choice(2,1)", ["2", "1"]),
        ("arelu.beta=choice(3)", ["3"]),
        ("arelu.beta=range(-4,5,4)", ["-4", "0", "4"]),
        ("arelu.beta=range(3)", ["0", "1", "2"]),
        ("arelu.beta=range(2,-1,-1)", ["2", "1", "0"]),
        ("arelu.alpha=range(0.1,0.4,0.1)", ["0.1", "0.2", "0.3"]),
        ("arelu.alpha=range(0.3,0,-0.1)", ["0.3", "0.2", "0.1"]),
        ("arelu.beta=range(0,2,0.5)", ["0.0", "0.5", "1.0", "1.5"]),
        ("arelu.beta=sort(2,-1)", ["-1", "2"]),
        ("model=glob(mdnn*)", ["mdnn", "mdnn_small"]),
        ("model=glob(mdnn*,exclude=*small)", ["mdnn"]),
        ("seeds=[0,1],[2]", ["[0,1]", "[2]"]),
        ("experiment='a,b',c", ["'a,b'", "c"]),
        ("experiment='a b',\"c\"", ["'a b'", '"c"']),
        ("trainer.patience=null,3", ["null", "3"]),
        ("arelu.alpha=0.1,0.10,0.2", ["0.1", "0.2"]),
        ("+dataset.classes.fru=anger,sadness", ["anger", "sadness"]),
        ("dataset.options={seed:1},{seed:2}", ["{seed:1}", "{seed:2}"]),
    ],
)
def test_hydras_grammar_of_several_values(override: str, expected: list[str]) -> None:
    assert values(override) == expected


@pytest.mark.parametrize(
    "override",
    ["seeds=[0,1],[2]", "experiment='a,b',c", "arelu.alpha=0.1,0.2", "model=glob(mdnn*)"],
)
def test_the_values_of_a_sweep_are_overrides_of_a_single_configuration(override: str) -> None:
    assert len({repr(compose(point)) for point in expand([override])}) == 2


def test_fixed_overrides_are_part_of_every_point_in_their_place() -> None:
    assert expand(["seeds=[0]", "arelu.beta=1,2", "model=iaan"]) == [
        ("seeds=[0]", "arelu.beta=1", "model=iaan"),
        ("seeds=[0]", "arelu.beta=2", "model=iaan"),
    ]


def test_a_setting_of_one_of_the_swept_choices_is_known() -> None:
    assert len(expand(["activation=tanh,arelu", "activation.alpha=0.1"])) == 2
    assert "unknown key 'activation.alpha'" in refusal("activation=tanh,relu", "activation.alpha=1")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("arelu.alpha=interval(0,1)", "'arelu.alpha=interval(0,1)' is an interval"),
        ("arelu.alpha=tag(log,interval(0.1,1))", "is an interval"),
        ("activation=interval(0,1)", "'activation=interval(0,1)' is an interval"),
        ("arelu.alpha=range(1,0)", "'arelu.alpha=range(1,0)' has no value"),
        ("model=glob(x*)", "'model=glob(x*)' has no value"),
        ("arelu.beta=range(0,1,0)", "'arelu.beta=range(0,1,0)' has no end: its step is 0"),
        ("arelu.alpha=range(0.1,0.2,0.0)", "has no end: its step is 0"),
        ("arelu.alpha=choice()", "'arelu.alpha=choice()' is not an override"),
        ("arelu.alpah=1,2", "unknown key 'arelu.alpah'. Did you mean 'arelu.alpha'?"),
        ("activation=tanh,rleu", "unknown activation 'rleu'. Did you mean 'relu'?"),
        ("~model.hidden=1,2", "only emotions under dataset.classes can be removed"),
    ],
)
def test_what_gives_no_grid_is_refused(override: str, message: str) -> None:
    assert message in refusal(override)


def test_an_interval_is_refused_with_the_remedy() -> None:
    message = refusal("arelu.alpha=interval(0,1)")
    assert "list them (a=1,2), or use range(start,stop,step)" in message


@pytest.mark.parametrize("overrides", [[], ["arelu.alpha=0.1"], ["seeds=[0,1]", "model=iaan"]])
def test_nothing_to_sweep_is_refused_with_the_way_to_train(overrides: list[str]) -> None:
    message = refusal(*overrides)
    assert message.startswith("nothing to sweep: give a key several values")
    assert "sercli train" in message
