"""Shell completion of overrides."""

from __future__ import annotations

from collections.abc import Mapping

from sercli.config.compose import GROUPS, default_settings, list_choices


def complete(incomplete: str, key: str | None = None) -> list[str]:
    """Return the overrides that start with ``incomplete``.

    They are each group with each of its choices, and each key with its default value.

    Args:
        incomplete: The typed part of the last word.
        key: Key that the shell has cut off the word (`key_cut_off`); values alone are returned
            then, because the shell keeps the text before them.
    """
    before = "" if key is None else f"{key}="
    return [
        text.removeprefix(before) for text in _overrides() if text.startswith(before + incomplete)
    ]


def key_cut_off(environment: Mapping[str, str]) -> str | None:
    """Return the key of the override being typed, if the shell has cut it off.

    Bash splits ``key=value`` into three words. It passes all words of the line, and the index of
    the current one, in COMP_WORDS and COMP_CWORD.
    """
    words = environment.get("COMP_WORDS", "").split("\n")
    typed = words[: int(environment.get("COMP_CWORD", "0")) + 1]
    match typed:
        case [*_, key, "="] | [*_, key, "=", _]:
            return key
    return None


def _overrides() -> list[str]:
    choices = [f"{group}={choice.name}" for group in GROUPS for choice in list_choices(group)]
    return choices + [f"{key}={written(value)}" for key, value in default_settings().items()]


def written(value: object) -> str:
    """Return a default as an override writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace(" ", "")


def complete_settings(incomplete: str) -> list[str]:
    """Return the groups and keys that start with ``incomplete``."""
    return [name for name in (*GROUPS, *default_settings()) if name.startswith(incomplete)]
