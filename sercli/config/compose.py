"""Compose a configuration from ``conf/`` and overrides with Hydra.

Hydra is started once per process and never torn down. Its messages do not suggest what the user
could have meant, so that keys and choices are checked here first. The files of a set of choices
are composed once (`sercli.config.choices`), and values are set in them: plain ones in the resolved
configuration (`sercli.config.resolved`), the rest as Hydra does it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_omega_conf_dumper

from sercli.config import hints
from sercli.config.check import check
from sercli.config.choices import Composed, compose_choices, refused_in_one_line
from sercli.config.keys import flatten
from sercli.config.parse import CLASSES, from_yaml, parse_one
from sercli.config.schema import Config, DatasetConfig, FeaturesConfig
from sercli.config.settings import GROUPS, PARTS, STREAMS, choice_names, group_of, kind_of
from sercli.config.sources import ROOTS, OwnDefault, own_defaults, start
from sercli.errors import RequestError

_OPEN = (
    *(CLASSES, "dataset.expected", "dataset.expected_in", "dataset.parts"),
    *("trainer.ccc_weights", "launcher.sbatch"),
)
OPEN_KEYS = tuple(f"{key}." for key in _OPEN)
"""Nodes to which a user may add keys: the task and the cluster are theirs to define."""

T = TypeVar("T")

_ROOT = "dataset.root"
_OF_MACHINE = ("launcher.", _ROOT)


@dataclass(frozen=True)
class Choice:
    """One choice of a group: a YAML file.

    Attributes:
        group: Name of the group.
        name: Name of the choice.
        description: First comment line of the file.
        default: True if it is chosen by default.
    """

    group: str
    name: str
    description: str
    default: bool


def compose(overrides: Sequence[str]) -> Config:
    """Compose one configuration.

    Args:
        overrides: Hydra overrides without sweeps ("arelu.alpha=0.1", "model=iaan").

    Raises:
        RequestError: An override cannot be parsed, names an unknown key or choice, has a
            value of the wrong type or out of range, or lists several values.

    >>> compose(["activation=tanh", "trainer.steps=200"]).trainer.steps
    200
    """
    request = _request(overrides)
    config = request.resolved()
    if config is None:
        with refused_in_one_line():
            config = cast("Config", OmegaConf.to_object(request.node()))
    try:
        check(config)
    except RequestError as error:
        for own in effective_defaults(overrides):
            if str(error).startswith(f"{own.key}="):
                raise RequestError(f"{own.file}: {error}") from error
        raise
    return config


def compose_unresolved(overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """Compose one configuration and keep its interpolations.

    Returns:
        The configuration, its types checked but not its ranges; group, or stream, → choice.

    Raises:
        RequestError: As `compose`.
    """
    request = _request(overrides)
    return request.node(), {**request.composed.choices, **request.streams}


@dataclass(frozen=True)
class _Request:
    """A composition of files and the values to set in it.

    Attributes:
        composed: The files of its choices.
        streams: Key of a stream → feature set.
        owned: The user's own defaults.
        values: The overrides of settings.
    """

    composed: Composed
    streams: Mapping[str, str]
    owned: Sequence[OwnDefault]
    values: Sequence[Override]

    def node(self) -> DictConfig:
        """Return the configuration with its interpolations."""
        node = self.composed.copy()
        _add_streams(node, self.streams)
        for own in self.owned:
            with _located(own.file), refused_in_one_line():
                ConfigLoaderImpl._apply_overrides_to_config([_with_new_keys(_read(own))], node)
        with refused_in_one_line():
            values = list(map(_with_new_keys, self.values))
            ConfigLoaderImpl._apply_overrides_to_config(values, node)
        _add_parts(node)
        return node

    def resolved(self) -> Config | None:
        """Return the configuration; None where OmegaConf is needed (`Resolved.replaced`)."""
        base = self.composed.resolved
        values = [*map(_read, self.owned), *self.values]
        plain = all(each.type == OverrideType.CHANGE for each in values)
        if self.streams or not plain or base.config is None or base.config.dataset.of:
            return None
        return base.replaced({each.key_or_group: each.value() for each in values})


def _request(overrides: Sequence[str]) -> _Request:
    """Parse and check overrides, and compose their choices."""
    parsed = parse(overrides)
    for override in parsed:
        if override.is_sweep_override():
            raise RequestError(hints.several_values(str(override.input_line)))
    check_names(parsed)
    composed = compose_choices(_chosen(parsed))
    owned = _effective(parsed, composed.choices["dataset"])
    given = {own.key: own.value for own in owned}
    given |= {each.key_or_group: each.value() for each in parsed if not each.is_delete()}
    streams = {key: str(value) for key, value in given.items() if _is_stream(key)}
    values = [each for each in parsed if group_of(each.key_or_group) is None]
    return _Request(composed, streams, [x for x in owned if group_of(x.key) is None], values)


def _is_stream(key: str) -> bool:
    """Return True for the key that chooses the features of a stream."""
    return key not in GROUPS and group_of(key) is not None


def _add_streams(node: DictConfig, chosen: Mapping[str, str]) -> None:
    """Add the feature sets of streams with the settings of their files."""
    for key, choice in chosen.items():
        features = compose_choices(_as_overrides({"features": choice})).node.features
        settings = OmegaConf.to_container(features, resolve=True)
        typed = OmegaConf.merge(OmegaConf.structured(FeaturesConfig), settings)
        OmegaConf.update(node, key, typed, force_add=True)


def _add_parts(node: DictConfig) -> None:
    """Fill in the settings of the corpora of ``dataset=several``; given ones take precedence."""
    corpora = list(node.dataset.of)
    known = [name for name in names_of_choices("dataset") if name != "several"]
    for name in corpora:
        if name not in known:
            raise RequestError(f"dataset.of: {hints.unknown_choice('dataset', name, known)}")
        composed = compose_choices((f"dataset='{name}'",)).copy()
        composed.paths = node.paths
        key = f"{PARTS}{name}"
        with _located(key), refused_in_one_line():
            part = composed.dataset
            part.root = part.root or _root_of(name)
            given = node.dataset.parts.get(name, {})
            part = OmegaConf.merge(OmegaConf.structured(DatasetConfig), part, given)
            settings = OmegaConf.to_container(part, resolve=True)
            OmegaConf.update(node, key, settings, force_add=True)
    if corpora and node.dataset.name == "several":
        node.dataset.name = "+".join(corpora)


@contextmanager
def _located(place: object) -> Iterator[None]:
    """Prefix the message of an error with the place of the setting: a file or a key."""
    try:
        yield
    except RequestError as error:
        raise RequestError(f"{place}: {error}") from error


def _root_of(dataset: str) -> Any:
    """Return the folder of a corpus in the user's own defaults; None if they have none."""
    roots = {own.key: own.value for own in own_defaults() if own.key.startswith(f"{ROOTS}.")}
    return _longest(dataset, {key.removeprefix(f"{ROOTS}."): root for key, root in roots.items()})


