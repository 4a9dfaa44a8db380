"""Planning: from the plan of a sweep to the trials of a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from optuna.distributions import BaseDistribution

from sercli.config.frozen import thaw
from sercli.results.environment import describe_code
from sercli.results.run_record import is_record
from sercli.search.plan.plan import GRID, Plan, identity
from sercli.search.plan.space import Point, Space
from sercli.search.study.attributes import StudyAttributes, StudySpec, digest
from sercli.search.study.trial_queue import EXCLUDED, PLANNED, NewTrial, TrialQueue


def plan_trials(plan: Plan, queue: TrialQueue, attributes: StudyAttributes, folder: Path) -> int:
    """Add the trials that a study lacks of a plan, and requeue those without a result.

    A trial without a result has failed, or its record is gone. Known trials keep the configuration
    that they were planned with, whatever was edited since.

    Args:
        plan: The plan.
        queue: The trials of the study.
        attributes: The attributes of the study.
        folder: Folder of the experiment.

    Returns:
        Number of known trials that have another configuration than the plan.

    Raises:
        RequestError: The study was planned with another spec, or searches another space.
    """
    bases = list(plan.space.bases.values())
    attributes.add_bases(bases)
    attributes.agree_on(_spec(plan, bases[0]), plan.space)
    to_retry = list(_to_retry(queue, folder))
    if plan.sampler == GRID:
        distributions = plan.space.distributions()
        trials = [_planned(point, plan.space, distributions) for point in plan.points]
        return queue.add_planned(trials, to_retry)
    queue.fill_up(plan.trials or 0, to_retry)
    return 0


def _spec(plan: Plan, base: str) -> StudySpec:
    return StudySpec(
        sampler=plan.sampler,
        seed=plan.seed,
        objectives=plan.objectives,
        pruner=plan.pruner,
        comparison=plan.comparison,
        seeds=tuple(thaw(base, {}).seeds),
        code=describe_code(),
    )


def _planned(point: Point, space: Space, distributions: Mapping[str, BaseDistribution]) -> NewTrial:
    planned = {
        "identity": digest(identity(space.thaw(point))),
        "overrides": list(point.overrides),
        "base": digest(space.bases[point.base]),
        "settings": dict(point.settings),
    }
    parameters = {key: (value, distributions[key]) for key, value in point.parameters.items()}
    return NewTrial({PLANNED: planned}, parameters)


def _to_retry(queue: TrialQueue, folder: Path) -> Iterator[int]:
    """Yield the numbers of finished trials without a result."""
    for trial in queue.trials():
        failed = trial.state == "FAIL" and EXCLUDED not in trial.attributes
        complete = trial.state == "COMPLETE"
        if failed or (complete and not is_record(folder / trial.attributes["run"])):
            yield trial.number
