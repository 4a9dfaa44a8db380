"""Completion of overrides on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from sercli.config.compose import GROUPS, default_value, known_keys, list_choices


def complete(words: Sequence[str], incomplete: str, *, splits_at_equals: bool) -> list[str]:
    """Propose overrides that begin like ``incomplete``.

    A group is proposed with each of its choices, a key with its default value.

    Args:
        words: The words before the incomplete one.
        incomplete: What was typed of the last word.
        splits_at_equals: Whether the shell takes ``key``, ``=`` and ``value`` for three words,
            as bash does; then only the value may be proposed.
    """
    if splits_at_equals and "=" in (incomplete, *words[-1:]):
        key = words[-1] if incomplete == "=" else words[-2] if len(words) > 1 else ""
        typed = "" if incomplete == "=" else incomplete
        proposals = (text.partition("=")[2] for text in _overrides() if text.startswith(f"{key}="))
        return [value for value in proposals if value.startswith(typed)]
    return [text for text in _overrides() if text.startswith(incomplete)]


def _overrides() -> list[str]:
    choices = [f"{group}={choice.name}" for group in GROUPS for choice in list_choices(group)]
    return choices + [f"{key}={_written(default_value(key))}" for key in _leaves()]


def _leaves() -> list[str]:
    keys = known_keys()
    return [
        key
        for key in keys
        if not any(other.startswith(f"{key}.") for other in keys) and key not in GROUPS
    ]


def _written(value: object) -> str:
    """Write a default as an override would."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace(" ", "")
