"""The sweep: plan the points of an experiment, and have each trained exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sercli.config.schema import Config
from sercli.errors import Interrupted, RequestError, SercliError
from sercli.processes import available_cores
from sercli.progress import SILENT, Progress
from sercli.results.run_record import Record, is_record, read_record
from sercli.results.sweep_summary import SweepSummary
from sercli.search.launch.gpus import gpus_for
from sercli.search.launch.local import WorkerExits, run_local, share
from sercli.search.launch.slurm import submit
from sercli.search.plan.plan import Plan
from sercli.search.study.liveness import LivenessMonitor, register_worker
from sercli.search.study.study import Study
from sercli.search.worker.options import GRACE_SECONDS, WorkerOptions
from sercli.search.worker.runner import TrialRunner, data_name
from sercli.search.worker.worker import work

TRIALS_PER_CORE = 4
"""How many points each core must have for the default to be a worker per core; with fewer, one
worker's processes share the folds of each point (our choice: no core is then idle at the end)."""

_WAITS, _DONE = "WAITING", ("COMPLETE", "PRUNED", "FAIL")


@dataclass(frozen=True)
class SweepOptions:
    """How a sweep is run, which changes no result.

    Attributes:
        workers: Workers on this machine; None: by the number of points.
        fold_workers: Processes per worker, each training one fold; None: its share of the cores.
        storage: URL of the storage; None: a file in the folder of the experiment.
        grace: Seconds from SIGTERM to the moment when an unfinished fold is given up.
    """

    workers: int | None = None
    fold_workers: int | None = None
    storage: str | None = None
    grace: float = GRACE_SECONDS


@dataclass(frozen=True)
class SweepResult:
    """What a sweep did.

    Attributes:
        summary: The sweep in short.
        finished_now: How many points this command saw finish.
        records: The records of all points that are finished.
        failed: What could not be run: points and reason, one for all failures that are alike.
        jobs: Ids of the jobs that were submitted instead of waited for.
        stopped: Why no more points are trained, if they were stopped.
        left: Whether the workers were asked to leave by SIGTERM, as by a scheduler.
    """

    summary: SweepSummary
    finished_now: int
    records: tuple[Record, ...]
    failed: tuple[tuple[str, str], ...]
    jobs: tuple[str, ...] = ()
    stopped: str | None = None
    left: bool = False

    @property
    def all_well(self) -> bool:
        """Whether nothing diverged or failed, and what waits does so for a good reason."""
        points = self.summary.states
        bad = points["diverged"] + points["failed"]
        may_wait = bool(self.jobs) or self.left
        return not bad and not self.stopped and (may_wait or self.summary.complete)

    def lines(self) -> list[str]:
        """Say in words what the sweep did."""
        points = self.summary.states
        done = points["complete"] + points["diverged"] + points["pruned"] + points["failed"]
        before = max(0, done - self.finished_now)
        parts = [
            f"{sum(points.values()) - points['excluded']} points",
            f"{self.finished_now} finished now",
            f"{before} before",
            f"{points['diverged']} diverged",
            f"{points['failed']} failed",
        ]
        more = {"pruned": "pruned", "excluded": "excluded", "waiting": "wait", "running": "run"}
        parts += [f"{points[state]} {word}" for state, word in more.items() if points[state]]
        lines = [f"{self.summary.experiment}: {', '.join(parts)}"]
        lines += [f"failed: {overrides}: {reason}" for overrides, reason in self.failed]
        if self.stopped:
            lines.append(f"stopped: {self.stopped}")
        if self.left:
            lines.append("asked to leave: the same command goes on from there")
        if self.jobs:
            lines.append(
                f"submitted {len(self.jobs)} workers ({', '.join(self.jobs)}); look with: "
                f"sercli status {self.summary.experiment}"
            )
        return lines

    def to_json(self) -> dict[str, Any]:
        """The same as one document."""
        return {
            "experiment": self.summary.experiment,
            "points": sum(self.summary.states.values()) - self.summary.states["excluded"],
            "states": dict(self.summary.states),
            "finished": len(self.records),
            "finished_now": self.finished_now,
            "winner": self.summary.winner,
            "runs": [
                {"key": r.key, "status": r.status, "dev_ua": r.metrics.get("dev_ua")}
                for r in self.records
            ],
            "failed": [{"point": point, "reason": reason} for point, reason in self.failed],
            "jobs": list(self.jobs),
            "stopped": self.stopped,
            "left": self.left,
        }


def run_sweep(
    plan: Plan, options: SweepOptions = SweepOptions(), progress: Progress = SILENT
) -> SweepResult:
    """Plan the points that the experiment lacks, and train what waits.

    What was finished before is not trained again; a sweep that was stopped or killed goes on where
    it was. The objective is UA on dev, pooled over folds; test is never looked at. With a launcher
    other than ``local`` workers are submitted and not waited for.

    Args:
        plan: The points of one experiment, or the space and the budget of a search.
        options: Number of workers, storage and grace time.
        progress: Where bars and notes go.

    Raises:
        RequestError: A point makes no sense, or the experiment is another sweep's. Nothing was run.
        SercliError: The storage does not answer.
    """
    runner = TrialRunner(options.fold_workers, progress)
    config, data = _check(plan, runner, progress)
    runs = Path(config.paths.runs)
    study = Study(
        plan.experiment, runs, options.storage, note=progress.note, create=plan.objectives
    )
    study.expect(data)
    study.plan(plan)
    study.write_summary()
    before = _done(study)
    worker_options = WorkerOptions(
        plan.experiment,
        runs,
        options.storage,
        fold_workers=options.fold_workers,
        grace=options.grace,
        quiet=True,
    )
    jobs: list[str] = []
    left = False
    if config.launcher.name == "submitit":
        away = replace(worker_options, runs=runs.resolve())
        jobs = submit(work, away, config.launcher, study.folder.resolve())
    else:
        left = _run_here(
            study, worker_options, options.workers, gpus_for(config.device), runner, progress
        )
    return replace(_result(study, _done(study) - before), jobs=tuple(jobs), left=left)