def effective_defaults(overrides: Sequence[str]) -> list[OwnDefault]:
    """Return the user's own defaults that are in force in a configuration."""
    parsed = parse(overrides)
    return _effective(parsed, compose_choices(_chosen(parsed)).choices["dataset"])


def _effective(parsed: Sequence[Override], dataset: str | None = None) -> list[OwnDefault]:
    """Return the user's own defaults that remain in force under overrides.

    A choice on the command line replaces the files' settings of its group or stream, except those
    of the machine: the launcher and the folder of the corpus.

    Args:
        parsed: The overrides.
        dataset: The corpus, whose folder in ``roots`` becomes ``dataset.root``; None: no folder.
    """
    given = {override.key_or_group for override in parsed}
    found: dict[str, OwnDefault] = {}
    roots: dict[str, OwnDefault] = {}
    for own in own_defaults():
        group, _, name = own.key.partition(".")
        if group == ROOTS:
            roots[name] = own
            continue
        if group == STREAMS:
            group = ".".join(own.key.split(".")[:2])
        if own.key not in given and (group not in given or own.key.startswith(_OF_MACHINE)):
            found[own.key] = own
    root = _longest(dataset, roots) if dataset else None
    if root is not None and _ROOT not in given:
        found[_ROOT] = replace(root, key=_ROOT)
    return list(found.values())


def _longest(dataset: str, roots: Mapping[str, T]) -> T | None:
    """Return the root of a corpus: that of emodb_full, else that of emodb."""
    corpora = [name for name in roots if f"{dataset}_".startswith(f"{name}_")]
    return roots[max(corpora, key=len)] if corpora else None


def _chosen(parsed: Sequence[Override]) -> tuple[str, ...]:
    """Return the choices of overrides and of the user's own defaults (`_as_overrides`)."""
    choices = {own.key: own.value for own in _effective(parsed) if own.key in GROUPS}
    choices |= {each.key_or_group: each.value() for each in parsed if each.key_or_group in GROUPS}
    return _as_overrides(choices)


