"""Nested settings by their dotted keys: leaves, differences, and the aliases of AReLU.

A person sets AReLU's parameters as ``arelu.alpha``, whichever activation is chosen, so that
``activation=tanh,arelu arelu.alpha=0.01,0.9`` is a grid. The activation holds them too, as
``activation.alpha`` (conf/activation/arelu.yaml), and only there they are part of a run's key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

ARELU = "arelu"
"""Name of the activation, and of the top-level node that sets its parameters."""

ALPHA, BETA = f"{ARELU}.alpha", f"{ARELU}.beta"


class _Absent(Enum):
    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""The value of a key that one side does not have; null is a value."""


@dataclass(frozen=True)
class Difference:
    """A key with two values.

    Attributes:
        key: Dotted key.
        left: Value on the left side, or `ABSENT`.
        right: Value on the right side, or `ABSENT`.
    """

    key: str
    left: Any
    right: Any

    @property
    def in_left(self) -> bool:
        """True if the left side has the key."""
        return self.left is not ABSENT

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; an absent side has no entry."""
        sides = {"key": self.key, "left": self.left, "right": self.right}
        return {name: value for name, value in sides.items() if value is not ABSENT}


def flatten(node: Mapping[str, Any], *, lists: bool = False) -> dict[str, Any]:
    """Return the leaves of nested mappings by their dotted keys; empty ones are leaves.

    Args:
        node: Outermost mapping.
        lists: Descend into lists too, as ``seeds[0]``; else a list is a leaf.

    >>> flatten({"optim": {"lr": 0.001, "clip_norm": None}, "seeds": [0, 1]})
    {'optim.lr': 0.001, 'optim.clip_norm': None, 'seeds': [0, 1]}
    """
    return dict(_leaves(node, "", lists)) if node else {}


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Difference]:
    """Compare two nested mappings leaf by leaf.

    Returns:
        The differing leaves in the order of ``left``, then those that only ``right`` has. A number
        differs from a text of the same letters, but 1 equals 1.0.

    >>> differences({"optim": {"lr": 0.1}}, {"optim": {"lr": 0.2}})
    [Difference(key='optim.lr', left=0.1, right=0.2)]
    """
    one, other = flatten(left), flatten(right)
    pairs = ((key, one.get(key, ABSENT), other.get(key, ABSENT)) for key in one | other)
    return [Difference(*pair) for pair in pairs if not _equal(*pair[1:])]


def arelu_aliases(activation: Mapping[str, Any]) -> dict[str, Any]:
    """Return an activation's settings under the keys by which they were set.

    Args:
        activation: The node ``activation`` of a configuration.

    Returns:
        ``arelu.alpha`` and its like; nothing for another activation.

    >>> arelu_aliases({"name": "arelu", "alpha": 0.1})
    {'arelu.alpha': 0.1}
    """
    if activation["name"] != ARELU:
        return {}
    return {f"{ARELU}.{key}": value for key, value in activation.items() if key != "name"}


def augmentations(configuration: Mapping[str, Any]) -> str:
    """Return the names of the augmentations in a configuration.

    >>> augmentations({"augment": {"speed": {}, "noise": {}}}), augmentations({})
    ('speed+noise', 'none')
    """
    return "+".join(configuration.get("augment", {})) or "none"


def stream_choices(configuration: Mapping[str, Any]) -> dict[str, str]:
    """Return the name of the features of each stream in a configuration, by its key.

    >>> stream_choices({"streams": {"text": {"name": "word_vectors"}}}), stream_choices({})
    ({'streams.text': 'word_vectors'}, {})
    """
    streams = configuration.get("streams", {})
    return {f"streams.{name}": stream["name"] for name, stream in streams.items()}


def _leaves(node: Any, key: str, lists: bool) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping) and node:
        for name, value in node.items():
            yield from _leaves(value, f"{key}.{name}" if key else str(name), lists)
    elif lists and isinstance(node, list) and node:
        for position, value in enumerate(node):
            yield from _leaves(value, f"{key}[{position}]", lists)
    else:
        yield key, node


def _equal(left: Any, right: Any) -> bool:
    """Compare as JSON does: true is not 1, which Python takes for equal."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)
