"""What differs between two nested descriptions: configurations, environments, protocol cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final


class _Absent(Enum):
    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""Stands for the value of a key that one side does not have; null is a value."""


@dataclass(frozen=True)
class Difference:
    """A key with two values.

    Attributes:
        key: With dots.
        left: Its value on the one side, or `ABSENT`.
        right: Its value on the other.
    """

    key: str
    left: Any
    right: Any

    @property
    def in_left(self) -> bool:
        """Whether the left side has the key at all."""
        return self.left is not ABSENT

    def to_json(self) -> dict[str, Any]:
        """Return it as what ``json`` can write; an absent side has no entry."""
        sides = {"key": self.key, "left": self.left, "right": self.right}
        return {name: value for name, value in sides.items() if value is not ABSENT}


def flatten(node: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by their keys with dots; lists are leaves.

    Args:
        node: The outermost mapping.
        before: What stands before every key.
    """
    flat: dict[str, Any] = {}
    for name, value in node.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = value
    return flat


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Difference]:
    """Compare two nested mappings leaf by leaf.

    Returns:
        The leaves that differ, in the order of ``left``, then those that only ``right`` has. A
        number differs from a text of the same letters, but 1 and 1.0 are equal.
    """
    one, other = flatten(left), flatten(right)
    pairs = ((key, one.get(key, ABSENT), other.get(key, ABSENT)) for key in one | other)
    return [Difference(*pair) for pair in pairs if not _equal(*pair[1:])]


def _equal(left: Any, right: Any) -> bool:
    """Compare as JSON does: true is not 1, which Python takes for equal."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)
