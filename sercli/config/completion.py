"""Shell completion of overrides; Hydra is not imported, which would take a second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sercli.config.check import allowed_values
from sercli.config.outline import outline_choices, outline_settings
from sercli.config.settings import GROUPS, STREAMS


def complete(incomplete: str, key: str | None = None) -> list[str]:
    """Return the overrides that start with ``incomplete``.

    These are all groups with their choices, and all keys with their defaults; after ``=``, also
    the allowed values of a setting, if they are a fixed list.

    Args:
        incomplete: The typed part of the last word.
        key: Key that the shell has cut off the word (`key_cut_off`); values alone are returned
            then, because the shell keeps the text before them.
    """
    before = "" if key is None else f"{key}="
    typed = before + incomplete
    settings = outline_settings()
    every = [*_values(typed, settings), *_overrides(settings), *_of_stream(typed, settings)]
    proposals = dict.fromkeys(every)
    return [text.removeprefix(before) for text in proposals if text.startswith(typed)]


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


def complete_settings(incomplete: str) -> list[str]:
    """Return the groups and keys that start with ``incomplete``."""
    return [name for name in (*GROUPS, *outline_settings()) if name.startswith(incomplete)]


def written(value: object) -> str:
    """Return a default in the syntax of an override."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace(" ", "")


def _values(typed: str, settings: Mapping[str, Any]) -> list[str]:
    key, given, _ = typed.partition("=")
    if not given:
        return []
    values = allowed_values(key)
    if not values and isinstance(settings.get(key), bool):
        values = ("true", "false")
    return [f"{key}={value}" for value in values]


def _of_stream(typed: str, settings: Mapping[str, Any]) -> list[str]:
    """Return the overrides of the stream being typed; before its name is, of ``streams.text``."""
    head, *below = typed.partition("=")[0].split(".")
    if not head or not STREAMS.startswith(head):
        return []
    key = f"{STREAMS}.{next(filter(None, below), 'text')}"
    of_set = {name: value for name, value in settings.items() if name.startswith("features.")}
    choices = [f"{key}={name}" for name in outline_choices("features")]
    return choices + [f"{key}{x.removeprefix('features')}={written(y)}" for x, y in of_set.items()]


def _overrides(settings: Mapping[str, Any]) -> list[str]:
    choices = [f"{group}={name}" for group in GROUPS for name in outline_choices(group)]
    keys = [key for key in settings if key not in (*GROUPS, STREAMS)]  # leaves out augment={}
    return choices + [f"{key}={written(settings[key])}" for key in keys]
