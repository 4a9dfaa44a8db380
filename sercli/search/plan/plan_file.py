"""The file of a plan: what is swept and how, said once and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from string import Template
from typing import Any

import yaml

from sercli.config.compose import user_folders
from sercli.errors import RequestError, nearest, one_line
from sercli.resources import packaged


@dataclass(frozen=True)
class PlanSchema:
    """What a file may say.

    Attributes:
        overrides: Hold for all of the plan.
        variables: Name → value → text: every ``${size}`` in the file stands for the text of the
            value that is chosen by ``size=small``, and else for that of the first.
        points: A name for the reader → overrides that a point adds, with spaces between them.
        sweep: Key → values, swept at each point.
        sampler: What proposes points.
        trials: How many points a sampler proposes.
        seed: Seed of the sampler.
        exclude: Which points are left out (`sercli.search.plan.filter`).
        objectives: What the search is for.
        prune: What stops points early.
        comparison: Whether the plan compares systems that were named before, so that all of them
            are results and none is chosen.
    """

    overrides: list[str] = field(default_factory=list)
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    points: dict[str, str] = field(default_factory=dict)
    sweep: dict[str, str | int | float] = field(default_factory=dict)
    sampler: str | None = None
    trials: int | None = None
    seed: int | None = None
    exclude: str | None = None
    objectives: list[str] = field(default_factory=list)
    prune: str | None = None
    comparison: bool = False


@dataclass(frozen=True)
class PlanFile:
    """A file that was read, its variables replaced.

    Attributes:
        form: What else it says.
        before: ``experiment=NAME`` and the overrides that hold for all of the plan.
        points: Name → the overrides that it adds.
        after: The sweep, and the overrides of the user, so that these win.
    """

    form: PlanSchema
    before: tuple[str, ...]
    points: Mapping[str, tuple[str, ...]]
    after: tuple[str, ...]


def read_plan_file(name: str, overrides: Sequence[str] = ()) -> PlanFile:
    """Read a plan, by its name in ``sweeps/`` or by the path of a YAML file.

    A folder ``sweeps`` of the user's own (``--config-dir``) adds to the shipped one and shadows it.

    Args:
        name: The plan.
        overrides: Those of the user: values of the variables; the rest is added to the plan.

    Raises:
        RequestError: There is no such plan, it is not of the form, or a variable has no such
            value.
    """
    path = _find(name)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = one_line(error)
        raise RequestError(f"plan {path} cannot be read: {reason}") from error
    form = _check_form(path, content)
    texts, added = _chosen(path, form.variables, overrides)

    def filled(words: Sequence[str]) -> tuple[str, ...]:
        return tuple(Template(word).safe_substitute(texts) for word in words)

    return PlanFile(
        form=form,
        before=(f"experiment={path.stem}", *filled(form.overrides)),
        points={name: filled(words.split()) for name, words in form.points.items()},
        after=(*filled([f"{key}={values}" for key, values in form.sweep.items()]), *added),
    )


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
    folders = [packaged("sweeps"), *(folder / "sweeps" for folder in user_folders())]
    known = {path.stem: path for folder in folders for path in folder.glob("*.yaml")}
    if name not in known:
        raise RequestError(f"unknown plan '{name}'.{nearest(name, known)}")
    return known[name]


def _check_form(path: Path, content: Any) -> PlanSchema:
    known = [each.name for each in fields(PlanSchema)]
    if not isinstance(content, dict):
        raise RequestError(f"plan {path}: expected the keys {', '.join(known)}")
    for key in content:
        if key not in known:
            raise RequestError(f"plan {path}: unknown key '{key}'.{nearest(str(key), known)}")
    form = PlanSchema(**{key: value for key, value in content.items() if value is not None})
    for right, message in (
        (_is_list(form.overrides, str), "'overrides' must be a list of KEY=VALUE"),
        (_is_mapping(form.points, str), "'points' must map names to overrides, as in a: x=1 y=2"),
        (
            _is_mapping(form.sweep, str | int | float),
            "'sweep' must map keys to values, as in a: 1,2",
        ),
        (
            _are_variables(form.variables),
            "'variables' must map each name to values and their texts",
        ),
        (isinstance(form.sampler, str | None), "'sampler' must be the name of one"),
        (_is_count(form.trials, 1), "'trials' must be a whole number, 1 or more"),
        (_is_count(form.seed, 0), "'seed' must be a whole number, 0 or more"),
        (isinstance(form.exclude, str | None), "'exclude' must be an expression, in quotes"),
        (_is_list(form.objectives, str), "'objectives' must be a list of names"),
        (isinstance(form.prune, str | None), "'prune' must be the name of a pruner"),
        (isinstance(form.comparison, bool), "'comparison' must be true or false"),
    ):
        if not right:
            raise RequestError(f"plan {path}: {message}")
    return form


def _is_list(value: Any, kind: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)


def _is_mapping(value: Any, kind: Any) -> bool:
    return isinstance(value, dict) and _is_list([*value], str) and _is_list([*value.values()], kind)


def _is_count(value: Any, least: int) -> bool:
    return value is None or (type(value) is int and value >= least)


def _are_variables(value: Any) -> bool:
    return _is_mapping(value, dict) and all(
        each and _is_mapping(each, str) for each in value.values()
    )
