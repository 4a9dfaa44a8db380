"""Compose the files of a set of choices with Hydra.

Hydra takes some 13 ms for the twelve files of a configuration. A set is therefore put together
from parts that Hydra composes once per process: the default choices, and each other choice alone
with the schema. If a file sets anything outside its group, Hydra composes the whole set. Hydra's
own node (``hydra``) is left out. Nodes are copied by pickling them, in memory only, which is four
times as fast as `copy.deepcopy`.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import accumulate, chain
from typing import Any, cast

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra._internal.defaults_list import create_defaults_list
from hydra.core.default_element import ResultDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sercli.config.keys import flatten
from sercli.config.resolved import Resolved
from sercli.config.schema import Config
from sercli.config.settings import GROUPS
from sercli.config.sources import ALONE, PRIMARY, SCHEMA, start, user_folders
from sercli.errors import RequestError, one_line


@dataclass(frozen=True, eq=False)
class Composed:
    """The files of one set of choices.

    Attributes:
        node: The configuration; not to be changed.
        choices: Group → choice.
    """

    node: DictConfig
    choices: Mapping[str, str]

    def copy(self) -> DictConfig:
        """Return a copy of the configuration."""
        return cast("DictConfig", pickle.loads(self._pickled))  # noqa: S301 - our own bytes

    @cached_property
    def keys(self) -> frozenset[str]:
        """All dotted keys, of groups and leaves."""
        return frozenset(chain.from_iterable(map(_with_parents, flatten(self._plain))))

    @cached_property
    def resolved(self) -> Resolved:
        """The configuration before and after its interpolations are resolved."""
        try:
            config = cast("Config", OmegaConf.to_object(self.node))
        except OmegaConfBaseException:
            config = None  # an override may mend it
        return Resolved(self.node, config, flatten(self._plain, lists=True))

    @cached_property
    def _plain(self) -> dict[str, Any]:
        return cast("dict[str, Any]", OmegaConf.to_container(self.node))

    @cached_property
    def _pickled(self) -> bytes:
        return pickle.dumps(self.node)


@lru_cache(maxsize=256)
def compose_choices(overrides: tuple[str, ...]) -> Composed:
    """Compose the files of a set of choices.

    Args:
        overrides: Choices as overrides of Hydra, one per group at most: "model='iaan'".

    Raises:
        RequestError: A file cannot be read or composed.
    """
    start()
    with refused_in_one_line():
        return _of_parts(overrides) or _by_hydra(overrides)


@contextmanager
def refused_in_one_line() -> Iterator[None]:
    """Replace errors of Hydra, OmegaConf and PyYAML.

    Raises:
        RequestError: The request, or a file of the user's own, is invalid.
    """
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise RequestError(_reason(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        text = one_line(error)
        raise RequestError(f"a configuration file cannot be read: {text}") from error


def _by_hydra(overrides: tuple[str, ...]) -> Composed:
    node, _, known = _compose(PRIMARY, overrides)
    OmegaConf.set_struct(node, True)  # no other keys can be added
    chosen = dict(each.split("=", 1) for each in overrides)
    choices = {group: str(known.get(group) or chosen[group]) for group in GROUPS}
    return Composed(node, choices)


def _of_parts(overrides: tuple[str, ...]) -> Composed | None:
    """Replace default choices; None if a file sets, or may set, anything outside its group.

    With a folder of the user's own any file may, and the default choices too.
    """
    if not overrides or user_folders():
        return None
    parts = [_part(each) for each in overrides]
    base = compose_choices(())
    node, choices = base.copy(), dict(base.choices)
    for part in parts:
        if part is None:
            return None
        node[part.group] = part.node
        choices[part.group] = part.choice
    return Composed(node, choices)


@dataclass(frozen=True)
class _Part:
    """The node of one group under one choice."""

    group: str
    choice: str
    node: DictConfig


@lru_cache(maxsize=256)
def _part(override: str) -> _Part | None:
    """Compose one choice alone; None if its files set anything outside its group."""
    group, choice = override.split("=", 1)
    try:
        node, files, known = _compose(ALONE.format(group), (override,))
    except HydraException:  # it overrides the choice of another group, or is invalid
        return None
    own = [each for each in files if not each.primary and each.config_path != SCHEMA]
    if any(each.package != group for each in own):
        return None
    return _Part(group, str(known.get(group) or choice), node[group])


def _compose(
    primary: str, overrides: tuple[str, ...]
) -> tuple[DictConfig, list[ResultDefault], Mapping[str, str | None]]:
    """Compose a primary configuration.

    Returns:
        The configuration, its files, and group → choice, without choices in lists.
    """
    loader = cast("ConfigLoaderImpl", GlobalHydra.instance().config_loader())
    files = _Files(loader.repository)
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
    listed = create_defaults_list(files, primary, parsed, prepend_hydra=False, skip_missing=False)
    node = loader._compose_config_from_defaults_list(listed.defaults, files)
    return node, listed.defaults, listed.overrides.known_choices


class _Files(CachingConfigRepository):
    """Copies of the files for one composition, which modifies them; each is read once."""

    def __init__(self, files: IConfigRepository) -> None:
        self.delegate, self.cache = files, {}  # Hydra would copy the schemas of all its parts

    def load_config(self, config_path: str) -> ConfigResult | None:
        if config_path not in self.cache:
            self.cache[config_path] = pickle.loads(_file(self.delegate, config_path))  # noqa: S301
        return self.cache[config_path]


@cache
def _file(files: IConfigRepository, path: str) -> bytes:
    """Return the content of a file ("model/iaan"), pickled."""
    return pickle.dumps(files.load_config(path))


def _with_parents(key: str) -> list[str]:
    """Return "a", "a.b" and "a.b.c" for "a.b.c"."""
    return list(accumulate(key.split("."), lambda parent, name: f"{parent}.{name}"))


def _reason(error: BaseException) -> str:
    """Return the part of a Hydra error that helps: OmegaConf's first line, with the key."""
    inner = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    text, *more = str(inner).strip().split("\n")
    if text.endswith(":") and more:
        text = f"{text} {more[0]}"
    key = getattr(inner, "full_key", None) or ""
    return text if key in text else f"{key}: {text}"
