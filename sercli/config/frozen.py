"""A configuration as it was when a sweep was planned: a text that no later edit changes.

A frozen text holds every value of the configuration, so that neither the YAML files nor the
defaults of the code are asked again. Interpolations stay as they are written: an ``arelu.alpha``
that is set later still reaches ``activation.alpha``. The text is data. It may refer to its own
keys (``${arelu.alpha}``), and to nothing else.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, cast

import yaml
from omegaconf import AnyNode, DictConfig, FloatNode, IntegerNode, Node, OmegaConf, ValueNode
from omegaconf.errors import OmegaConfBaseException

from sercli.config.check import check
from sercli.config.compose import compose_unresolved, refused_in_one_line
from sercli.config.keys import flatten
from sercli.config.schema import Config
from sercli.errors import RequestError, nearest


def freeze(overrides: Sequence[str]) -> str:
    """Compose a configuration and write it down as it is now.

    Args:
        overrides: Hydra overrides without sweeps.

    Returns:
        YAML with the ``overrides``, the ``choices`` (group → file) and the ``configuration``.

    Raises:
        RequestError: The overrides make no sense, or a value calls a resolver (``${oc.env:…}``).
    """
    node, choices = compose_unresolved(overrides)
    configuration = OmegaConf.to_container(node, resolve=False)
    _refuse_resolvers(configuration)
    page = {"overrides": list(overrides), "choices": choices, "configuration": configuration}
    return yaml.safe_dump(page, sort_keys=False, allow_unicode=True)


def thaw(text: str, settings: Mapping[str, Any]) -> Config:
    """Make the configuration of a frozen text with some of its settings replaced.

    Reading a text takes some 30 ms; thawing it again with other plain values 0.1 ms.

    Args:
        text: What `freeze` wrote.
        settings: Key with dots → value; the keys are leaves of the configuration.

    Raises:
        RequestError: A setting is unknown, of the wrong type or out of range, or the text is
            damaged.
    """
    frozen = _read(text)
    _refuse_resolvers(settings)
    leaves = {key: _leaf(text, key) for key in settings}
    if all(map(_stands_for_itself, leaves.values(), settings.values())):
        config = _thaw_simply(text, frozen, settings)
    else:
        config = None
    config = config or _thaw_all(frozen.node, settings)
    check(config)
    return config


def overrides_of(text: str) -> tuple[str, ...]:
    """Return the overrides that a frozen configuration was composed of."""
    return _read(text).overrides


def choices_of(text: str) -> Mapping[str, str]:
    """Return which file of each group a frozen configuration was composed of."""
    return _read(text).choices


def leaves_of(text: str) -> tuple[str, ...]:
    """Return the keys of a frozen configuration that have no keys below them, in order."""
    return tuple(flatten(_content(text)["configuration"]))


def number_kind(text: str, key: str) -> type[int] | type[float] | None:
    """Say which numbers a leaf of a frozen configuration holds.

    Returns:
        The type that the schema states, else that of its present value (null: float); None where
        it holds no numbers.

    Raises:
        RequestError: There is no such leaf.
    """
    leaf = _leaf(text, key)
    if isinstance(leaf, AnyNode):
        value = OmegaConf.select(_read(text).node, key)
        return {int: int, float: float, type(None): float}.get(type(value))
    if isinstance(leaf, IntegerNode):
        return int
    return float if isinstance(leaf, FloatNode) else None


@dataclass(frozen=True)
class _Frozen:
    """A frozen text, read.

    Attributes:
        overrides: What it was composed of.
        choices: Group → choice.
        node: The configuration with its types and interpolations; not to be changed.
        config: The same resolved; None where a value is still missing (``???``).
    """

    overrides: tuple[str, ...]
    choices: Mapping[str, str]
    node: DictConfig
    config: Config | None


@lru_cache(maxsize=64)
def _read(text: str) -> _Frozen:
    page = _content(text)
    _refuse_resolvers(page["configuration"])
    with refused_in_one_line():
        node = cast("DictConfig", OmegaConf.merge(_schema(), page["configuration"]))
        OmegaConf.set_struct(node, True)  # as Hydra does: else a misspelt key would be a new one
        missing = [key for key, value in flatten(page["configuration"]).items() if value == "???"]
        for key in missing:  # what merging would have taken for "as the schema says"
            OmegaConf.update(node, key, "???")
        config = None if missing else cast("Config", OmegaConf.to_object(node))
    return _Frozen(tuple(page["overrides"]), page["choices"], node, config)


@lru_cache(maxsize=64)
def _content(text: str) -> dict[str, Any]:
    damaged = RequestError("a frozen configuration is damaged; plan the sweep again")
    try:
        page = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise damaged from error
    kinds = {"overrides": list, "choices": dict, "configuration": dict}
    if not isinstance(page, dict) or any(
        not isinstance(page.get(name), kind) for name, kind in kinds.items()
    ):
        raise damaged
    return page


@cache
def _schema() -> DictConfig:
    return cast("DictConfig", OmegaConf.structured(Config))


def _thaw_all(node: DictConfig, settings: Mapping[str, Any]) -> Config:
    """Set and resolve by OmegaConf, which knows every kind of value and reference."""
    node = copy.deepcopy(node)
    with refused_in_one_line():
        for key, value in settings.items():
            OmegaConf.update(node, key, value)
        return cast("Config", OmegaConf.to_object(node))


def _thaw_simply(text: str, frozen: _Frozen, settings: Mapping[str, Any]) -> Config | None:
    """Do the same to a resolved configuration, 30 times as fast; None where that will not do."""
    followers = _followers(text, tuple(settings))
    if frozen.config is None or followers is None:
        return None
    values: dict[str, Any] = {}
    try:
        for key, value in settings.items():
            values[key] = _typed(text, key, value)
        for key, source in followers.items():
            values[key] = _typed(text, key, values[source])
    except OmegaConfBaseException:
        return None  # what is wrong is better said by OmegaConf as a whole
    config = copy.deepcopy(frozen.config)
    for key, value in values.items():
        _put(config, key, value)
    return config


@lru_cache(maxsize=1024)
def _leaf(text: str, key: str) -> Node:
    """Find the node of a setting.

    Raises:
        RequestError: There is none.
    """
    node: Any = _read(text).node
    for name in key.split("."):
        node = node._get_node(name, validate_access=False) if _is_open(node) else None
    if node is None:
        raise RequestError(f"unknown key '{key}'.{nearest(key, leaves_of(text))}")
    return cast("Node", node)


def _is_open(node: Any) -> bool:
    """Whether a node can have keys below it."""
    return isinstance(node, DictConfig) and not (
        node._is_none() or node._is_interpolation() or node._is_missing()
    )


def _typed(text: str, key: str, value: Any) -> Any:
    return cast("ValueNode", _leaf(text, key)).validate_and_convert(value)


def _put(config: Any, key: str, value: Any) -> None:
    *path, last = key.split(".")
    for name in path:
        config = config[name] if isinstance(config, dict) else getattr(config, name)
    if isinstance(config, dict):
        config[last] = value
    else:
        setattr(config, last, value)


_REFERENCE = re.compile(r"\$\{([^${}:]*)\}")
_WHOLE = re.compile(r"\$\{([\w.-]*\w)\}")


def _refuse_resolvers(content: Any) -> None:
    for key, value in flatten(content, lists=True).items():
        if isinstance(value, str) and "${" in _REFERENCE.sub("", value):
            raise RequestError(
                f"{key}={value}: a sweep keeps values, and calls nothing to find them; "
                "write the value itself"
            )


@lru_cache(maxsize=256)
def _followers(text: str, keys: tuple[str, ...]) -> dict[str, str] | None:
    """Find the leaves that repeat the value of one of ``keys``, directly or by another leaf.

    Returns:
        Leaf → the leaf that it repeats, which stands in ``keys`` or before it; None where a leaf
        makes something else of such a value (``${paths.data}/x``).
    """
    links = {
        key: value
        for key, value in flatten(_content(text)["configuration"], lists=True).items()
        if isinstance(value, str) and "${" in value and key not in keys
    }
    followers: dict[str, str] = {}
    changed = list(keys)
    for source in changed:
        for key in [key for key, value in links.items() if _refers(value, source)]:
            whole = _WHOLE.fullmatch(links.pop(key))
            if whole is None or whole[1] != source or "[" in key:
                return None
            followers[key] = source
            changed.append(key)
    return followers


def _refers(value: str, key: str) -> bool:
    """Whether a value may change with ``key``; of a relative or indexed reference nobody knows."""
    return any(
        name.startswith(".") or "[" in name or f"{key}.".startswith(f"{name}.")
        for name in _REFERENCE.findall(value)
    )


def _stands_for_itself(leaf: Node, value: Any) -> bool:
    """Whether setting a leaf to a value is no more than that: no tree, no reference."""
    if isinstance(value, str) and ("${" in value or value == "???"):
        return False
    return isinstance(leaf, ValueNode) and isinstance(value, bool | int | float | str | None)
