"""Completion of overrides on the command line."""

from __future__ import annotations

from collections.abc import Mapping

from sercli.config.compose import GROUPS, default_value, known_keys, list_choices


def complete(incomplete: str, key: str | None = None) -> list[str]:
    """Propose overrides that begin like ``incomplete``.

    A group is proposed with each of its choices, a key with its default value.

    Args:
        incomplete: What was typed of the last word.
        key: The key that the shell has cut off the word (`key_cut_off`); only values are
            proposed then, because the shell keeps what stands before them.
    """
    before = "" if key is None else f"{key}="
    return [
        text.removeprefix(before) for text in _overrides() if text.startswith(before + incomplete)
    ]


def key_cut_off(environment: Mapping[str, str]) -> str | None:
    """Return the key of the override that is being typed, where the shell has cut it off.

    Bash takes ``key``, ``=`` and ``value`` for three words. It tells all words of the line, and
    which one is being typed, through COMP_WORDS and COMP_CWORD.
    """
    words = environment.get("COMP_WORDS", "").split("\n")
    typed = words[: int(environment.get("COMP_CWORD", "0")) + 1]
    match typed:
        case [*_, key, "="] | [*_, key, "=", _]:
            return key
    return None


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