def _check(plan: Plan, runner: TrialRunner, progress: Progress) -> tuple[Config, dict[str, str]]:
    """Refuse points that make no sense before any work.

    Every value of every setting is tried in one point at least. Of a space that a sampler searches
    a part may make no sense: such points are excluded when they are proposed.

    Returns:
        The configuration of a point; the name of the settings of the data of each → fingerprint.
    """
    points = plan.points or tuple(plan.space.samples())
    bad: dict[str, list[str]] = {}
    good: dict[str, Config] = {}
    data: dict[str, str] = {}
    tried: set[tuple[str, str]] = set()
    for point in points:
        parts = {("", point.base), *((key, str(value)) for key, value in point.settings.items())}
        if parts <= tried:
            continue
        tried |= parts
        config = plan.space.thaw(point)
        try:
            data[data_name(config)] = runner.check(config)
            good[point.base] = config
        except RequestError as error:
            text = f"point {' '.join(point.overrides)}: {error}"
            if plan.points:
                raise RequestError(text) from error
            bad.setdefault(point.base, []).append(text)
    for base, texts in bad.items():
        if base not in good:
            raise RequestError(texts[0])
        progress.note(f"a part of the space makes no sense and is excluded: {texts[0]}")
    return next(iter(good.values())), data


def _run_here(
    study: Study,
    options: WorkerOptions,
    workers: int | None,
    gpus: Sequence[str],
    runner: TrialRunner,
    progress: Progress,
) -> bool:
    """Run workers until nothing waits, and return whether they were asked to leave before that.

    Points of a worker that was killed for good are trained by the next ones.
    """
    _requeue_stale(study)
    before = None
    while (waiting := _count(study, _WAITS)) and waiting != before and study.stopped is None:
        before = waiting
        many = workers or default_workers(waiting, len(gpus) or available_cores())
        if many == 1:
            work(options, lambda fold_workers, progress: runner, progress)
            return bool(_count(study, _WAITS)) and study.stopped is None
        if _run_workers(study, share(options, many, gpus), gpus, waiting, progress).stopped:
            return True
        _requeue_stale(study)
    return False


def _run_workers(
    study: Study,
    worker_options: Sequence[WorkerOptions],
    gpus: Sequence[str],
    waiting: int,
    progress: Progress,
) -> WorkerExits:
    shown = _done(study)
    with progress.task(f"sweep {study.name}, points", waiting) as task:

        def watch() -> None:
            nonlocal shown
            done = _done(study)
            task.advance(done - shown)
            shown = done

        try:
            ended = run_local(work, worker_options, gpus=gpus, watch=watch, progress=progress)
        except Interrupted:
            _requeue_stale(study, count_attempt=False)
            raise
    if any(ended.statuses) and not ended.stopped and _count(study, _WAITS):
        raise SercliError(
            f"workers of sweep '{study.name}' ended with status "
            f"{', '.join(map(str, ended.statuses))}; what was finished is kept: run the same "
            "command again, or with --workers 1 to see why"
        )
    return ended


def default_workers(points: int, cores: int) -> int:
    """Return how many workers a sweep has unless it is told."""
    return cores if points >= TRIALS_PER_CORE * cores else 1


def _requeue_stale(study: Study, *, count_attempt: bool = True) -> None:
    """Let the points of workers that died on this machine wait again."""
    with register_worker(study.folder) as me:
        study.requeue_stale(LivenessMonitor(study.folder, me), count_attempt=count_attempt)


def _count(study: Study, *states: str) -> int:
    counts = study.counts()
    return sum(counts.get(state, 0) for state in states)


def _done(study: Study) -> int:
    return _count(study, *_DONE)


def _result(study: Study, finished_now: int) -> SweepResult:
    summary, trials = study.write_summary()
    failed = trials[trials["state"] == "failed"]
    folders = [study.folder / str(run) for run in trials["run"].dropna().unique()]
    return SweepResult(
        summary=summary,
        finished_now=finished_now,
        records=tuple(read_record(path) for path in folders if is_record(path)),
        failed=tuple(_alike(failed["overrides"].tolist(), failed["cause"].tolist())),
        stopped=study.stopped,
    )


def _alike(points: Sequence[str], causes: Sequence[str]) -> list[tuple[str, str]]:
    """One line for all points that failed alike: the first one, and how many more."""
    by_cause: dict[str, list[str]] = {}
    for point, cause in zip(points, causes, strict=True):
        by_cause.setdefault(cause, []).append(point)
    return [
        (f"{some[0]} and {len(some) - 1} more" if len(some) > 1 else some[0], cause)
        for cause, some in by_cause.items()
    ]
