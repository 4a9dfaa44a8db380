"""Frozen configurations: a sweep's configuration as it was planned, immune to later edits.

`freeze` writes down every value, so that neither the YAML files nor the defaults of the code are
read again; `thaw` sets the values of a trial in it. Interpolations are kept: an ``arelu.alpha``
that is set later still reaches ``activation.alpha``. A frozen text is data. It may refer to its
own keys (``${arelu.alpha}``) and to nothing else.

OmegaConf takes 12 ms to set a value and resolve the whole, so that the 10 000 trials of a grid
would take two minutes. Nearly all of them set plain values, followed by plain references.
Resolution of these is re-implemented here (`_thaw_plain`, `_followers`) and takes 0.25 ms;
everything else is left to OmegaConf (`_thaw_all`).
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
    leaves = {key: _leaf(text, key) for key in settings}
    if all(map(_is_plain, leaves.values(), settings.values())):
        config = _thaw_plain(text, frozen, settings)
    else:
        config = None
    config = config or _thaw_all(frozen.node, settings)
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
        value = OmegaConf.select(_read(text).node, key)
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
        node: Configuration with types and interpolations; not to be changed.
        config: Resolved configuration; None if a value is missing (``???``).
    """

    overrides: tuple[str, ...]
    choices: Mapping[str, str]
    node: DictConfig
    config: Config | None


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
    return _Frozen(tuple(content["overrides"]), content["choices"], node, config)


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


def _thaw_plain(text: str, frozen: _Frozen, settings: Mapping[str, Any]) -> Config | None:
    """Set plain values in a resolved configuration; None where OmegaConf is needed."""
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
        return None  # OmegaConf gives the better message for the whole
    config = copy.deepcopy(frozen.config)
    for key, value in values.items():
        _put(config, key, value)
    return config


@lru_cache(maxsize=1024)
def _leaf(text: str, key: str) -> Node:
    """Return the node of a setting.

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
    """True if a node can have keys below it."""
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
                f"{key}={value}: a sweep stores values and calls no resolver; "
                "write the value itself"
            )


@lru_cache(maxsize=256)
def _followers(text: str, keys: tuple[str, ...]) -> dict[str, str] | None:
    """Return the leaves that refer to one of ``keys``, directly or through another leaf.

    Returns:
        Leaf → the leaf it refers to, which is in ``keys`` or comes earlier; None if a leaf is
        more than a reference (``${paths.data}/x``).
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
    """True if a value may change with ``key``; a relative or indexed reference always may."""
    return any(
        name.startswith(".") or "[" in name or f"{key}.".startswith(f"{name}.")
        for name in _REFERENCE.findall(value)
    )


def _is_plain(leaf: Node, value: Any) -> bool:
    """True if setting the leaf to the value changes one leaf: no tree, no reference."""
    if isinstance(value, str) and ("${" in value or value == "???"):
        return False
    return isinstance(leaf, ValueNode) and isinstance(value, bool | int | float | str | None)