def _as_overrides(choices: Mapping[str, Any]) -> tuple[str, ...]:
    """Return choices as overrides of Hydra, in one order, so that they are composed once."""
    return tuple(_written(group, choices[group]) for group in GROUPS if group in choices)


def _written(group: str, choice: Any) -> str:
    names = choice_names(group, choice)
    return f"{group}='{choice}'" if names == [str(choice)] else f"{group}=[{','.join(names)}]"


def _read(own: OwnDefault) -> Override:
    override = from_yaml(own.key, own.value)
    _check_shape(override)
    return override


def _with_new_keys(override: Override) -> Override:
    """Let an override of an open node add keys, as if it began with ++."""
    key = override.key_or_group
    if override.type == OverrideType.CHANGE and (key in _OPEN or key.startswith(OPEN_KEYS)):
        return replace(override, type=OverrideType.FORCE_ADD)
    return override


def to_yaml(config: Config) -> str:
    """Return a configuration as YAML."""
    return yaml.dump(asdict(config), Dumper=_Dumper, allow_unicode=True, sort_keys=False)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Quotes text that YAML 1.2 reads as a number, as OmegaConf does."""


_Dumper.add_representer(str, get_omega_conf_dumper().str_representer)


def parse(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides by Hydra's grammar, text as it is written (`sercli.config.parse`).

    Raises:
        RequestError: One cannot be parsed; the message has the corrected line.
    """
    parsed: list[Override] = []
    for position, text in enumerate(overrides):
        override = _parse_one(text)
        if override is None:
            raise RequestError(hints.not_an_override(overrides, position, mend))
        _check_shape(override)
        parsed.append(override)
    return parsed


def _parse_one(text: str) -> Override | None:
    start()
    loader = GlobalHydra.instance().config_loader()
    if "~" in text:  # a path of this user, or a key to be removed
        return parse_one(_parser(loader), text, OPEN_KEYS)
    return _parsed(loader, text)


@lru_cache(maxsize=4096)  # the points of a sweep share most overrides
def _parsed(loader: ConfigLoader, text: str) -> Override | None:
    return parse_one(_parser(loader), text, OPEN_KEYS)


@lru_cache(maxsize=1)
def _parser(loader: ConfigLoader) -> OverridesParser:
    return OverridesParser.create(config_loader=loader)


def _check_shape(override: Override) -> None:
    """Refuse a decimal comma, none for null, a value for a list, and a list for a value."""
    key, text = override.key_or_group, str(override.input_line)
    words, kind = text.partition("=")[2].strip(), kind_of(key)
    number = hints.decimal_comma(key, words)
    if number is not None:
        raise RequestError(f"'{text}': use a decimal point; write {number}")
    if override.is_delete():
        return
    if kind in (int, float) and words.casefold() in ("none", "off", "never"):
        raise RequestError(f"'{text}' is not a number; write {key}=null")
    value = None if override.is_sweep_override() else override.value()
    if kind in (int, float, bool, str) and isinstance(value, list):
        raise RequestError(hints.one_value(key, words))
    without_commas = key == "seeds" and re.fullmatch(r"\[\s*\d+(\s+\d+)+\s*\]", words)
    if kind is list and (without_commas or not _are_lists(override)):
        raise RequestError(hints.as_list(key, words))


def _are_lists(override: Override) -> bool:
    if not override.is_sweep_override():
        value = override.value()  # text that refers may be a list
        return value is None or isinstance(value, list) or "${" in str(value)
    return all(isinstance(each, list) for each in getattr(override.value(), "list", [None]))


def mend(text: str) -> str | None:
    """Return the valid override that is probably meant; None if there is none.

    >>> mend("lr=0.1"), mend("trainer.steps=5"), mend("what=5")
    ('optim.lr=0.1', 'trainer.steps=5', None)
    """
    key, given, words = text.partition("=")
    if not given or not words:
        return None
    meant = hints.meant_key(key, compose_choices(_chosen(())).keys)
    for line in (text, hints.with_key(meant or key, words)):
        override = _parse_one(line)
        try:
            if override is not None:
                _check_shape(override)
                check_names([override])
                return line
        except RequestError:
            continue
    return None


def check_names(overrides: Sequence[Override]) -> None:
    """Refuse keys and choices that the configuration does not have.

    Raises:
        RequestError: With the nearest known name.
    """
    owned: list[Override] = []
    for own in _effective(overrides):
        with _located(own.file):
            owned.append(_read(own))
            _check_names(owned)
    _check_names([*owned, *overrides])


