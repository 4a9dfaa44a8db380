"""The plan of a sweep: its points, each a whole configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from string import Template
from typing import Any

import yaml

from sercli.config.compose import compose
from sercli.config.grammar import expand
from sercli.config.key import result_relevant
from sercli.config.schema import Config
from sercli.errors import RequestError, nearest
from sercli.resources import packaged


@dataclass(frozen=True)
class Point:
    """One point of a grid.

    Attributes:
        overrides: What makes it differ from the defaults.
        config: The configuration, composed when the sweep was planned.
    """

    overrides: tuple[str, ...]
    config: Config


def plan_points(*grids: Sequence[str]) -> list[Point]:
    """Compose every point of one or several grids, each given by its overrides.

    Points that cannot differ in their result are one.

    Raises:
        RequestError: An override, or the configuration of a point, makes no sense.
    """
    points: dict[str, Point] = {}
    for grid in grids:
        for overridden in expand(grid, alone=len(grids) > 1):
            try:
                config = compose(overridden)
            except RequestError as error:
                raise RequestError(f"point {' '.join(overridden)}: {error}") from error
            identity = json.dumps([result_relevant(config), config.dataset.root], sort_keys=True)
            points.setdefault(identity, Point(overridden, config))
    return list(points.values())


def read_plan(name: str, overrides: Sequence[str] = ()) -> list[list[str]]:
    """Read a plan, by its name in ``sweeps/`` or by the path of a YAML file.

    A plan has ``overrides`` that hold for all of it, ``points`` that each add some of their own
    (a name for the reader → overrides, with spaces between them), and a ``sweep`` of each point
    (key → values). It may have ``variables``, as in ``size: {full: "", small: _small}``: every
    ``${size}`` in it stands for the text of the value that is chosen by ``size=small``, and else
    for that of the first.

    Args:
        name: The plan.
        overrides: Those of the user: values of the variables; the rest is added to the plan.

    Returns:
        The overrides of each grid: one for each of the points, or one. ``experiment=NAME`` stands
        first and those of the user last, so that a later one wins.

    Raises:
        RequestError: There is no such plan, it is not of the form, or a variable has no such
            value.
    """
    path = _find(name)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise RequestError(f"plan {path} cannot be read: {reason}") from error
    plan = _check_form(path, content)
    texts, added = _chosen(path, plan.variables, overrides)
    common = [f"experiment={path.stem}", *plan.overrides]
    swept = [f"{key}={values}" for key, values in plan.sweep.items()]
    points = [text.split() for text in plan.points.values()] or [[]]
    return [
        [*(Template(text).safe_substitute(texts) for text in (*common, *point, *swept)), *added]
        for point in points
    ]


def _chosen(
    path: Path, variables: Mapping[str, Mapping[str, str]], overrides: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Tell values of variables from overrides: the text of each variable, and the others."""
    texts = {name: next(iter(values.values())) for name, values in variables.items()}
    added = []
    for override in overrides:
        name, _, value = override.partition("=")
        if name not in variables:
            added.append(override)
        elif value in variables[name]:
            texts[name] = variables[name][value]
        else:
            raise RequestError(f"plan {path}: no {override}.{nearest(value, variables[name])}")
    return texts, added


def _find(name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    known = {path.stem: path for path in packaged("sweeps").glob("*.yaml")}
    if name not in known:
        raise RequestError(f"unknown plan '{name}'.{nearest(name, known)}")
    return known[name]


@dataclass(frozen=True)
class _Plan:
    """What a file may say; see `read_plan`."""

    overrides: list[str] = field(default_factory=list)
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    points: dict[str, str] = field(default_factory=dict)
    sweep: dict[str, str | int | float] = field(default_factory=dict)


def _check_form(path: Path, content: Any) -> _Plan:
    known = [each.name for each in fields(_Plan)]
    if not isinstance(content, dict):
        raise RequestError(f"plan {path}: expected the keys {', '.join(known)}")
    for key in content:
        if key not in known:
            raise RequestError(f"plan {path}: unknown key '{key}'.{nearest(str(key), known)}")
    plan = _Plan(**{key: value for key, value in content.items() if value is not None})
    for right, message in (
        (_is_list(plan.overrides, str), "'overrides' must be a list of KEY=VALUE"),
        (_is_mapping(plan.points, str), "'points' must map names to overrides, as in a: x=1 y=2"),
        (
            _is_mapping(plan.sweep, str | int | float),
            "'sweep' must map keys to values, as in a: 1,2",
        ),
        (
            _are_variables(plan.variables),
            "'variables' must map each name to values and their texts",
        ),
    ):
        if not right:
            raise RequestError(f"plan {path}: {message}")
    return plan


def _is_list(value: Any, kind: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)


def _is_mapping(value: Any, kind: Any) -> bool:
    return isinstance(value, dict) and _is_list(list(value.values()), kind)


def _are_variables(value: Any) -> bool:
    return _is_mapping(value, dict) and all(
        each and _is_mapping(each, str) for each in value.values()
    )
