"""The plan file: the hyperparameters of a sweep and how to search them, in YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BeforeValidator, Field

from sercli.config.sources import plan_files
from sercli.errors import RequestError, nearest, one_line
from sercli.untrusted import read_yaml
from sercli.validation import StrictModel, validate


def _values_as_text(value: Any) -> Any:
    """Write a number or a list of YAML as the values of an override; leave the rest."""
    if isinstance(value, list):
        return ",".join(map(_written, value))
    return _written(value) if isinstance(value, int | float) else value


def _overrides_as_list(value: Any) -> Any:
    """Write a mapping of keys to values as overrides; leave the rest."""
    if not isinstance(value, dict):
        return value
    return [f"{key}={_written(each)}" for key, each in value.items()]


def _written(value: Any) -> str:
    """Return a value of YAML as Hydra writes it."""
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_written(each)}' for key, each in value.items())}}}"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _not_empty(texts: dict[str, str]) -> dict[str, str]:
    if not texts:
        raise ValueError("must have a value and its text")
    return texts


Texts = Annotated[dict[str, str], AfterValidator(_not_empty)]
Overrides = Annotated[list[str], BeforeValidator(_overrides_as_list)]
Values = Annotated[str, BeforeValidator(_values_as_text)]


class PlanSchema(StrictModel):
    """The keys of a plan file.

    Attributes:
        overrides: Overrides of all trials, as a list or a mapping.
        variables: Name → value → text. ``${size}`` stands for the text of the value that the user
            chooses by ``size=small``, by default of the first.
        points: Name → overrides of a point, separated by spaces.
        sweep: Key → values, as the text of an override or as a list; swept at each point.
        sampler: Name of the sampler.
        trials: Number of trials of a sampler.
        seed: Seed of the sampler.
        exclude: Expression that excludes points (`sercli.search.plan.filter`).
        objectives: Objectives of the search.
        prune: Name of the pruner.
        comparison: True if the trials are pre-registered systems (`sercli.search.plan.plan.Plan`).
    """

    overrides: Overrides = Field(default_factory=list)
    variables: dict[str, Texts] = Field(default_factory=dict)
    points: dict[str, str] = Field(default_factory=dict)
    sweep: dict[str, Values] = Field(default_factory=dict)
    sampler: str | None = None
    trials: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0)
    exclude: str | None = None
    objectives: list[str] = Field(default_factory=list)
    prune: str | None = None
    comparison: bool = False


@dataclass(frozen=True)
class PlanFile:
    """A plan file with its variables replaced.

    Attributes:
        content: The keys of the file.
        before: ``experiment=NAME`` and the overrides of all trials.
        points: Name → overrides of a point.
        after: The sweep, and the overrides of the user, which win.
    """

    content: PlanSchema
    before: tuple[str, ...]
    points: Mapping[str, tuple[str, ...]]
    after: tuple[str, ...]


def read_plan_file(name: str, overrides: Sequence[str] = ()) -> PlanFile:
    """Read a plan by its name in ``sweeps/``, or by the path of a YAML file.

    A folder ``sweeps`` of the user's (``--config-dir``) adds to the packaged one and wins over it.

    >>> sorted(read_plan_file("table1").content.variables)
    ['model_size']

    Args:
        name: Name or path of the plan.
        overrides: Overrides of the user: values of the variables, and others.

    Raises:
        RequestError: There is no such plan, a key is invalid, or a variable has no such value.
    """
    path = _find(name)
    try:
        content = read_yaml(path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RequestError(f"plan {path} cannot be read: {one_line(error)}") from error
    if isinstance(content, dict):
        content = {key: value for key, value in content.items() if value is not None}
    checked = validate(PlanSchema, content, f"plan {path}: ")
    texts, added = _texts_of_variables(path, checked.variables, overrides)

    def filled(words: Sequence[str]) -> tuple[str, ...]:
        return tuple(Template(word).safe_substitute(texts) for word in words)

    return PlanFile(
        content=checked,
        before=(f"experiment={path.stem}", *filled(checked.overrides)),
        points={name: filled(words.split()) for name, words in checked.points.items()},
        after=(*filled([f"{key}={values}" for key, values in checked.sweep.items()]), *added),
    )


def _texts_of_variables(
    path: Path, variables: Mapping[str, Mapping[str, str]], overrides: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Return the text of each variable, and the overrides that are no variables."""
    texts = {name: next(iter(values.values())) for name, values in variables.items()}
    added = []
    for override in overrides:
        name, _, value = override.partition("=")
        if name not in variables:
            added.append(override)
        elif value in variables[name]:
            texts[name] = variables[name][value]
        else:
            hint = nearest(value, variables[name])
            raise RequestError(f"plan {path}: {name} has no value '{value}'.{hint}")
    return texts, added


def _find(name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    known = plan_files()
    if name not in known:
        raise RequestError(f"unknown plan '{name}'.{nearest(name, known)}")
    return known[name]
