"""Errors of invalid overrides give the corrected line."""

from __future__ import annotations

import shlex

import pytest

from sercli.config.compose import compose, default_settings, mend, parse
from sercli.config.grammar import read_sweep
from sercli.config.hints import _MEANT, meant_key
from sercli.errors import RequestError


def refusal(line: str) -> str:
    with pytest.raises(RequestError) as error:
        compose(shlex.split(line))
    return str(error.value)


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("seeds=5", "seeds=[5]"),
        ("seeds=0,1,2", "seeds=[0,1,2]"),
        ("'seeds=range(3)'", "seeds=[0,1,2]"),
        ("\"seeds='[0,1]'\"", "seeds=[0,1]"),
        ("seeds=[0, 1]", "seeds=[0,1]"),
        ("seeds=[0 1 2]", "seeds=[0,1,2]"),
        ("'seeds=[0 1 2]'", "seeds=[0,1,2]"),
        ("'seeds=0 1 2'", "seeds=[0,1,2]"),
        ("seeds=0-3", "seeds=[0,1,2,3]"),
        ("gpu=0", "device=cuda"),
        ("schedule.gamma=0.5", "schedule.factor=0.5"),
        ("launcher.setup=x", "launcher.setup=[x]"),
        ("lr=0.01", "optim.lr=0.01"),
        ("model.hidden_size=64", "model.hidden=64"),
        ("epochs=50", "trainer.steps=50"),
        ("early_stopping=true", "trainer.patience=5"),
        ("random-state=3", "seeds=[3]"),
        ("optimizer=Adam", "optim=adam"),
        ("data=/srv/nemo", "dataset.root=/srv/nemo"),
        ("alpha=0.1", "arelu.alpha=0.1"),
        ("optim.lr=0,001", "optim.lr=0.001"),
        ("optim.lr=0,5", "optim.lr=0.5"),
        ("trainer.patience=none", "trainer.patience=null"),
        ("dataset=/srv/nemo", "dataset.root=/srv/nemo"),
        ("activation = tanh", "activation=tanh"),
        ("activation= tanh", "activation=tanh"),
        ("activation =tanh", "activation=tanh"),
        ("'activation = tanh'", "activation=tanh"),
        ("activation tanh", "activation=tanh"),
        ("tanh", "activation=tanh"),
        ("arelu.alpha 0.1", "arelu.alpha=0.1"),
        ("lr 0.1", "optim.lr=0.1"),
        ("'trainer.steps: 5'", "trainer.steps=5"),
        ("dataset.root=/my data", "dataset.root=/my data"),
        ("dataset.root=/a,b", 'dataset.root="/a,b"'),
    ],
)
def test_the_line_that_works_is_given_and_works(typed: str, line: str) -> None:
    message = refusal(typed)
    assert shlex.quote(line) in message
    assert "\n" not in message
    compose([line])


@pytest.mark.parametrize("line", ["optim.lr=0,001", "seeds=0,1,2", "lr=0.1,0.2", "tanh"])
def test_a_sweep_is_answered_likewise(line: str) -> None:
    with pytest.raises(RequestError, match=r"optim\.lr=0\.001|seeds=\[0,1,2\]|optim\.lr=|=tanh"):
        read_sweep([line])


def test_a_list_where_one_value_is_needed_is_answered_with_the_sweep() -> None:
    assert refusal("optim.lr=[0.1,0.2]").endswith("write sercli sweep optim.lr=0.1,0.2")
    assert refusal("optim.lr=0,01,0,001").endswith("write optim.lr=0.01,0.001")


def test_a_comma_that_can_be_a_list_stays_one_in_a_sweep() -> None:
    for text in ("arelu.beta=0,1", "trainer.steps=10,20", "seeds=[0],[1]"):
        assert parse([text])[0].is_sweep_override()


def test_an_option_or_a_plan_taken_for_an_override_is_named() -> None:
    assert refusal("trials=60") == "unknown key 'trials'; it is an option: --trials 60"
    assert refusal("table1").endswith("a plan is given by --plan table1")
    assert refusal("my/plan.yaml").endswith("a plan is given by --plan my/plan.yaml")


def test_an_option_of_a_feature_set_means_no_setting_of_another_group() -> None:
    assert "precision" not in refusal("features.options.dtype=float16")
    assert refusal("features.options.sr=8000").endswith("write features.sampling_rate=8000")


def test_keys_that_nothing_resembles_are_five_in_three_lines() -> None:
    message = refusal("hydra.verbose=true")
    assert message.startswith("unknown key 'hydra.verbose'. Nearest: ")
    assert message.count(",") == 4
    assert len(message) < 240


def test_every_synonym_is_no_key_itself_and_means_one_that_exists() -> None:
    leaves = [key.split(".") for key in default_settings()]
    keys = {".".join(parts[:n]) for parts in leaves for n in (1, 2, 3)}
    assert {name for name in _MEANT if meant_key(name, keys) is None} == set()
    assert {name for name in _MEANT if name in keys} == {"activation.alpha", "activation.beta"}


def test_what_means_nothing_is_not_mended() -> None:
    assert [mend(text) for text in ("what=5", "x", "=", "seeds=", "~model=x")] == [None] * 5
