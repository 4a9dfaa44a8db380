"""Parse one override: Hydra's grammar, extended to free text.

The grammar accepts ASCII letters, digits and a few signs. Here the value of a text setting is taken
literally, ``dataset.root=/srv/Möbius (v2)``: only quotes, null, ``${…}`` and a list of several
values keep their meaning. A path expands ``~``. Keys of mappings are always text.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, QuotedString, ValueType
from hydra.errors import HydraException

from sercli.config.settings import is_path, kind_of

CLASSES = "dataset.classes"

_PARTS = re.compile(r"(\+\+|\+|~|)([^=+~][^=]*)(?:=(.*))?", re.DOTALL)
_TYPES = {"": OverrideType.CHANGE, "+": OverrideType.ADD, "++": OverrideType.FORCE_ADD}
_KEY = re.compile(r"[\w.-]+")
_NESTED = re.compile(r"""["'\[{]|\w+\(""")
"""The beginning of a quotation, a list, a mapping or a function."""


def parse_one(parser: OverridesParser, text: str, open_keys: tuple[str, ...]) -> Override | None:
    """Parse one override.

    Args:
        parser: Hydra's parser.
        text: The override.
        open_keys: Beginnings of keys that the user may add; the rest of the key may be any text.

    Returns:
        The override; None if the text is not one.
    """
    parts = _PARTS.fullmatch(text)
    if parts is None:
        return None
    parsed = _by_hydra(parser, text)
    sign, key, words = parts.groups()
    if parsed is None and key.startswith(open_keys):
        parsed = _by_hydra(parser, text.replace(key, "key", 1))
        parsed = parsed and replace(parsed, key_or_group=key, input_line=text)
    if words is None or (parsed and (parsed.is_delete() or parsed.is_sweep_override())):
        return parsed
    if parsed is not None:
        return replace(parsed, _value=_as_meant(parsed, words.strip()))
    return _beside_grammar(text, sign, key, words.strip(), open_keys)


def from_yaml(key: str, value: Any) -> Override:
    """Return the override for a setting of a YAML file, whose text is taken literally."""
    written = "null" if value is None else str(value)
    written = written.lower() if isinstance(value, bool) else written
    if kind_of(key) is str and value is not None and not isinstance(value, list | dict):
        value = _text(key, written)
    return Override(
        OverrideType.CHANGE, key, ValueType.ELEMENT, value, input_line=f"{key}={written}"
    )


def _by_hydra(parser: OverridesParser, text: str) -> Override | None:
    try:
        return parser.parse_overrides([text])[0]
    except HydraException:
        return None


def _as_meant(parsed: Override, words: str) -> Any:
    """Return the intended value: text for a text setting, even for 1e3 and true."""
    key, raw, value = parsed.key_or_group, parsed._value, parsed.value()
    if isinstance(value, dict) and not is_path(key):
        return (key == CLASSES and _classes(words)) or _with_text_keys(value)
    if kind_of(key) is not str or value is None:
        return raw
    if isinstance(value, list) and not is_path(key):
        return raw
    return _text(key, str(value) if isinstance(raw, QuotedString) else words)


def _beside_grammar(
    text: str, sign: str, key: str, words: str, open_keys: tuple[str, ...]
) -> Override | None:
    """Parse an override that Hydra refuses; None if it means nothing."""
    kind = kind_of(key)
    nested = _NESTED.match(words) is not None
    unknown = "." not in key and kind in (None, dict)  # a choice, or a key to be refused by name
    value: Any = None
    if kind is str:
        value = _text(key, words)
    elif words.startswith("{") and kind in (dict, Any):
        value = _classes(words) if key == CLASSES else _mapping(words, _TextKeys)
    elif not nested and (unknown or kind is Any) and key != CLASSES:
        value = words
    if value is None or not (_KEY.fullmatch(key) or key.startswith(open_keys)):
        return None
    if sign not in _TYPES:
        return None
    return Override(_TYPES[sign], key, ValueType.ELEMENT, value, input_line=text)


def _text(key: str, words: str) -> str:
    """Return the value of a text setting; of a path with ``~`` expanded, where there is a home."""
    return os.path.expanduser(words) if is_path(key) else words  # noqa: PTH111 - as it is written


def _with_text_keys(value: Any) -> Any:
    """Return nested mappings with keys as YAML writes them: 0, null and true name things too."""
    if isinstance(value, dict):
        return {_key_text(key): _with_text_keys(each) for key, each in value.items()}
    return [_with_text_keys(each) for each in value] if isinstance(value, list) else value


def _key_text(key: Any) -> str:
    if isinstance(key, str):
        return str(key)
    return "null" if key is None else str(key).lower()


class _TextKeys(yaml.SafeLoader):
    """A loader whose keys are the text that is written; values have types."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping of text to values."""
        return {
            self.construct_scalar(key): self.construct_object(value, deep=True)
            for key, value in node.value
        }


def _mapping(words: str, loader: type[Any]) -> dict[str, Any] | None:
    """Parse a mapping in YAML; None for anything else."""
    try:
        value = yaml.load(words, loader)  # noqa: S506, both loaders build plain values only
    except yaml.YAMLError:
        return None
    return value if isinstance(value, dict) else None


def _classes(words: str) -> dict[str, str] | None:
    """Parse a mapping of text to text: "007" and "True" stay as they are written."""
    for spaced in (words, words.replace(":", ": ")):
        value = _mapping(spaced, yaml.BaseLoader)
        if value and all(isinstance(each, str) and each for each in [*value, *value.values()]):
            return value
    return None
