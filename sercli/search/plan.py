"""The plan of a sweep: its points, each a whole configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sercli.config.compose import compose
from sercli.config.grammar import expand
from sercli.config.key import result_relevant
from sercli.config.schema import Config
from sercli.errors import RequestError, nearest
from sercli.resources import packaged

_KEYS = ("overrides", "sweep")


@dataclass(frozen=True)
class Point:
    """One point of a grid.

    Attributes:
        overrides: What makes it differ from the defaults.
        config: The configuration, composed when the sweep was planned.
    """

    overrides: tuple[str, ...]
    config: Config


def plan_points(overrides: Sequence[str]) -> list[Point]:
    """Compose every point of a grid; points that cannot differ in their result are one.

    Raises:
        RequestError: An override, or the configuration of a point, makes no sense.
    """
    points: dict[str, Point] = {}
    for overridden in expand(overrides):
        try:
            config = compose(overridden)
        except RequestError as error:
            raise RequestError(f"point {' '.join(overridden)}: {error}") from error
        identity = json.dumps([result_relevant(config), config.dataset.root], sort_keys=True)
        points.setdefault(identity, Point(overridden, config))
    return list(points.values())


def read_plan(name: str) -> list[str]:
    """Read a plan, by its name in ``sweeps/`` or by the path of a YAML file.

    Returns:
        Overrides; ``experiment=NAME`` stands first, so that a later one wins.

    Raises:
        RequestError: There is no such plan, or it is not of the form.
    """
    path = _find(name)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise RequestError(f"plan {path} cannot be read: {reason}") from error
    overrides, sweep = _check_form(path, content)
    return [f"experiment={path.stem}", *overrides, *(f"{k}={v}" for k, v in sweep.items())]


def _find(name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    known = {path.stem: path for path in packaged("sweeps").glob("*.yaml")}
    if name not in known:
        raise RequestError(f"unknown plan '{name}'.{nearest(name, known)}")
    return known[name]


def _check_form(path: Path, content: Any) -> tuple[list[str], Mapping[str, Any]]:
    if not isinstance(content, dict):
        raise RequestError(f"plan {path}: expected the keys {' and '.join(_KEYS)}")
    for key in content:
        if key not in _KEYS:
            raise RequestError(f"plan {path}: unknown key '{key}'.{nearest(str(key), _KEYS)}")
    overrides, sweep = content.get("overrides") or [], content.get("sweep") or {}
    if not isinstance(overrides, list) or not all(isinstance(text, str) for text in overrides):
        raise RequestError(f"plan {path}: 'overrides' must be a list of KEY=VALUE")
    if not isinstance(sweep, dict) or not all(
        isinstance(values, str | int | float) for values in sweep.values()
    ):
        raise RequestError(f"plan {path}: 'sweep' must map keys to values, as in a: 1,2")
    return overrides, sweep
