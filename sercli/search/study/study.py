"""A study: the points of a sweep, what became of them, and what was said of the sweep as a whole.

All samplers share one mechanism: the trials are made when the sweep is planned, and workers claim
them (`sercli.search.study.trial_queue`). A grid's trials carry their points. Trials of other
samplers are tokens of a budget, whose settings are proposed when they are claimed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState

from sercli.config.frozen import overrides_of, thaw
from sercli.config.schema import Config
from sercli.errors import RequestError, nearest
from sercli.results.environment import describe_code
from sercli.results.run_record import is_record
from sercli.results.sweep_summary import STATES, SweepSummary, write_sweep
from sercli.search.plan.plan import GRID, Plan, identity
from sercli.search.plan.space import Point, Space
from sercli.search.samplers import make_sampler
from sercli.search.samplers.pruners import intermediate, make_pruner
from sercli.search.study.failures import ALIKE, KILLED, MAX_ATTEMPTS, Cause, killed
from sercli.search.study.liveness import LivenessMonitor, Worker
from sercli.search.study.outcome import with_outcome
from sercli.search.study.storage import StorageRetry, open_storage
from sercli.search.study.summary import tabulate
from sercli.search.study.trial_queue import (
    EXCLUDED,
    POINT,
    WORKER,
    ClaimedTrial,
    NewTrial,
    TrialQueue,
    TrialRow,
)

MOST_EXCLUDED = 20
"""How many points a sampler may propose in vain for each one that is wanted (our choice)."""

_COSTS = ("parameters", "seconds")
_CAUSE, _BASE = "cause:", "base:"


@dataclass(frozen=True)
class StudySpec:
    """What holds for all points of a study.

    Attributes:
        sampler: Its name.
        seed: Seed of the sampler.
        objectives: ``dev_ua``, which is maximised, and perhaps costs, which are minimised.
        pruner: Its name, if there is one.
        comparison: Whether all points are results (`sercli.results.sweep_summary.SweepSummary`).
        seeds: Seeds of the points.
        code: The code that planned them.
    """

    sampler: str
    seed: int
    objectives: tuple[str, ...]
    pruner: str | None
    comparison: bool
    seeds: tuple[int, ...]
    code: Mapping[str, Any]


class Study:
    """The points of one experiment and what became of them.

    Args:
        name: Name of the experiment.
        runs: Folder of the experiments.
        url: URL of the storage; None: ``study.db`` in the experiment's folder.
        note: Told when the storage goes away and is back.
        create: Whether to make the study, with these objectives, where there is none.

    Raises:
        RequestError: There is no such study, or the URL is none.
        SercliError: The storage does not answer.
    """

    def __init__(
        self,
        name: str,
        runs: Path,
        url: str | None = None,
        *,
        note: Callable[[str], None] = lambda text: None,
        create: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.folder = runs / name
        self.with_retry = StorageRetry(note)
        self._note = note
        if not create and url is None and not (self.folder / "study.db").is_file():
            raise RequestError(_no_study(name, runs))
        self._storage = open_storage(self.folder, url)
        self._id = self.with_retry(lambda: self._find(create, runs))
        self._queue = TrialQueue(self._storage, self._id)

    def _find(self, create: Sequence[str], runs: Path) -> int:
        if create:
            directions = [
                StudyDirection.MINIMIZE if name in _COSTS else StudyDirection.MAXIMIZE
                for name in create
            ]
            with suppress(optuna.exceptions.DuplicatedStudyError):  # another process was faster
                optuna.create_study(
                    storage=self._storage,
                    study_name=self.name,
                    directions=directions,
                    load_if_exists=True,
                )
        try:
            return self._storage.get_study_id_from_name(self.name)
        except KeyError:
            raise RequestError(_no_study(self.name, runs)) from None

    # ---- planning

    def plan(self, plan: Plan) -> None:
        """Add what the study lacks of a plan; what failed, or whose record is gone, waits again.

        Points that are known stay as they were when they were planned, whatever was edited since.

        Raises:
            RequestError: The study searches in another way, or elsewhere.
        """
        bases = {_short(text): text for text in plan.space.bases.values()}
        kept = self._get_attrs(_BASE)
        for name, text in bases.items():
            if _BASE + name not in kept:
                self._set_attr(_BASE + name, text)
        config = thaw(next(iter(bases.values())), {})
        spec = StudySpec(
            sampler=plan.sampler,
            seed=plan.seed,
            objectives=plan.objectives,
            pruner=plan.pruner,
            comparison=plan.comparison,
            seeds=tuple(config.seeds),
            code=describe_code(),
        )
        self._agree(spec, plan.space)
        to_retry = self._to_retry(self.with_retry(self._queue.trials))
        if plan.sampler == GRID:
            how = plan.space.distributions()
            entries = [_entry(point, plan.space, how) for point in plan.points]
            changed = self.with_retry(lambda: self._queue.plan(entries, to_retry))
            if changed:
                self._note(
                    f"{changed} points of '{self.name}' were planned with other settings behind "
                    "the same overrides, and stay so; to use today's, give another experiment="
                )
        else:
            total = plan.trials or 0
            self.with_retry(lambda: self._queue.fill_up(total, NewTrial({}), to_retry))
        self.go_on()

    def _agree(self, spec: StudySpec, space: Space) -> None:
        """Write what holds for all points, unless it is there; then it must be the same."""
        kept = self._get_attrs("spec").get("spec")
        if kept is None:
            self._set_attr("space", space.to_json())
            self._set_attr("spec", asdict(spec))
            return
        wanted = json.loads(json.dumps(asdict(spec)))
        for name in ("sampler", "seed", "objectives", "pruner", "comparison"):
            if kept[name] != wanted[name]:
                raise RequestError(
                    f"experiment '{self.name}' was planned with {name}={kept[name]}, not "
                    f"{wanted[name]}; give this sweep another experiment="
                )
        before = self._read_space()
        if spec.sampler == GRID:
            self._set_attr("space", _joined(before, space).to_json())
        elif _sought(before) != _sought(space):
            raise RequestError(
                f"experiment '{self.name}' searches another space ({_words(before)}); give this "
                "sweep another experiment="
            )

    def _to_retry(self, trials: Sequence[TrialRow]) -> list[int]:
        """Numbers of the finished trials that have no result, or none any more."""
        return [
            trial.number
            for trial in trials
            if (trial.state == "FAIL" and EXCLUDED not in trial.attributes)
            or (trial.state == "COMPLETE" and not is_record(self.folder / trial.attributes["run"]))
        ]

    # ---- what holds for the whole

    @cached_property
    def spec(self) -> StudySpec:
        """What holds for all points."""
        kept = self._get_attrs("spec").get("spec")
        if kept is None:
            raise RequestError(f"'{self.name}' was not planned by sercli; plan it by sercli sweep")
        tuples = {name: tuple(kept[name]) for name in ("objectives", "seeds")}
        return StudySpec(**{**kept, **tuples})

    @cached_property
    def space(self) -> Space:
        """Where the points of a search lie; of a grid, its axes."""
        return self._read_space()

    def _read_space(self) -> Space:
        return Space.from_json(self._get_attrs("space")["space"])

    def expect(self, data: Mapping[str, str]) -> None:
        """Keep the fingerprints of the data that the points were planned on.

        Args:
            data: Name of the settings of the data (`sercli.search.worker.runner.data_name`) →
                fingerprint.
        """
        self._set_attr("data", {**self._get_attrs("data").get("data", {}), **data})

    @cached_property
    def expected(self) -> dict[str, str]:
        """What `expect` kept."""
        kept: dict[str, str] = self._get_attrs("data").get("data", {})
        return kept

    def stop(self, why: str) -> None:
        """Let the workers leave after the point that they are at."""
        self._set_attr("stopped", why)

    def go_on(self) -> None:
        """Take back what `stop` said."""
        self._set_attr("stopped", None)

    @property
    def stopped(self) -> str | None:
        """Why no further point is to be claimed, if so."""
        why: str | None = self._get_attrs("stopped").get("stopped")
        return why

    def _set_attr(self, name: str, value: Any) -> None:
        self.with_retry(lambda: self._queue.set_attr(name, value))

    def _get_attrs(self, prefix: str) -> dict[str, Any]:
        return self.with_retry(lambda: self._queue.get_attrs(prefix))

    # ---- what a worker does with a point

    def claim(self, worker: Worker) -> ClaimedTrial | None:
        """Claim a trial; None when none waits."""
        return self.with_retry(lambda: self._queue.claim(worker.to_json()))

    def configuration(self, claim: ClaimedTrial) -> Config | None:
        """Make the configuration of a claimed point, as it was when it was planned.

        The settings of a point that has none are proposed by the sampler.

        Returns:
            The configuration; None where the plan excludes what the sampler proposes.

        Raises:
            RequestError: It makes no sense.
        """
        if POINT in claim.attributes:
            kept = claim.attributes[POINT]
            return thaw(self._base(kept["base"]), kept["settings"])
        point = self.space.point(self.with_retry(lambda: self._propose(claim)))
        config = self.space.thaw(point)
        return None if self.space.excludes(point, config) else config

    @cache  # noqa: B019 - a study lives as long as its process
    def _base(self, name: str) -> str:
        text: str = self._get_attrs(_BASE + name)[_BASE + name]
        return text

    def _propose(self, claim: ClaimedTrial) -> dict[str, Any]:
        self._optuna.sampler = make_sampler(self.spec.sampler, self.spec.seed, claim.number)
        self._optuna.get_trials(deepcopy=False)  # else its cache does not know the trial
        trial = Trial(self._optuna, claim.trial_id)
        distributions = self.space.distributions()
        return {name: _suggest(trial, name, how) for name, how in distributions.items()}

    @cached_property
    def _optuna(self) -> optuna.Study:
        """The study as Optuna's samplers and pruners see it; it remembers what was finished."""
        return optuna.load_study(study_name=self.name, storage=self._storage)

    def heartbeat(self, claim: ClaimedTrial) -> None:
        """Say that the worker of a point is alive; once, without waiting for the storage."""
        self._queue.heartbeat(claim)

    def progressed(self, claim: ClaimedTrial, dev_uas: Mapping[int, float]) -> bool:
        """Note how far a point is.

        Args:
            claim: The point.
            dev_uas: Place in the order of seeds and folds → UA on dev.

        Returns:
            Whether it is so bad that it should be stopped.
        """
        if len(dev_uas) > claim.attributes.get("fold_runs", 0):
            self.with_retry(
                lambda: self._queue.set_trial_attrs(
                    claim, {"fold_runs": len(dev_uas), "attempts": 0}
                )
            )
        name = self.spec.pruner
        pruner = make_pruner(name, len(self.spec.objectives))
        if name is None or pruner is None or any(map(math.isnan, dev_uas.values())):
            return False
        steps = _steps(name, dev_uas)
        return bool(steps) and self.with_retry(lambda: self._is_bad(claim, pruner, steps))

    def _is_bad(self, claim: ClaimedTrial, pruner: BasePruner, steps: Mapping[int, float]) -> bool:
        for step, value in steps.items():
            self._storage.set_trial_intermediate_value(claim.trial_id, step, value)
        return pruner.prune(self._optuna, self._storage.get_trial(claim.trial_id))

    def finish(
        self, claim: ClaimedTrial, result: Mapping[str, Any], values: Sequence[float]
    ) -> bool:
        """Record what a point gave.

        Args:
            claim: The point.
            result: ``run`` (its key), ``seconds``, ``diverged``.
            values: One for each objective.

        Returns:
            Whether it counts; not, where another worker finished the point first.
        """
        return self._end(claim, TrialState.COMPLETE, values, result)

    def least_dev_ua(self) -> float:
        """What a diverged point counts as for a sampler: the least dev UA so far, else 0.

        It turns away from there; were it 0 always, a Gaussian process would see nothing but that
        cliff (benchmarks/samplers.md; our choice).
        """
        trials = self.with_retry(self._queue.trials)
        return min((trial.values[0] for trial in trials if trial.state == "COMPLETE"), default=0.0)

    def prune(self, claim: ClaimedTrial) -> None:
        """Record that a point was stopped because it is bad."""
        self._end(claim, TrialState.PRUNED, (), {})

    def exclude(self, claim: ClaimedTrial, why: str) -> None:
        """Record that a sampler's point is none of those wanted, and add another token.

        Where hardly any are wanted, the sweep is stopped.
        """
        self._end(claim, TrialState.FAIL, (), {EXCLUDED: why})
        trials = self.with_retry(self._queue.trials)
        reasons = [x.attributes[EXCLUDED] for x in trials if EXCLUDED in x.attributes]
        wanted = len(trials) - len(reasons) + 1
        if len(reasons) > MOST_EXCLUDED * wanted:
            self.stop(
                f"{len(reasons)} of {len(trials)} proposed points are excluded; narrow the space "
                f"(the last one: {why})"
            )
        self.with_retry(lambda: self._queue.fill_up(wanted, NewTrial({})))

    def requeue(self, claim: ClaimedTrial, *, last: bool = False) -> None:
        """Let a point wait again, with what is finished of it."""
        self.with_retry(lambda: self._queue.requeue(claim, last=last))

    def fail(self, claim: ClaimedTrial, cause: Cause) -> None:
        """Record a failure; the point is tried again, last of all, unless it was too often.

        Where all that was tried so far has failed alike, the sweep is stopped.
        """
        if not self._get_attrs(_CAUSE + cause.name):
            self._set_attr(_CAUSE + cause.name, {"text": cause.text, "traceback": cause.traceback})
        about = self.with_retry(lambda: self._queue.trial_attrs(claim))
        attempts = int(about.get("attempts", 0)) + 1
        failed = {"cause": cause.name, "attempts": attempts}
        if cause.final or attempts >= MAX_ATTEMPTS:
            self._end(claim, TrialState.FAIL, (), failed)
        else:
            self.with_retry(lambda: self._queue.requeue(claim, failed, last=True))
        self._stop_if_all_fail()

    def _stop_if_all_fail(self) -> None:
        trials = self.with_retry(self._queue.trials)
        causes = [trial.attributes["cause"] for trial in trials if "cause" in trial.attributes]
        some_went_well = any(trial.state in ("COMPLETE", "PRUNED") for trial in trials)
        if some_went_well or len(causes) < min(ALIKE, len(trials)) or len(set(causes)) > 1:
            return
        text = self._get_attrs(_CAUSE + causes[0])[_CAUSE + causes[0]]["text"]
        self.stop(f"the first {len(causes)} points failed alike: {text}")

    def requeue_stale(self, monitor: LivenessMonitor, *, count_attempt: bool = True) -> int:
        """Let the points of dead workers wait again, and return how many there were.

        One whose workers die again and again without finishing a fold is failed.

        Args:
            monitor: Tells who is dead.
            count_attempt: False if the workers were stopped on purpose: no attempt is lost.
        """
        dead = [
            claim
            for claim, beat in self.with_retry(self._queue.running)
            if monitor.is_stale(claim.trial_id, claim.attributes[WORKER], beat)
        ]
        for claim in dead:
            attempts = int(claim.attributes.get("attempts", 0)) + count_attempt
            if attempts >= MAX_ATTEMPTS:
                self._set_attr(_CAUSE + KILLED, {"text": killed().text, "traceback": ""})
                failed = {"cause": KILLED, "attempts": attempts}
                self._end(claim, TrialState.FAIL, (), failed)
            else:
                again = partial(self._queue.requeue, claim, {"attempts": attempts})
                self.with_retry(again)
        return len(dead)

    def _end(
        self,
        claim: ClaimedTrial,
        state: TrialState,
        values: Sequence[float],
        attributes: Mapping[str, Any],
    ) -> bool:
        return self.with_retry(lambda: self._queue.finish(claim, state, values, attributes))

    # ---- what became of the points

    def counts(self) -> dict[str, int]:
        """Name of a state of Optuna's → number of points."""
        return self.with_retry(self._queue.counts)

    def describe(self) -> tuple[SweepSummary, pd.DataFrame]:
        """Return the page and the table of the study (`sercli.results.sweep_summary`)."""
        spec = self.spec
        causes = {
            name.removeprefix(_CAUSE): cause["text"]
            for name, cause in self._get_attrs(_CAUSE).items()
        }
        trials = tabulate(self.with_retry(self._queue.trials), spec.objectives, causes)
        states = trials["state"].value_counts()
        summary = SweepSummary(
            experiment=self.name,
            sampler=spec.sampler,
            objectives=spec.objectives,
            pruner=spec.pruner,
            space={axis.key: axis.text for axis in self.space.axes},
            seeds=spec.seeds,
            states={state: int(states.get(state, 0)) for state in STATES},
            comparison=spec.comparison,
            code=spec.code,
        )
        return summary, trials

    def outcome(self) -> tuple[SweepSummary, pd.DataFrame]:
        """Return the same, and once nothing waits or runs the winner and what decided."""
        summary, trials = self.describe()
        return with_outcome(summary, trials), trials

    def write_summary(self) -> tuple[SweepSummary, pd.DataFrame]:
        """Write both beside the records, for a report, and return them."""
        summary, trials = self.outcome()
        write_sweep(self.folder, summary, trials)
        return summary, trials

    def tracebacks(self) -> dict[str, str]:
        """Cause in words → where it happened, once for all failures that are alike."""
        return {cause["text"]: cause["traceback"] for cause in self._get_attrs(_CAUSE).values()}


