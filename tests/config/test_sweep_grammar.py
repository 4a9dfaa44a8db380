from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sercli.config.compose import compose
from sercli.config.grammar import MOST_VALUES, Axis, Interval, read_sweep
from sercli.errors import RequestError

VALUES = {
    "arelu.alpha": st.floats(0.01, 0.99).map(lambda value: f"{value:.3g}"),
    "arelu.beta": st.integers(-9, 9).map(str),
    "trainer.steps": st.integers(1, 9).map(str),
    "activation": st.sampled_from(["tanh", "relu", "arelu"]),
    "experiment": st.sampled_from(["a", "'b c'", "'d,e'", '"f"']),
}
lists = st.dictionaries(st.sampled_from(sorted(VALUES)), st.none(), min_size=1).flatmap(
    lambda keys: st.fixed_dictionaries(
        {key: st.lists(VALUES[key], min_size=1, max_size=4) for key in keys}
    )
)


def axis(override: str, *others: str) -> Axis:
    """The one axis of a sweep."""
    (found,) = [item for item in read_sweep([override, *others]) if isinstance(item, Axis)]
    return found


def refusal(*overrides: str) -> str:
    with pytest.raises(RequestError) as error:
        read_sweep(overrides)
    assert "\n" not in str(error.value)
    return str(error.value)


@given(lists)
@settings(max_examples=15, deadline=None)
def test_an_axis_has_its_different_values_in_their_order_and_one_value_is_no_axis(
    lists: dict[str, list[str]],
) -> None:
    overrides = [f"{key}={','.join(listed)}" for key, listed in lists.items()]

    assert [
        (item.key, item.values) if isinstance(item, Axis) else item
        for item in read_sweep(overrides)
    ] == [
        (key, tuple(dict.fromkeys(listed))) if len(listed) > 1 else f"{key}={listed[0]}"
        for key, listed in lists.items()
    ]


@given(lists)
@settings(max_examples=3, deadline=None)
def test_every_value_of_an_axis_composes(lists: dict[str, list[str]]) -> None:
    overrides = [f"{key}={','.join(listed)}" for key, listed in lists.items()]
    for item in read_sweep([*overrides, "seeds=[0],[1]"]):
        compose([item.override(item.values[-1]) if isinstance(item, Axis) else item])


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("arelu.beta=-1,-2.5,1e-3", ["-1", "-2.5", "0.001"]),
        ("arelu.beta=choice(2,1)", ["2", "1"]),
        ("arelu.beta=choice(3)", ["3"]),
        ("arelu.beta=range(-4,5,4)", [-4, 0, 4]),
        ("arelu.beta=range(3)", [0, 1, 2]),
        ("arelu.beta=range(2,-1,-1)", [2, 1, 0]),
        ("arelu.alpha=range(0.1,0.4,0.1)", [0.1, 0.2, 0.3]),
        ("arelu.alpha=range(0.3,0,-0.1)", [0.3, 0.2, 0.1]),
        ("arelu.beta=range(0,2,0.5)", [0.0, 0.5, 1.0, 1.5]),
        ("arelu.beta=float(range(2))", [0.0, 1.0]),
        ("arelu.beta=int(1.5,2.5)", ["1", "2"]),
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
def test_values_of_each_form_of_hydras_grammar(override: str, expected: list[Any]) -> None:
    found = axis(override)

    assert repr(list(found.values)) == repr(expected)  # 1 == 1.0
    assert found.override(found.text) == override


@pytest.mark.parametrize(
    "override",
    [
        "seeds=[0,1],[2]",
        "experiment='a,b',c",
        "arelu.alpha=0.1,0.2",
        "arelu.beta=range(0.5,1.5,0.5)",
        "model=glob(mdnn*)",
        "dataset.root=${paths.data}/a,${paths.data}/b",
    ],
)
def test_the_values_of_an_axis_are_overrides_of_a_single_configuration(override: str) -> None:
    found = axis(override)

    assert len({repr(compose([found.override(value)])) for value in found.values}) == 2


@pytest.mark.parametrize("override", ["arelu.beta=shuffle(range(9))", "seeds=shuffle([0],[1],[2])"])
def test_a_shuffled_axis_keeps_its_values(override: str) -> None:
    orders = {axis(override).values for _ in range(20)}

    assert len(orders) > 1
    assert len({frozenset(order) for order in orders}) == 1


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("arelu.alpha=interval(0,1)", Interval(0, 1)),
        ("arelu.beta=interval(-4,4.5)", Interval(-4, 4.5)),
        ("arelu.alpha=tag(log,interval(0.1,1))", Interval(0.1, 1, log=True)),
        ("model.hidden=int(interval(8,64))", Interval(8, 64, whole=True)),
        ("model.hidden=int(tag(log,interval(8,64)))", Interval(8, 64, log=True, whole=True)),
        ("model.hidden=tag(log,int(interval(8.5,64)))", Interval(8, 64, log=True, whole=True)),
        ("model.hidden=float(interval(8,64))", Interval(8, 64, whole=False)),
    ],
)
def test_an_interval_has_bounds_a_scale_and_a_type(override: str, expected: Interval) -> None:
    assert axis(override).interval == expected
    assert axis(override).values == ()


