"""Set plain values in a configuration that is already resolved.

OmegaConf takes 12 ms to set a value and resolve the whole. Nearly all settings are plain values,
and the leaves that depend on them are plain references (``${arelu.alpha}``). Resolution of these
is re-implemented here and takes 0.25 ms; everything else is left to OmegaConf.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from omegaconf import DictConfig, Node, ValueNode
from omegaconf.errors import OmegaConfBaseException

from sercli.config.schema import Config

_REFERENCE = re.compile(r"\$\{([^${}:]*)\}")
_WHOLE = re.compile(r"\$\{([\w.-]*\w)\}")


def calls_resolver(value: Any) -> bool:
    """Return True for a text with a resolver.

    >>> calls_resolver("${oc.env:HOME}/x"), calls_resolver("${paths.data}/x")
    (True, False)
    """
    return isinstance(value, str) and "${" in _REFERENCE.sub("", value)


@dataclass(frozen=True, eq=False)
class Resolved:
    """A configuration before and after its interpolations are resolved.

    Attributes:
        node: Configuration with types and interpolations; not to be changed.
        config: Resolved configuration; None if it cannot be resolved as it is.
        leaves: Leaves of ``node``, those of lists too, by their dotted keys.
    """

    node: DictConfig
    config: Config | None
    leaves: Mapping[str, Any]

    def leaf(self, key: str) -> Node | None:
        """Return the node of a setting; None if there is none."""
        return _leaf(self, key)

    def replaced(self, settings: Mapping[str, Any]) -> Config | None:
        """Return a copy of the resolved configuration with settings replaced.

        Args:
            settings: Dotted key → value.

        Returns:
            The configuration, not checked; None where OmegaConf is needed: for a list or a
            mapping, an interpolation, a setting that is part of another's text
            (``${paths.data}/x``), an unknown key, or a value of the wrong type.
        """
        plain = all(_is_plain(self.leaf(key), value) for key, value in settings.items())
        followers = _followers(self, tuple(settings)) if plain and self.config else None
        if followers is None:
            return None
        values: dict[str, Any] = {}
        try:
            for key, value in settings.items():
                values[key] = self._typed(key, value)
            for key, source in followers.items():
                values[key] = self._typed(key, values[source])
        except OmegaConfBaseException:
            return None  # OmegaConf gives the better message for the whole
        config = copy.deepcopy(self.config)
        for key, value in values.items():
            _put(config, key, value)
        return config

    def _typed(self, key: str, value: Any) -> Any:
        return cast("ValueNode", self.leaf(key)).validate_and_convert(value)


@lru_cache(maxsize=1024)
def _leaf(resolved: Resolved, key: str) -> Node | None:
    node: Any = resolved.node
    for name in key.split("."):
        node = node._get_node(name, validate_access=False) if _is_open(node) else None
    return cast("Node | None", node)


def _is_open(node: Any) -> bool:
    """True if a node can have keys below it."""
    return isinstance(node, DictConfig) and not (
        node._is_none() or node._is_interpolation() or node._is_missing()
    )


def _is_plain(leaf: Node | None, value: Any) -> bool:
    """True if setting the leaf to the value replaces one leaf: no list, mapping or reference."""
    if isinstance(value, str) and ("${" in value or value == "???"):
        return False
    return isinstance(leaf, ValueNode) and isinstance(value, bool | int | float | str | None)


@lru_cache(maxsize=256)
def _followers(resolved: Resolved, keys: tuple[str, ...]) -> dict[str, str] | None:
    """Return the leaves that refer to one of ``keys``, directly or through another leaf.

    Returns:
        Leaf → the leaf it refers to, which is in ``keys`` or comes earlier; None if a leaf is
        more than a reference (``${paths.data}/x``).
    """
    links = {
        key: value
        for key, value in resolved.leaves.items()
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
    """True if a value may change with ``key``.

    A relative or indexed reference always may, and the result of a resolver.
    """
    return calls_resolver(value) or any(
        name.startswith(".") or "[" in name or f"{key}.".startswith(f"{name}.")
        for name in _REFERENCE.findall(value)
    )


def _put(config: Any, key: str, value: Any) -> None:
    *path, last = key.split(".")
    for name in path:
        config = config[name] if isinstance(config, dict) else getattr(config, name)
    if isinstance(config, dict):
        config[last] = value
    else:
        setattr(config, last, value)
