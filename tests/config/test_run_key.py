from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sercli.config.compose import compose
from sercli.config.run_key import run_key
from sercli.config.schema import Config

WITHOUT_INFLUENCE = (
    "experiment",
    "device",
    "recurrence.",
    "launcher.",
    "paths.",
    "arelu.",
    "dataset.root",
    "dataset.expected",
    "dataset.of",  # dataset.parts stands for it
    "dataset.scale",  # of dataset.dimensions
    "features.config",
    "features.path",
    "trainer.keep_weights",
    "trainer.min_ratings",  # of labels=rater
    "optim.momentum",
    "schedule.warmup",  # of one step: the first step has the full rate
    "schedule.step_size",
    "schedule.factor",
    "schedule.patience",
    "schedule.min_lr",
    "adversary.weight",  # without a column
    "adversary.hidden",
    "init.fold",  # of random initial weights
    "init.seed",
    "init.train",
    "pretrain.",
)


@cache
def key(*overrides: str, fingerprint: str = "data") -> str:
    return run_key(compose(overrides), fingerprint)


def leaves(node: Any, path: str = "") -> Iterator[str]:
    """The paths of all values, down to those of the open nodes."""
    if is_dataclass(node):
        for field in fields(node):
            yield from leaves(getattr(node, field.name), f"{path}.{field.name}")
    elif isinstance(node, dict) and node:
        for name, value in node.items():
            yield from leaves(value, f"{path}.{name}")
    else:
        yield path[1:]


def other(value: Any) -> Any:
    """Another value of the same type."""
    if value is None or isinstance(value, str):
        return f"{value}x"
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return [*value, 99]
    return {"more": {"key": 1}} if isinstance(value, dict) else value + 1


def changed(config: Config, path: str) -> Config:
    """The configuration with another value at ``path``."""
    config = deepcopy(config)
    *parents, name = path.split(".")
    node: Any = config
    for parent in parents:
        node = node[parent] if isinstance(node, dict) else getattr(node, parent)
    if isinstance(node, dict):
        node[name] = other(node[name])
    else:
        setattr(node, name, other(getattr(node, name)))
    return config


DEFAULT = compose([])


@pytest.mark.parametrize("path", list(leaves(DEFAULT)))
def test_every_value_that_can_change_a_result_changes_the_key_and_no_other(path: str) -> None:
    same = run_key(DEFAULT, "data") == run_key(changed(DEFAULT, path), "data")
    assert same == path.startswith(WITHOUT_INFLUENCE)


@pytest.mark.parametrize(
    "override",
    [
        "experiment=other",
        "device=cpu",
        "recurrence.backend=eager",
        "recurrence.backend=cpp",
        "launcher=submitit",
        "paths.data=elsewhere",
        "paths.store=elsewhere",
        "paths.runs=elsewhere",
        "dataset.root=elsewhere",
    ],
)
def test_folders_device_and_experiment_do_not_change_the_key(override: str) -> None:
    assert key(override) == key()


@pytest.mark.parametrize(
    "override",
    [
        "arelu.alpha=0.5",
        "arelu.beta=-4",
        "arelu.alpha_min=0",
        "arelu.alpha_max=0.9",
        "arelu.learn=false",
    ],
)
def test_the_settings_of_arelu_change_the_key_only_where_it_is_used(override: str) -> None:
    assert key("activation=tanh", override) == key("activation=tanh")
    assert key("activation=arelu", override) != key("activation=arelu")


@pytest.mark.parametrize(
    "override",
    [
        "activation=tanh",
        "model=iaan",
        "model.dropout=0.2",
        "protocol=loso_speaker",
        "optim=adam_iaan",
        "precision=bf16",
        "trainer=smoke",
        "seeds=[1]",
        "seeds=[0,1]",
        "features.pool=1",
        "dataset.context.order=start_time",
        "dataset.options.seed=1",
        "~dataset.classes.exc",
    ],
)
def test_a_choice_or_a_value_that_matters_changes_the_key(override: str) -> None:
    assert key(override) != key()