def test_fixed_overrides_stay_in_their_place() -> None:
    first, swept, last = read_sweep(["seeds=[0]", "arelu.beta=1,2", "model=iaan"])

    assert (first, last) == ("seeds=[0]", "model=iaan")
    assert isinstance(swept, Axis)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["activation=tanh,relu", "activation=arelu"], ["activation=arelu"]),
        (["arelu.beta=3", "seeds=[0]", "arelu.beta=1,2"], ["seeds=[0]", "1,2"]),
        (["dataset.options={seed:1}", "dataset.options={seed:2}"], None),
        (["+dataset.classes.fru=anger", "dataset.classes.fru=sadness"], None),
    ],
)
def test_the_later_of_two_overrides_of_a_key_counts_unless_they_merge(
    overrides: list[str], expected: list[str] | None
) -> None:
    found = [item.text if isinstance(item, Axis) else item for item in read_sweep(overrides)]

    assert found == (overrides if expected is None else expected)
    if expected == ["activation=arelu"]:
        assert compose(found) == compose(["activation=tanh", *found])


@pytest.mark.parametrize(
    ("overrides", "composed"),
    [
        (["arelu.alpha=0.1,0.2", "arelu.beta=1", "model=iaan"], False),
        (["model.hidden=8,16", "model=iaan"], False),
        (["model=iaan,mdnn"], True),
        (["seeds=[0],[1]"], True),
        (["dataset.classes.fru=anger,sadness"], True),
        (["dataset.options={seed:1},{seed:2}"], True),
        (["dataset.options.seed=1,2", "dataset.options={seed:3}"], True),
        (["++arelu.alpha=0.1,0.2"], True),
    ],
)
def test_an_axis_over_several_leaves_is_composed(overrides: list[str], composed: bool) -> None:
    assert axis(*overrides).composed is composed


def test_combined_augmentations_are_values_of_an_axis() -> None:
    axis, copies = read_sweep(["augment=none,noise,[speed,noise]", "augment.noise.copies=1"])
    assert isinstance(axis, Axis)
    assert axis.values == ("none", "noise", "[speed,noise]")
    assert copies == "augment.noise.copies=1"


def test_a_setting_of_one_of_the_swept_choices_is_known() -> None:
    assert len(read_sweep(["activation=tanh,arelu", "activation.alpha=0.1"])) == 2
    assert "unknown key 'activation.alpha'" in refusal("activation=tanh,relu", "activation.alpha=1")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("activation=interval(0,1)", "'activation=interval(0,1)': a group has choices"),
        ("arelu.alpha=interval(1,0)", "'arelu.alpha=interval(1,0)' has no value"),
        ("arelu.alpha=interval(1,1)", "'arelu.alpha=interval(1,1)' has no value"),
        ("arelu.alpha=int(interval(0.1,0.9))", "has no value: write interval(LOW,HIGH)"),
        (
            "arelu.alpha=interval(0,inf)",
            "the bounds of an interval are numbers",
        ),
        (
            "arelu.alpha=interval(nan,1)",
            "the bounds of an interval are numbers",
        ),
        ("arelu.alpha=interval(a,b)", "'arelu.alpha=interval(a,b)' is not an override"),
        ("arelu.alpha=tag(log,interval(0,1))", "a log interval needs numbers above 0"),
        ("arelu.alpha=tag(lgo,interval(1,2))", "unknown tag 'lgo'. Did you mean 'log'?"),
        ("arelu.alpha=tag(log,choice(1,2))", "only an interval has a tag"),
        ("arelu.alpha=tag(log,range(1,2))", "only an interval has a tag"),
        ("arelu.alpha=range(1,0)", "'arelu.alpha=range(1,0)' has no value"),
        ("model=glob(x*)", "'model=glob(x*)' has no value"),
        ("arelu.beta=range(0,1,0)", "'arelu.beta=range(0,1,0)' has no end: its step is 0"),
        ("arelu.alpha=range(0.1,0.2,0.0)", "has no end: its step is 0"),
        ("arelu.beta=range(0,1e12)", f"'arelu.beta=range(0,1e12)' has more than {MOST_VALUES} "),
        ("arelu.alpha=choice()", "'arelu.alpha=choice()' is not an override"),
        ("arelu.alpah=1,2", "unknown key 'arelu.alpah'. Did you mean 'arelu.alpha'?"),
        ("activation=tanh,rleu", "unknown activation 'rleu'. Did you mean 'relu'?"),
        ("~model.hidden=1,2", "only emotions under dataset.classes can be removed"),
    ],
)
def test_an_invalid_axis_is_refused(override: str, message: str) -> None:
    assert message in refusal(override)
