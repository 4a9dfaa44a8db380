"""The files of a set of choices, composed of parts, equal what Hydra composes."""

from __future__ import annotations

from typing import Any

import hydra
import pytest
from omegaconf import DictConfig, OmegaConf

from sercli.config.choices import compose_choices
from sercli.config.compose import names_of_choices
from sercli.config.keys import flatten
from sercli.config.settings import GROUPS
from sercli.config.sources import PRIMARY, start

SETS = {
    "the default": (),
    "one choice": ("model='maec'",),
    "a choice of each group": (
        *("dataset='iemocap'", "features='encoder'", "protocol='loso_speaker'"),
        *("augment=[speed,noise]", "model='iaan'", "cell='gru_tf'", "activation='tanh'"),
        *("optim='sgd'", "schedule='cosine'", "trainer='iaan'", "launcher='submitit'"),
    ),
    "a model that sets other groups": ("cell='lstm'", "activation='tanh'", "model='iaan_random'"),
    "a model that chooses its cell": ("dataset='iemocap'", "model='iaan_repo'"),
}


def shown(node: DictConfig) -> Any:
    """Return what can differ between two configurations."""
    kinds = {str(key): OmegaConf.get_type(node, str(key)) for key in node}
    return OmegaConf.to_yaml(node), kinds, repr(OmegaConf.to_object(node))


def assert_as_by_hydra(overrides: tuple[str, ...]) -> None:
    start()
    expected = hydra.compose(PRIMARY, list(overrides))
    composed = compose_choices(overrides)

    assert shown(composed.node) == shown(composed.copy()) == shown(expected)
    assert OmegaConf.is_struct(composed.copy())
    leaves = flatten(OmegaConf.to_container(expected))  # type: ignore[arg-type]
    assert set(leaves) <= composed.keys
    for override in overrides:
        group, choice = override.split("=")
        assert composed.choices[group] == choice.strip("'")


@pytest.mark.parametrize("overrides", SETS.values(), ids=SETS)
def test_choices_are_composed_as_by_hydra(overrides: tuple[str, ...]) -> None:
    assert_as_by_hydra(overrides)


@pytest.mark.exhaustive
@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_is_composed_as_by_hydra(group: str) -> None:
    for name in names_of_choices(group):
        assert_as_by_hydra((f"{group}='{name}'",))