def test_without_a_schedule_the_key_is_that_of_before_there_were_any() -> None:
    assert (key(), key("model=mdnn", "optim=adam_iaan")) == ("f28f3337fe", "76721496df")


def test_a_graph_network_without_streams_has_the_key_of_before_it_read_any() -> None:
    assert key("model=compact_graph") == "ad264e5ab8"
    assert key("model=compact_graph", "model.streams=[spoken]") != key("model=compact_graph")


def test_adaptive_dense_layers_have_the_key_of_before_there_were_others() -> None:
    assert key("model=listener_adaptive") == "00d1072d85"
    assert key("model=listener_adaptive", "model.adapt=[recurrent]") != "00d1072d85"


def test_the_place_of_a_table_of_ratings_is_not_part_of_the_key() -> None:
    table = ("dataset=manifest", "dataset.classes={A: anger, N: neutral}")
    assert key(*table) == "ab06ae86d1"
    assert key(*table, "dataset.options.ratings=raters.csv") == "ab06ae86d1"


def test_a_lagged_lstm_that_starts_from_zeros_has_the_key_of_before_this_was_a_choice() -> None:
    assert (key("cell=a_lstm"), key("cell=mean_lstm")) == ("93f3ac6454", "89d633f9df")
    assert key("cell=a_lstm", "cell.start=exclude") != key("cell=a_lstm")


@pytest.mark.parametrize(
    ("schedule", "used"),
    [
        ("none", set()),
        ("step", {"step_size=7", "factor=0.5"}),
        ("cosine", {"min_lr=1e-5"}),
        ("linear", {"min_lr=1e-5"}),
        ("plateau", {"factor=0.5", "patience=7", "min_lr=1e-5"}),
    ],
)
def test_what_a_schedule_does_not_use_does_not_change_the_key(
    schedule: str, used: set[str]
) -> None:
    every = {"step_size=7", "factor=0.5", "patience=7", "min_lr=1e-5"}
    base = key(f"schedule={schedule}")
    assert {
        each for each in every if key(f"schedule={schedule}", f"schedule.{each}") != base
    } == used
    assert key(f"schedule={schedule}", "schedule.warmup=9") != base
    assert (base == key()) == (schedule == "none")


def test_augmentation_is_in_the_key_and_the_folder_of_noise_is_not() -> None:
    assert key("augment=none") == key("augment=[]") == key()
    assert key("augment=noise", "augment.noise.folder=/a") == key("augment=noise")
    assert key("augment=[speed,noise]") == key("augment=[noise,speed]")
    assert (
        len({key(f"augment={each}") for each in ("none", "speed", "noise", "[speed,noise]")}) == 4
    )


def test_momentum_is_in_the_key_of_those_that_have_it() -> None:
    assert key("optim=sgd", "optim.momentum=0.5") != key("optim=sgd")
    assert len({key(f"optim={name}") for name in ("adam", "adamw", "sgd", "rmsprop")}) == 4


def test_other_data_change_the_key() -> None:
    assert key(fingerprint="other") != key(fingerprint="data")


def test_an_explicit_default_gives_the_same_key() -> None:
    assert key("model=iaan_small", "optim.lr=0.001", "arelu.alpha=1e-2") == key()


@given(
    st.permutations(
        [
            "trainer.steps=7",
            "activation=tanh",
            "seeds=[1,2]",
            "model=iaan",
            "~dataset.classes.exc",
            "+dataset.classes.fru=anger",
            "+dataset.classes.sur=neutral",
        ]
    )
)
@settings(max_examples=10, deadline=None)
def test_the_order_of_overrides_does_not_change_the_key(overrides: list[str]) -> None:
    assert key(*overrides) == key(*sorted(overrides))


def test_a_key_can_be_a_short_folder_name() -> None:
    assert len(key()) == 10
    assert set(key()) <= set("0123456789abcdef")
