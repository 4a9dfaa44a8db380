"""Frozen configurations: a sweep's configuration as it was planned, immune to later edits.

`freeze` writes down every value, so that neither the YAML files nor the defaults of the code are
read again; `thaw` sets the values of a trial in it. Interpolations are kept: an ``arelu.alpha``
that is set later still reaches ``activation.alpha``. A frozen text is data. It may refer to its
own keys (``${arelu.alpha}``) and to nothing else.

OmegaConf would take two minutes to set the values of the 10 000 trials of a grid. Nearly all are
therefore set in a configuration that is already resolved (`sercli.config.resolved`).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, cast

import yaml
from omegaconf import AnyNode, DictConfig, FloatNode, IntegerNode, Node, OmegaConf

from sercli.config.check import check
from sercli.config.choices import refused_in_one_line
from sercli.config.compose import compose_unresolved
from sercli.config.keys import flatten
from sercli.config.resolved import Resolved, calls_resolver
from sercli.config.schema import Config
from sercli.errors import RequestError, nearest
from sercli.untrusted import parse_yaml


def freeze(overrides: Sequence[str]) -> str:
    """Compose a configuration and return it as text.

    Args:
        overrides: Hydra overrides without sweeps.

    Returns:
        YAML with the ``overrides``, the ``choices`` (group → file) and the ``configuration``.

    Raises:
        RequestError: The overrides are invalid, or a value calls a resolver (``${oc.env:…}``).
    """
    node, choices = compose_unresolved(overrides)
    configuration = OmegaConf.to_container(node, resolve=False)
    _refuse_resolvers(configuration)
    content = {"overrides": list(overrides), "choices": choices, "configuration": configuration}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def thaw(text: str, settings: Mapping[str, Any]) -> Config:
    """Return the configuration of a frozen text, with some settings replaced.

    Args:
        text: Result of `freeze`.
        settings: Dotted key → value; the keys are leaves of the configuration.

    Raises:
        RequestError: A setting is unknown, of the wrong type or out of range, or the text is
            damaged.
    """
    frozen = _read(text)
    _refuse_resolvers(settings)
    for key in settings:
        _leaf(text, key)  # refuse an unknown one
    config = frozen.resolved.replaced(settings) or _thaw_all(frozen.resolved.node, settings)
    check(config)
    return config


def dimensions_of(text: str) -> list[str]:
    """Return ``dataset.dimensions`` of a frozen configuration."""
    found: list[str] = _content(text)["configuration"]["dataset"].get("dimensions", [])
    return found


def overrides_of(text: str) -> tuple[str, ...]:
    """Return the overrides of a frozen configuration, without the name of the experiment.

    An experiment may be renamed, and its trials are the same.
    """
    return tuple(each for each in _read(text).overrides if not each.startswith("experiment="))


def choices_of(text: str) -> Mapping[str, str]:
    """Return the choice of each group in a frozen configuration."""
    return _read(text).choices


def leaves_of(text: str) -> tuple[str, ...]:
    """Return the dotted keys of the leaves of a frozen configuration, in order."""
    return tuple(flatten(_content(text)["configuration"]))


def number_kind(text: str, key: str) -> type[int] | type[float] | None:
    """Return the numeric type of a leaf of a frozen configuration.

    Returns:
        The type in the schema, else that of the present value (null: float); None if it is no
        number.

    Raises:
        RequestError: There is no such leaf.
    """
    leaf = _leaf(text, key)
    if isinstance(leaf, AnyNode):
        value = OmegaConf.select(_read(text).resolved.node, key)
        return {int: int, float: float, type(None): float}.get(type(value))
    if isinstance(leaf, IntegerNode):
        return int
    return float if isinstance(leaf, FloatNode) else None


@dataclass(frozen=True)
class _Frozen:
    """A parsed frozen text.

    Attributes:
        overrides: Overrides it was composed of.
        choices: Group → choice.
        resolved: The configuration; not resolved if a value is missing (``???``).
    """

    overrides: tuple[str, ...]
    choices: Mapping[str, str]
    resolved: Resolved


@lru_cache(maxsize=64)
def _read(text: str) -> _Frozen:
    content = _content(text)
    _refuse_resolvers(content["configuration"])
    with refused_in_one_line():
        node = cast("DictConfig", OmegaConf.merge(_schema(), content["configuration"]))
        OmegaConf.set_struct(node, True)  # as Hydra does: a misspelt key is an error
        leaves = flatten(content["configuration"], lists=True)
        missing = [key for key, value in leaves.items() if value == "???"]
        for key in missing:  # merging takes the default of the schema instead
            OmegaConf.update(node, key, "???")
        config = None if missing else cast("Config", OmegaConf.to_object(node))
    resolved = Resolved(node, config, leaves)
    return _Frozen(tuple(content["overrides"]), content["choices"], resolved)


@lru_cache(maxsize=64)
def _content(text: str) -> dict[str, Any]:
    damaged = RequestError("a frozen configuration is damaged; plan the sweep again")
    try:
        content = parse_yaml(text)
    except yaml.YAMLError as error:
        raise damaged from error
    kinds = {"overrides": list, "choices": dict, "configuration": dict}
    if not isinstance(content, dict) or any(
        not isinstance(content.get(name), kind) for name, kind in kinds.items()
    ):
        raise damaged
    return content


@cache
def _schema() -> DictConfig:
    return cast("DictConfig", OmegaConf.structured(Config))


def _thaw_all(node: DictConfig, settings: Mapping[str, Any]) -> Config:
    """Set and resolve by OmegaConf, which supports every kind of value and reference."""
    node = copy.deepcopy(node)
    with refused_in_one_line():
        for key, value in settings.items():
            OmegaConf.update(node, key, value)
        return cast("Config", OmegaConf.to_object(node))


def _leaf(text: str, key: str) -> Node:
    """Return the node of a setting.

    Raises:
        RequestError: There is none.
    """
    node = _read(text).resolved.leaf(key)
    if node is None:
        raise RequestError(f"unknown key '{key}'.{nearest(key, leaves_of(text))}")
    return node


def _refuse_resolvers(content: Any) -> None:
    for key, value in flatten(content, lists=True).items():
        if calls_resolver(value):
            raise RequestError(
                f"{key}={value}: a sweep stores values and calls no resolver; "
                "write the value itself"
            )
