"""The plan of a sweep: what its points are, which of them count, and what is sought."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sercli.config.frozen import freeze, number_kind
from sercli.config.grammar import MOST_VALUES, Axis, read_sweep
from sercli.config.run_key import result_relevant
from sercli.config.schema import Config
from sercli.errors import RequestError, nearest
from sercli.search.plan.plan_file import PlanFile, PlanSchema, read_plan_file
from sercli.search.plan.space import POINT, Point, Space, base_name

GRID = "grid"
OBJECTIVES = ("dev_ua", "parameters", "seconds")
"""UA on dev, the more the better; weights of the model and seconds of training, the fewer."""


@dataclass(frozen=True)
class Plan:
    """A sweep, before anything of it has run.

    Attributes:
        experiment: Its name.
        sampler: ``grid``, or one of `sercli.search.samplers`.
        trials: How many points a sampler proposes; None for a grid.
        seed: Seed of the sampler.
        objectives: Of `OBJECTIVES`.
        pruner: One of `sercli.search.samplers.pruners`, or None.
        comparison: Whether it compares systems that were named before, so that all of them are
            results and none is chosen.
        space: What its points are made of.
        points: Of a grid all of them, in order, no two of which would give the same result; else
            none.
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

    What is given here wins over what the file of a plan says.

    Args:
        overrides: Hydra overrides, at least one of them with several values unless the plan has.
        plan: Name or path of the file of a plan.
        sampler: What proposes points; default: all of a grid.
        trials: How many points a sampler proposes.
        seed: Seed of the sampler, 0 or more; default: 0.
        objectives: What the search is for; default: UA on dev.
        pruner: What stops points early; ``none``: nothing, although the file says so.
        comparison: Whether all points are results.

    Raises:
        RequestError: The plan, an override, or the configuration of a point makes no sense.
    """
    file = (
        read_plan_file(plan, overrides)
        if plan
        else PlanFile(PlanSchema(), (), {}, tuple(overrides))
    )
    form = file.form
    sampler = sampler or form.sampler or GRID
    if trials is None and sampler != GRID:
        trials = form.trials
    objectives = tuple(objectives or form.objectives or OBJECTIVES[:1])
    pruner = pruner or form.prune
    pruner = None if pruner == "none" else pruner
    comparison = comparison or (form.comparison and sampler == GRID)
    _check_trials(sampler, trials)
    _check_aim(sampler, objectives, pruner, comparison)
    space = _make_space(file, listed=sampler == GRID)
    experiment, points = _make_points(space, listed=sampler == GRID)
    seed = (form.seed or 0) if seed is None else seed
    return Plan(experiment, sampler, trials, seed, objectives, pruner, comparison, space, points)


def identity(config: Config) -> str:
    """Say what can change the result of a configuration; points of equal identity are one."""
    return json.dumps([result_relevant(config), config.dataset.root], sort_keys=True)


def _check_trials(sampler: str, trials: int | None) -> None:
    from sercli.search.samplers import SAMPLERS

    if sampler not in (GRID, *SAMPLERS):
        raise RequestError(f"unknown sampler '{sampler}'.{nearest(sampler, (GRID, *SAMPLERS))}")
    if sampler == GRID and trials is not None:
        raise RequestError(
            f"trials={trials}: a grid runs all its points; give another sampler (tpe), or no trials"
        )
    if sampler != GRID and (trials is None or trials < 1):
        raise RequestError(f"sampler {sampler} needs a number of trials, as in --trials 60")


def _check_aim(
    sampler: str, objectives: Sequence[str], pruner: str | None, comparison: bool
) -> None:
    from sercli.search.samplers.pruners import make_pruner

    for name in objectives:
        if name not in OBJECTIVES:
            raise RequestError(f"unknown objective '{name}'.{nearest(name, OBJECTIVES)}")
    if OBJECTIVES[0] not in objectives or len(set(objectives)) < len(objectives):
        raise RequestError(
            f"objectives {', '.join(objectives)}: {OBJECTIVES[0]} must be one, and none stand twice"
        )
    if sampler == "cmaes" and len(objectives) > 1:
        raise RequestError("sampler cmaes has one objective; use tpe for several")
    make_pruner(pruner, len(objectives))
    if comparison and (sampler != GRID or pruner):
        raise RequestError(
            "comparison: systems that were named before are a grid, and none is pruned"
        )


def _make_space(file: PlanFile, *, listed: bool) -> Space:
    """Read the axes and freeze a configuration for each combination of composed values.

    Args:
        file: The plan.
        listed: Whether all points must be listed, so that there may be no interval.
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
    typed = tuple(_with_numbers(axis, next(iter(bases.values()))) for axis in axes)
    return Space(typed, bases, file.form.exclude)


