"""Values of a record as a reader sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sercli.reporting.table import NOTHING


def in_words(value: Any) -> str:
    """A value of a JSON document as a reader sees it."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} → {in_words(each)}" for key, each in value.items()) or NOTHING
    if isinstance(value, list):
        return ", ".join(map(in_words, value)) or NOTHING
    return str(value)
