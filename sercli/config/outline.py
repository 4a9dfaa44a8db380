"""Default configuration for completion, read without Hydra, whose import takes a second."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sercli.config.keys import flatten
from sercli.config.settings import GROUPS, choice_names, schema_settings
from sercli.config.sources import PRIMARY, ROOTS, own_defaults, user_folders
from sercli.resources import packaged
from sercli.untrusted import read_yaml

_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


def outline_choices(group: str) -> list[str]:
    """Return the names of the choices of a group."""
    files = (path for folder in _folders() for path in (folder / group).glob("*.yaml"))
    return sorted({path.stem for path in files})


def outline_settings() -> dict[str, Any]:
    """Return the leaves of the default configuration by their dotted keys.

    >>> outline_settings()["model.hidden"]
    32
    """
    own = {each.key: each.value for each in own_defaults() if not each.key.startswith(ROOTS)}
    found: dict[str, dict[str, Any]] = {}
    for key, setting in schema_settings().items():
        found.setdefault(key.partition(".")[0], {}).update(flatten({key: setting.default}))
    for group, choice in (_default_choices() | own).items():
        if group in GROUPS:
            for name in choice_names(group, choice):
                _merge(found.setdefault(group, {}), dict(_settings(group, name)))
    every = {key: value for settings in found.values() for key, value in settings.items()}
    every |= {key: value for key, value in own.items() if key not in GROUPS}
    return {key: _resolved(value, every) for key, value in every.items()}


def _merge(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    """Set leaves; a leaf replaces the empty mapping that it is in."""
    for key, value in changes.items():
        parent = key.rpartition(".")[0]
        if isinstance(settings.get(parent), dict):
            del settings[parent]
        settings[key] = value


def _folders() -> list[Path]:
    return [*user_folders(), packaged("conf")]


def _default_choices() -> dict[str, Any]:
    entries = _load(packaged("conf") / f"{PRIMARY}.yaml")["defaults"]
    return {group: each[group] for each in entries if isinstance(each, dict) for group in each}


def _settings(group: str, choice: str) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a choice, after those of the choices that it is based on."""
    paths = (folder / group / f"{choice}.yaml" for folder in _folders())
    path = next(filter(Path.is_file, paths), None)
    content = _load(path) if path else {}
    for base in content.pop("defaults", []):
        if isinstance(base, str) and base != "_self_":
            yield from _settings(group, base)
    for key, value in flatten(content).items():
        yield f"{group}.{key}", value


def _load(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    return content if isinstance(content, dict) else {}


def _resolved(value: Any, settings: dict[str, Any]) -> Any:
    """Replace references to other settings."""
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return _resolved(settings.get(whole[1]), settings)
    return _REFERENCE.sub(lambda each: str(_resolved(settings.get(each[1]), settings)), value)