def _read_point(file: PlanFile, name: str) -> list[str | Axis]:
    """Read the overrides of one of the points of a file."""
    own = file.points.get(name, ())
    for item in read_sweep(own):
        if isinstance(item, Axis):
            raise RequestError(
                f"point {name}: '{item.word(item.text)}' has several values; put it under 'sweep'"
            )
    return read_sweep([*file.before, *own, *file.after])


def _find(axis: Axis, items: Sequence[str | Axis]) -> Axis:
    """The axis of the same key; every point of a file has the same ones."""
    return next(item for item in items if isinstance(item, Axis) and item.key == axis.key)


def _check_axes(axes: Sequence[Axis], *, listed: bool) -> None:
    if not axes:
        raise RequestError(
            "nothing to sweep: give a key several values, as in arelu.alpha=0.01,0.1 "
            "(for a single configuration: sercli train)"
        )
    for axis in axes if listed else ():
        if axis.interval is not None:
            raise RequestError(
                f"'{axis.word(axis.text)}' is an interval, and a grid needs values: "
                "list them (a=1,2), or use range(start,stop,step)"
            )
    points = math.prod(len(axis.values) for axis in axes)
    if listed and points > MOST_VALUES:
        raise RequestError(f"a grid of {points} points; give --sampler and --trials instead")


def _freeze_all(axes: Sequence[Axis], read: Mapping[str, Sequence[str | Axis]]) -> dict[str, str]:
    """Freeze a configuration for each combination of values of the composed axes."""
    composed = [axis for axis in axes if axis.composed]
    bases = {}
    for values in itertools.product(*(axis.values for axis in composed)):
        chosen = {axis.key: value for axis, value in zip(composed, values, strict=True)}
        words = {axis.key: axis.word(chosen[axis.key]) for axis in composed}
        items = read[str(chosen.get(POINT, ""))]
        every = [item if isinstance(item, str) else words.get(item.key) for item in items]
        overrides = [each for each in every if each is not None]
        try:
            bases[base_name(axes, chosen)] = freeze(overrides)
        except RequestError as error:
            raise RequestError(f"point {' '.join(overrides)}: {error}") from error
    return bases


def _with_numbers(axis: Axis, base: str) -> Axis:
    """Say of an interval whether it has whole numbers only, as the setting itself has."""
    if axis.interval is None:
        return axis
    kind = number_kind(base, axis.key)
    if kind is None:
        raise RequestError(f"'{axis.word(axis.text)}': {axis.key} is not a number")
    whole = axis.interval.whole
    if whole is None:
        ends = (axis.interval.low, axis.interval.high)
        whole = kind is int and all(float(end).is_integer() for end in ends)
    return replace(axis, interval=replace(axis.interval, whole=whole))


def _make_points(space: Space, *, listed: bool) -> tuple[str, tuple[Point, ...]]:
    """Return the name of the experiment and the different points of a grid.

    Of a space without a list of points a few are tried, so that what makes no sense is refused now.
    """
    points: dict[str, Point] = {}
    homes = set()
    for point in space.grid() if listed else space.samples():
        try:
            config = space.thaw(point)
            excluded = space.excludes(point, config)
        except RequestError as error:
            raise RequestError(f"point {' '.join(point.overrides)}: {error}") from error
        homes.add((config.experiment, config.paths.runs))
        if listed and not excluded:
            points.setdefault(identity(config), point)
    if len(homes) != 1:
        raise RequestError("a sweep is one experiment: give one experiment= and one paths.runs=")
    if listed and not points:
        raise RequestError(f"exclude '{space.exclude}' leaves no point")
    return homes.pop()[0], tuple(points.values())