def _check_names(overrides: Sequence[Override]) -> None:
    for override in overrides:
        if override.is_delete() and not override.key_or_group.startswith(OPEN_KEYS):
            raise RequestError(
                f"'{override.input_line}': only emotions under dataset.classes can be removed"
            )
    choices = [override for override in overrides if group_of(override.key_or_group)]
    for override in choices:
        names = names_of_choices(str(group_of(override.key_or_group)))
        for value in _names(override):
            if value not in names:
                raise RequestError(hints.unknown_choice(override.key_or_group, value, names))
    streams = [override for override in choices if _is_stream(override.key_or_group)]
    keys = _known_keys(overrides, [each for each in choices if each not in streams])
    keys = (keys - {STREAMS}) | _stream_keys(streams)
    for override in overrides:
        key = override.key_or_group
        if override not in choices and key not in keys and not key.startswith(OPEN_KEYS):
            words = str(override.input_line).partition("=")[2]
            raise RequestError(hints.unknown_key(key, words, keys))


def _stream_keys(streams: Sequence[Override]) -> set[str]:
    """Return the keys of streams under any of the given choices."""
    return {
        each.key_or_group + key.removeprefix("features")
        for each in streams
        for value in _values(each)
        for key in compose_choices(_as_overrides({"features": value})).keys
        if key == "features" or key.startswith("features.")
    }


def default_settings(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return the leaves of a configuration by their dotted keys, in order.

    Args:
        overrides: Its overrides; default: none.
    """
    node = OmegaConf.to_container(compose_unresolved(overrides)[0], resolve=True)
    return flatten(cast("dict[str, Any]", node))


def comments(overrides: Sequence[str] = ()) -> dict[str, str]:
    """Return the comments beside settings in the files of the chosen groups, by dotted key."""
    found = {}
    for group, choice in compose_unresolved(overrides)[1].items():
        folder = str(group_of(group))
        for line in chain.from_iterable(_lines(folder, x) for x in choice_names(group, choice)):
            written = re.fullmatch(r"\s*(\w+):[^#]*\s#\s*(.*)", line)
            if written:
                indented = line.startswith(" ")  # below options:
                found[f"{group}.{'options.' * indented}{written[1]}"] = written[2]
    return found


def list_choices(group: str) -> tuple[Choice, ...]:
    """Return the choices of a group."""
    default = compose_choices(_chosen(())).choices[group]
    return tuple(
        Choice(group, name, _description(group, name), name == default)
        for name in names_of_choices(group)
    )


@cache
def names_of_choices(group: str) -> tuple[str, ...]:
    """Return the names of the choices of a group."""
    start()
    return tuple(GlobalHydra.instance().config_loader().get_group_options(group))


def _known_keys(overrides: Sequence[Override], choices: Sequence[Override]) -> Set[str]:
    """Return all keys that exist under at least one of the choices; a sweep names several."""
    if not any(choice.is_sweep_override() for choice in choices):
        return compose_choices(_chosen(overrides)).keys  # composed anyway
    choices = [choice for choice in choices if _has_keys_below(choice.key_or_group, overrides)]
    replaced = tuple(f"{override.key_or_group}." for override in choices)
    keys = {key for key in compose_choices(_chosen(())).keys if not key.startswith(replaced)}
    for override in choices:
        group = override.key_or_group
        for value in _values(override):
            composed = compose_choices(_as_overrides({group: value})).keys
            keys.update(key for key in composed if key.startswith(f"{group}."))
    return keys


def _has_keys_below(group: str, overrides: Sequence[Override]) -> bool:
    return any(override.key_or_group.startswith(f"{group}.") for override in overrides)


def _values(override: Override) -> list[str]:
    if override.is_sweep_override():
        return [str(value) for value in override.sweep_string_iterator()]
    return [str(override.value())]


def _names(override: Override) -> list[str]:
    """Return the names of all choices in an override of a group."""
    group = override.key_or_group
    return [name for value in _values(override) for name in choice_names(group, value)]


def _description(group: str, name: str) -> str:
    first, *more = _lines(group, name) or [""]
    if first.startswith("# @package"):  # Hydra's own line must stand first
        first = more[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def _lines(group: str, name: str) -> list[str]:
    """Return the lines of the file of a choice."""
    loader = GlobalHydra.instance().config_loader()
    for source in loader.get_sources():
        path = Path(source.path) / group / f"{name}.yaml"
        if source.scheme() == "file" and path.is_file():
            return path.read_text(encoding="utf-8", errors="replace").split("\n")
    return []
