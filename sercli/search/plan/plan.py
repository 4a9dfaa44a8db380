"""The plan of a sweep: its space, its points, and how to search them."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sercli.config.frozen import dimensions_of, freeze, number_kind
from sercli.config.grammar import MOST_VALUES, Axis, read_sweep
from sercli.config.run_key import result_relevant
from sercli.config.schema import Config
from sercli.errors import RequestError, nearest
from sercli.search.plan.name import has_name, sweep_name
from sercli.search.plan.plan_file import PlanFile, PlanSchema, read_plan_file
from sercli.search.plan.space import POINT, Point, Space, base_name

GRID = "grid"
OBJECTIVES = ("dev_ua", "parameters", "seconds")
"""UA on dev, which is maximised; parameters of the model and seconds of training, minimised."""


@dataclass(frozen=True)
class Plan:
    """The plan of a sweep.

    Attributes:
        experiment: Name of the experiment.
        sampler: ``grid``, or one of `sercli.search.samplers`.
        trials: Number of trials of a sampler; None for a grid.
        seed: Seed of the sampler.
        objectives: Some of `OBJECTIVES`.
        pruner: One of `sercli.search.samplers.pruners`, or None.
        comparison: True if the trials are pre-registered systems: all are results, and no winner
            is selected.
        space: The space of the search.
        points: All points of a grid, in order, no two of which give the same result; none of a
            search.
        merged: Models without a recurrent layer, of which points that differ only in ``cell`` or
            ``activation`` are planned once.
        unnamed: True if the user named no experiment (`sercli.search.plan.name`).
    """

    experiment: str
    sampler: str
    trials: int | None
    seed: int
    objectives: tuple[str, ...]
    pruner: str | None
    comparison: bool
    space: Space
    points: tuple[Point, ...]
    merged: tuple[str, ...] = ()
    unnamed: bool = False


def make_plan(
    overrides: Sequence[str],
    *,
    plan: str | None = None,
    sampler: str | None = None,
    trials: int | None = None,
    seed: int | None = None,
    objectives: Sequence[str] = (),
    pruner: str | None = None,
    comparison: bool = False,
) -> Plan:
    """Plan a sweep.

    Arguments win over the plan file.

    >>> plan = make_plan(["activation=tanh,arelu", "arelu.alpha=0.1,0.9"])
    >>> [point.parameters for point in plan.points]  # alpha changes nothing with tanh
    [{'activation': 'tanh', 'arelu.alpha': '0.1'}, {'activation': 'arelu', 'arelu.alpha': '0.1'}, \
{'activation': 'arelu', 'arelu.alpha': '0.9'}]

    Args:
        overrides: Hydra overrides, at least one with several values unless the plan file has one.
        plan: Name or path of a plan file.
        sampler: Name of the sampler; default: ``grid``.
        trials: Number of trials of a sampler.
        seed: Seed of the sampler, ≥ 0; default: 0.
        objectives: Objectives of the search; default: UA on dev.
        pruner: Name of the pruner; ``none``: no pruner, whatever the plan file says.
        comparison: True if the trials are pre-registered systems (`Plan`).

    Raises:
        RequestError: The plan file, an override, or the configuration of a point is invalid.
    """
    file = read_plan_file(plan, overrides) if plan else _without_file(overrides)
    content = file.content
    sampler = sampler or content.sampler or GRID
    if trials is None and sampler != GRID:
        trials = content.trials
    objectives = tuple(objectives or content.objectives or OBJECTIVES[:1])
    pruner = pruner or content.prune
    pruner = None if pruner == "none" else pruner
    comparison = comparison or (content.comparison and sampler == GRID)
    _check_trials(sampler, trials)
    _check_search(sampler, objectives, pruner, comparison)
    seed = (content.seed or 0) if seed is None else seed
    unnamed = not plan and not has_name(items := read_sweep(overrides))
    if unnamed:
        options = [sampler, seed if sampler != GRID else 0, objectives, pruner, comparison]
        file = _without_file([*overrides, f"experiment={sweep_name(items, options)}"])
    space = _make_space(file, listed=sampler == GRID)
    experiment, points, merged = _make_points(space, listed=sampler == GRID)
    return Plan(
        experiment,
        sampler,
        trials,
        seed,
        objectives,
        pruner,
        comparison,
        space,
        points,
        merged,
        unnamed,
    )


def _without_file(overrides: Sequence[str]) -> PlanFile:
    return PlanFile(PlanSchema(), (), {}, tuple(overrides))


def identity(config: Config) -> str:
    """Return all that can change the result of a configuration; equal points are one trial."""
    return _text(_content(config))


def _content(config: Config) -> list[Any]:
    """Return the settings and the paths that can change the result of a configuration."""
    paths = [config.dataset.root]
    if ratings := config.dataset.options.get("ratings"):  # without, the identities of older plans
        paths.append(ratings)
    return [result_relevant(config), *paths]


def _text(content: Sequence[Any]) -> str:
    return json.dumps(content, sort_keys=True)


def _check_trials(sampler: str, trials: int | None) -> None:
    from sercli.search.samplers import SAMPLERS

    if sampler not in (GRID, *SAMPLERS):
        raise RequestError(f"unknown sampler '{sampler}'.{nearest(sampler, (GRID, *SAMPLERS))}")
    if sampler == GRID and trials is not None:
        raise RequestError(
            f"trials={trials}: a grid runs all its points; give a sampler (tpe), or no --trials"
        )
    if sampler != GRID and (trials is None or trials < 1):
        raise RequestError(f"sampler {sampler} needs a number of trials, as in --trials 60")


def _check_search(
    sampler: str, objectives: Sequence[str], pruner: str | None, comparison: bool
) -> None:
    from sercli.search.samplers.pruners import make_pruner

    for name in objectives:
        if name not in OBJECTIVES:
            raise RequestError(f"unknown objective '{name}'.{nearest(name, OBJECTIVES)}")
    if OBJECTIVES[0] not in objectives or len(set(objectives)) < len(objectives):
        raise RequestError(
            f"objectives {', '.join(objectives)}: {OBJECTIVES[0]} is required, none may repeat"
        )
    if sampler == "cmaes" and len(objectives) > 1:
        raise RequestError("sampler cmaes searches one objective; use tpe for several")
    make_pruner(pruner, len(objectives))
    if comparison and (sampler != GRID or pruner):
        raise RequestError("--comparison: pre-registered systems are a grid, and none is pruned")


def _make_space(file: PlanFile, *, listed: bool) -> Space:
    """Read the axes, and freeze a configuration for each combination of composed values.

    Args:
        file: The plan file.
        listed: True for a grid, whose axes have no interval.
    """
    read = {name: _read_point(file, name) for name in file.points or ("",)}
    first = next(iter(read.values()))
    axes = [
        replace(axis, composed=any(_find(axis, items).composed for items in read.values()))
        for axis in first
        if isinstance(axis, Axis)
    ]
    if file.points:
        axes.insert(0, Axis(POINT, ", ".join(file.points), tuple(file.points), composed=True))
    _check_axes(axes, listed=listed)
    bases = _freeze_all(axes, read)
    _check_task(axes, bases.values())
    typed = tuple(_with_numbers(axis, next(iter(bases.values()))) for axis in axes)
    return Space(typed, bases, file.content.exclude)


def _read_point(file: PlanFile, name: str) -> list[str | Axis]:
    """Return the overrides and axes of one point of a plan file."""
    own = file.points.get(name, ())
    try:
        items = read_sweep([*file.before, *own])  # own keys may depend on choices before
    except RequestError as error:
        raise RequestError(f"point {name}: {error}" if own else str(error)) from error
    keys = [text.partition("=")[0] for text in own]
    for item in items:
        if isinstance(item, Axis) and item.key in keys:
            raise RequestError(
                f"point {name}: '{item.override(item.text)}' has several values; move it to 'sweep'"
            )
    return read_sweep([*file.before, *own, *file.after])


def _check_task(axes: Sequence[Axis], bases: Iterable[str]) -> None:
    """Refuse dimensional labels, because a sweep maximises UA on dev."""
    swept = any(axis.key == "dataset.dimensions" for axis in axes)
    if swept or any(dimensions_of(base) for base in bases):
        raise RequestError(
            "dataset.dimensions: a sweep needs dev UA, which dimensional labels do not have; "
            "train each configuration by sercli train"
        )


def _find(axis: Axis, items: Sequence[str | Axis]) -> Axis:
    """Return the axis of the same key; all points of a plan file have the same axes."""
    return next(item for item in items if isinstance(item, Axis) and item.key == axis.key)


def _check_axes(axes: Sequence[Axis], *, listed: bool) -> None:
    if not axes:
        raise RequestError(
            "nothing to sweep: give a key several values, e.g. arelu.alpha=0.01,0.1 "
            "(train a single configuration by sercli train)"
        )
    for axis in axes if listed else ():
        if axis.interval is not None:
            raise RequestError(
                f"'{axis.override(axis.text)}' is an interval, but a grid needs values: "
                "list them (a=1,2), or use range(start,stop,step)"
            )
    points = math.prod(len(axis.values) for axis in axes)
    if listed and points > MOST_VALUES:
        raise RequestError(f"a grid of {points} points is too large; give --sampler and --trials")


def _freeze_all(axes: Sequence[Axis], read: Mapping[str, Sequence[str | Axis]]) -> dict[str, str]:
    """Freeze a configuration for each combination of values of the composed axes."""
    composed = [axis for axis in axes if axis.composed]
    bases = {}
    for values in itertools.product(*(axis.values for axis in composed)):
        chosen = {axis.key: value for axis, value in zip(composed, values, strict=True)}
        words = {axis.key: axis.override(chosen[axis.key]) for axis in composed}
        items = read[str(chosen.get(POINT, ""))]
        every = [item if isinstance(item, str) else words.get(item.key) for item in items]
        overrides = [each for each in every if each is not None]
        try:
            bases[base_name(axes, chosen)] = freeze(overrides)
        except RequestError as error:
            raise RequestError(f"point {' '.join(overrides)}: {error}") from error
    return bases


def _with_numbers(axis: Axis, base: str) -> Axis:
    """Restrict an interval to whole numbers where the hyperparameter is one."""
    if axis.interval is None:
        return axis
    kind = number_kind(base, axis.key)
    if kind is None:
        raise RequestError(f"'{axis.override(axis.text)}': {axis.key} is not a number")
    whole = axis.interval.whole
    if whole is None:
        ends = (axis.interval.low, axis.interval.high)
        whole = kind is int and all(float(end).is_integer() for end in ends)
    return replace(axis, interval=replace(axis.interval, whole=whole))


def _make_points(space: Space, *, listed: bool) -> tuple[str, tuple[Point, ...], tuple[str, ...]]:
    """Return the name of the experiment, the distinct points of a grid, and `Plan.merged`.

    Of a search, a few points are checked, so that an invalid space is refused here.
    """
    found: dict[str, _Distinct] = {}
    homes = set()
    for point in space.grid() if listed else space.samples():
        try:
            config = space.thaw(point)
            excluded = space.excludes(point, config)
        except RequestError as error:
            raise RequestError(f"point {' '.join(point.overrides)}: {error}") from error
        homes.add((config.experiment, config.paths.runs))
        if listed and not excluded:
            content = _content(config)
            found.setdefault(_text(content), _Distinct(point, config.model, _outside(content)))
    if len(homes) != 1:
        raise RequestError("a sweep is one experiment: give one experiment= and one paths.runs=")
    if listed and not found:
        raise RequestError(f"exclude '{space.exclude}' excludes all points")
    return homes.pop()[0], *_one_per_network(found.values())


@dataclass(frozen=True)
class _Distinct:
    """A point with an identity of its own.

    Attributes:
        point: The point.
        model: Settings of its model.
        outside: Its identity without ``cell`` and ``activation``.
    """

    point: Point
    model: Mapping[str, Any]
    outside: str


def _outside(content: Sequence[Any]) -> str:
    settings, *paths = content
    kept = {name: x for name, x in settings.items() if name not in ("cell", "activation")}
    return _text([kept, *paths])


def _one_per_network(found: Iterable[_Distinct]) -> tuple[tuple[Point, ...], tuple[str, ...]]:
    """Drop points that differ only in ``cell`` or ``activation`` and have no recurrent layer.

    The keys of their runs differ, so that `identity` does as well.

    Returns:
        The other points, and the names of the models of those dropped.
    """
    first: dict[str, _Distinct] = {}
    kept: list[Point] = []
    merged: dict[str, None] = {}
    for each in found:
        if first.setdefault(each.outside, each) is each or _is_recurrent(each.model["system"]):
            kept.append(each.point)
        else:
            merged[each.model["name"]] = None
    return tuple(kept), tuple(merged)


@cache
def _is_recurrent(system: str) -> bool:
    from sercli.models import is_recurrent  # imports torch

    return is_recurrent({"system": system})
