"""Sources of a configuration: ``conf/``, and a folder and files of the user's own.

Files of defaults, in ascending precedence: ``~/.config/sercli/config.yaml`` (``XDG_CONFIG_HOME``),
``config.yaml`` in the user's folder (``--config-dir`` or ``SERCLI_CONFIG_DIR``), and
``./sercli.yaml``. Each holds settings as on the command line, nested or dotted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from sercli.config.keys import flatten
from sercli.errors import RequestError, one_line
from sercli.resources import packaged
from sercli.untrusted import EnormousError, parse_yaml, read_yaml

PRIMARY = "defaults"
"""The file of ``conf/`` that chooses the default of each group."""

SCHEMA = "schema"
"""Name of the schema in Hydra's store."""

ALONE = "{}_alone"
"""Name of the primary configuration that contains the schema and one group."""

ROOTS = "roots"
"""Key of a file of defaults: corpus → its folder, which is ``dataset.root`` for that corpus."""

_HERE = Path("sercli.yaml")
_OF_FOLDER = "config.yaml"
_FOLDER_VARIABLE = "SERCLI_CONFIG_DIR"


@dataclass(frozen=True)
class OwnDefault:
    """A default of the user's own.

    Attributes:
        key: Dotted key, a group, or ``roots.CORPUS``.
        value: Value as YAML has it.
        file: The file that it stands in.
    """

    key: str
    value: Any
    file: Path


_given: list[Path] = []
"""The folder of ``--config-dir``, once it is given."""


def start(config_dir: Path | None = None) -> None:
    """Let Hydra search ``conf/``, and before it a folder of the user's own.

    Args:
        config_dir: The folder; default: that of ``SERCLI_CONFIG_DIR``.

    Raises:
        RequestError: It is not a folder, or a file in it is enormous by its aliases.
    """
    from hydra import initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins

    from sercli.config.schema import Config
    from sercli.config.settings import GROUPS

    if GlobalHydra.instance().is_initialized():
        return
    if config_dir is not None:
        _given[:] = [config_dir]
    for folder in user_folders():
        if not folder.is_dir():
            name = "--config-dir " if _given else f"{_FOLDER_VARIABLE}="
            raise RequestError(f"{name}{folder} is not a folder")
        _check_aliases(folder)
        Plugins.instance().register(_user_folder_first(folder.resolve()))
    ConfigStore.instance().store(name=SCHEMA, node=Config)
    for group in GROUPS:
        alone = {"defaults": [SCHEMA, {group: "???"}, "_self_"]}
        ConfigStore.instance().store(name=ALONE.format(group), node=alone)
    initialize_config_dir(config_dir=str(packaged("conf")), version_base="1.3")


def _check_aliases(folder: Path) -> None:
    """Refuse a file that becomes enormous when Hydra expands its aliases."""
    for path in sorted(folder.glob("**/*.yaml")):
        try:
            read_yaml(path)
        except EnormousError as error:
            raise RequestError(f"{path} cannot be read: {error}") from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue  # Hydra names it, if it is chosen


def user_folders() -> list[Path]:
    """Return the folder of the user's own configuration, if there is one."""
    named = os.environ.get(_FOLDER_VARIABLE)
    return list(_given) or ([Path(named).expanduser()] if named else [])


def plan_files() -> dict[str, Path]:
    """Return the plans by name; one of the user's own replaces one of ``sweeps/``."""
    folders = [packaged("sweeps"), *(folder / "sweeps" for folder in user_folders())]
    return {path.stem: path for folder in folders for path in folder.glob("*.yaml")}


def own_defaults() -> tuple[OwnDefault, ...]:
    """Return the user's own defaults, one per key; later files take precedence.

    Raises:
        RequestError: A file cannot be read, or is no mapping.
    """
    found: dict[str, OwnDefault] = {}
    for file in _files():
        for default in _read(file, file.stat().st_mtime_ns):
            found[default.key] = default
    return tuple(found.values())


def own_runs_folder() -> Path:
    """Return ``paths.runs`` of the user's own defaults, else ``runs``."""
    found = [each.value for each in own_defaults() if each.key == "paths.runs"]
    return Path(str(found[-1])).expanduser() if found else Path("runs")


def _files() -> Iterator[Path]:
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    folders = [Path(home) / "sercli", *user_folders()]
    for file in (*(folder / _OF_FOLDER for folder in folders), _HERE):
        if os.path.isfile(file):  # noqa: PTH113 - False in a home of another user, as after sudo -u
            yield file


@lru_cache(maxsize=16)
def _read(file: Path, modified: int) -> tuple[OwnDefault, ...]:
    try:
        content = parse_yaml(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RequestError(f"{file} cannot be read: {one_line(error)}") from error
    if content is None:
        return ()
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise RequestError(f"{file}: must be a mapping of keys to values, as in device: cpu")
    choices = _hydra_choices(content.pop("defaults", None))
    return tuple(
        OwnDefault(key, value, file) for key, value in (choices | flatten(_plain(content))).items()
    )


def _hydra_choices(defaults: Any) -> dict[str, Any]:
    """Return the choices of a list of defaults as Hydra writes it."""
    found: dict[str, Any] = {}
    for each in defaults if isinstance(defaults, list) else ():
        if isinstance(each, dict):
            found.update({str(key).removeprefix("override "): each[key] for key in each})
    return found


def _plain(content: Mapping[Any, Any]) -> dict[str, Any]:
    """Return nested mappings with text keys: 0 and null can be names."""
    return {
        "null" if key is None else str(key): _plain(value) if isinstance(value, dict) else value
        for key, value in content.items()
    }


def _user_folder_first(folder: Path) -> type:
    from hydra.core.config_search_path import ConfigSearchPath
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class UserFolder(SearchPathPlugin):
        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            search_path.prepend(provider="user", path=f"file://{folder}")

    return UserFolder