def _entry(point: Point, space: Space, how: Mapping[str, BaseDistribution]) -> NewTrial:
    kept = {
        "identity": _short(identity(space.thaw(point))),
        "overrides": list(point.overrides),
        "base": _short(space.bases[point.base]),
        "settings": dict(point.settings),
    }
    return NewTrial(
        {POINT: kept}, {key: (value, how[key]) for key, value in point.parameters.items()}
    )


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _joined(before: Space, now: Space) -> Space:
    """The axes of a grid that has grown."""
    axes = {axis.key: axis for axis in before.axes}
    for axis in now.axes:
        text = axes[axis.key].text if axis.key in axes else axis.text
        grown = text if text == axis.text else f"{text}; {axis.text}"
        axes[axis.key] = replace(axis, text=grown)
    return replace(before, axes=tuple(axes.values()))


def _sought(space: Space) -> Any:
    """What makes a search the same: where it looks, and what it was asked for beside that."""
    fixed = {name: overrides_of(text) for name, text in space.bases.items()}
    return space.axes, space.exclude, fixed


def _steps(pruner: str, dev_uas: Mapping[int, float]) -> dict[int, float]:
    """What a pruner is told: one that averages sees the first units only, the same of every point.

    One that pairs units may see any of them.
    """
    places = sorted(dev_uas)
    if pruner != "wilcoxon":
        places = [place for number, place in enumerate(places) if place == number]
    return {
        place: intermediate(pruner, [dev_uas[each] for each in places[: number + 1]])
        for number, place in enumerate(places)
    }


def _suggest(trial: Trial, name: str, how: BaseDistribution) -> Any:
    if isinstance(how, CategoricalDistribution):
        return trial.suggest_categorical(name, how.choices)
    if isinstance(how, IntDistribution):
        return trial.suggest_int(name, how.low, how.high, step=how.step, log=how.log)
    assert isinstance(how, FloatDistribution)
    return trial.suggest_float(name, how.low, how.high, step=how.step, log=how.log)


def _words(space: Space) -> str:
    return ", ".join(f"{axis.key}={axis.text}" for axis in space.axes)


def _no_study(name: str, runs: Path) -> str:
    known = [path.parent.name for path in runs.glob("*/study.db")] if runs.is_dir() else []
    hint = nearest(name, known) if known else f" There is none in {runs}."
    return f"no study '{name}'.{hint} A sweep makes one: sercli sweep … experiment={name}"
