"""The sweep: plan the trials of an experiment, and train each exactly once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from sercli.config.run_key import result_relevant
from sercli.config.schema import Config
from sercli.errors import Interrupted, RequestError, SercliError, counted
from sercli.processes import available_cores
from sercli.progress import SILENT, Progress
from sercli.results.run_record import Record, find_records, is_record, read_record
from sercli.results.sweep_summary import SweepSummary, read_sweep, set_apart
from sercli.search.announce import announce
from sercli.search.launch.gpus import gpus_for
from sercli.search.launch.local import WorkerExits, run_workers, share_machine
from sercli.search.launch.slurm import submit_workers
from sercli.search.plan.plan import Plan
from sercli.search.study.liveness import LivenessMonitor, register_worker
from sercli.search.study.study import Study
from sercli.search.worker.options import GRACE_SECONDS, WorkerOptions
from sercli.search.worker.runner import TrialRunner, data_settings
from sercli.search.worker.worker import run_worker

TRIALS_PER_CORE = 4
"""Trials per core from which on each core has a worker by default; with fewer, the processes of one
worker share the folds of each trial (our choice: no core is then idle at the end)."""

_WAITING, _FINISHED = ("WAITING",), ("COMPLETE", "PRUNED", "FAIL")


@dataclass(frozen=True)
class SweepOptions:
    """The options of running a sweep, none of which changes a result.

    Attributes:
        workers: Workers on this machine; None: by the number of trials.
        fold_workers: Processes per worker, each training one fold; None: its share of the cores.
        storage: URL of the storage; None: ``study.db`` in the folder of the experiment.
        grace: Seconds to finish a fold after SIGTERM.
    """

    workers: int | None = None
    fold_workers: int | None = None
    storage: str | None = None
    grace: float = GRACE_SECONDS


@dataclass(frozen=True)
class SweepResult:
    """The result of running a sweep.

    Attributes:
        summary: The summary of the sweep.
        finished_now: Trials that finished while this command ran.
        records: The records of all finished trials.
        failed: Failed trials and their cause, one pair for all that failed alike.
        jobs: Ids of submitted jobs, which are not waited for.
        stopped: The reason why the sweep is stopped, or None.
        preempted: True if SIGTERM ended the command, as by a scheduler.
    """

    summary: SweepSummary
    finished_now: int
    records: tuple[Record, ...]
    failed: tuple[tuple[str, str], ...]
    jobs: tuple[str, ...] = ()
    stopped: str | None = None
    preempted: bool = False

    @property
    def succeeded(self) -> bool:
        """True if no trial diverged or failed, and none is left without a good reason."""
        states = self.summary.states
        bad = states["diverged"] + states["failed"]
        may_be_unfinished = bool(self.jobs) or self.preempted
        return not bad and not self.stopped and (may_be_unfinished or self.summary.complete)

    def lines(self) -> list[str]:
        """Return the result as lines of text."""
        states = self.summary.states
        finished = sum(states[name] for name in ("complete", "diverged", "pruned", "failed"))
        counts = [
            f"{self.finished_now} finished now",
            f"{max(0, finished - self.finished_now)} earlier",
            f"{states['diverged']} diverged",
            f"{states['failed']} failed",
            *(f"{states[name]} {name}" for name in ("pruned", "excluded") if states[name]),
        ]
        left = [f"{states[name]} {name}" for name in ("waiting", "running") if states[name]]
        text = "; ".join(", ".join(part) for part in (counts, left) if part)
        lines = [f"{self.summary.experiment}: {counted(self._trials, 'trial')}: {text}"]
        lines += [f"failed: {trials}: {cause}" for trials, cause in self.failed]
        if self.stopped:
            lines.append(f"stopped: {self.stopped}")
        if self.preempted:
            lines.append("stopped by SIGTERM: run the same command again to resume")
        if self.jobs:
            lines.append(
                f"submitted {counted(len(self.jobs), 'worker')} ({', '.join(self.jobs)}); "
                f"follow them by: sercli status {self.summary.experiment}"
            )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON document."""
        return {
            "experiment": self.summary.experiment,
            "trials": self._trials,
            "states": dict(self.summary.states),
            "finished": len(self.records),
            "finished_now": self.finished_now,
            "winner": self.summary.winner,
            "runs": [
                {"key": r.key, "status": r.status, "dev_ua": r.metrics.get("dev_ua")}
                for r in self.records
            ],
            "failed": [{"trial": trial, "cause": cause} for trial, cause in self.failed],
            "jobs": list(self.jobs),
            "stopped": self.stopped,
            "preempted": self.preempted,
        }

    @property
    def _trials(self) -> int:
        states = self.summary.states
        return sum(states.values()) - states["excluded"]


def run_sweep(
    plan: Plan, options: SweepOptions = SweepOptions(), progress: Progress = SILENT
) -> SweepResult:
    """Plan the trials that an experiment lacks, and train all that are waiting.

    Finished trials are not trained again; a sweep that was stopped or killed resumes. The objective
    is UA on dev, pooled over folds; test results stay sealed. With ``launcher=submitit`` workers
    are submitted and not waited for.

    Args:
        plan: The plan of the sweep.
        options: Number of workers, storage and grace time.
        progress: Shows bars and notes.

    Raises:
        RequestError: A trial is invalid, or the experiment is another sweep's; nothing was trained.
        SercliError: The storage does not answer.
    """
    runner = TrialRunner(options.fold_workers, progress)
    config, fingerprints = _check(plan, runner, progress)
    runs = Path(config.paths.runs)
    study = Study(
        plan.experiment, runs, options.storage, note=progress.note, create=plan.objectives
    )
    earlier = study.summarize()[1] if study.counts() else pd.DataFrame()
    study.attributes.add_fingerprints(fingerprints)
    study.plan(plan)
    for line in announce(plan, study, earlier):
        progress.note(line)
    _set_others_apart(study, plan)
    before = _count(study, _FINISHED)
    common = WorkerOptions(
        plan.experiment,
        runs,
        options.storage,
        fold_workers=options.fold_workers,
        grace=options.grace,
        quiet=True,
    )
    jobs: list[str] = []
    preempted = False
    if config.launcher.name == "submitit":
        remote = replace(common, runs=runs.resolve(), quiet=False)  # into the log of its job
        jobs = submit_workers(run_worker, remote, config.launcher, study.folder.resolve())
    else:
        gpus = gpus_for(config.device)
        preempted = _run_here(study, common, options.workers, gpus, runner, progress)
    finished_now = _count(study, _FINISHED) - before
    return replace(_result(study, finished_now), jobs=tuple(jobs), preempted=preempted)


def _set_others_apart(study: Study, plan: Plan) -> None:
    """Write the summary; for a new sweep, with the runs in its folder that are not its trials."""
    new = read_sweep(study.folder) is None
    study.write_summary()
    runs = list(find_records(study.folder)) if new else []
    if runs:
        configs = (plan.space.thaw(point) for point in plan.points)
        planned = {json.dumps(result_relevant(config), sort_keys=True) for config in configs}
        others = [
            record.key
            for record in map(read_record, runs)
            if json.dumps(record.summary["configuration"], sort_keys=True) not in planned
        ]
        set_apart(study.folder, others)


def _check(plan: Plan, runner: TrialRunner, progress: Progress) -> tuple[Config, dict[str, str]]:
    """Refuse invalid trials before any work.

    Every value of every hyperparameter is tried in one point at least. Of a space that a sampler
    searches a part may be invalid: its points are excluded when they are suggested.

    Returns:
        The configuration of a point, and data settings → fingerprint of the data.
    """
    points = plan.points or tuple(plan.space.samples())
    bad: dict[str, list[str]] = {}
    good: dict[str, Config] = {}
    fingerprints: dict[str, str] = {}
    tried: set[tuple[str, str]] = set()
    for point in points:
        values = {("", point.base), *((key, str(each)) for key, each in point.settings.items())}
        if values <= tried:
            continue
        tried |= values
        config = plan.space.thaw(point)
        try:
            fingerprints[data_settings(config)] = runner.check(config)
            good[point.base] = config
        except RequestError as error:
            text = f"trial {' '.join(point.overrides)}: {error}"
            if plan.points:
                raise RequestError(text) from error
            bad.setdefault(point.base, []).append(text)
    for base, texts in bad.items():
        if base not in good:
            raise RequestError(texts[0])
        progress.note(f"a part of the space is invalid and will be excluded: {texts[0]}")
    return next(iter(good.values())), fingerprints


def _run_here(
    study: Study,
    common: WorkerOptions,
    workers: int | None,
    gpus: Sequence[str],
    runner: TrialRunner,
    progress: Progress,
) -> bool:
    """Run workers until no trial is waiting; return True if SIGTERM ended them before.

    Trials of a worker that was given up are trained by the next ones.
    """
    _requeue_stale(study)
    before = None
    while (waiting := _count(study, _WAITING)) and waiting != before and study.stop_reason is None:
        before = waiting
        number = workers or default_workers(waiting, len(gpus) or available_cores())
        if number == 1:
            run_worker(common, lambda fold_workers, progress: runner, progress)
            return bool(_count(study, _WAITING)) and study.stop_reason is None
        shares = share_machine(common, number, gpus)
        if _run_workers(study, shares, gpus, waiting, progress).preempted:
            return True
        _requeue_stale(study)
    return False


def _run_workers(
    study: Study,
    workers: Sequence[WorkerOptions],
    gpus: Sequence[str],
    waiting: int,
    progress: Progress,
) -> WorkerExits:
    shown = _count(study, _FINISHED)
    with progress.task(f"sweep {study.name}, trials", waiting) as task:

        def show() -> None:
            nonlocal shown
            finished = _count(study, _FINISHED)
            task.advance(finished - shown)
            shown = finished

        try:
            exits = run_workers(run_worker, workers, gpus=gpus, on_poll=show, progress=progress)
        except Interrupted:
            _requeue_stale(study, count_attempt=False)
            raise
    if any(exits.statuses) and not exits.preempted and _count(study, _WAITING):
        raise SercliError(
            f"workers of sweep '{study.name}' ended with status "
            f"{', '.join(map(str, exits.statuses))}; finished folds are kept: run the same "
            "command again, or with --workers 1 to see why"
        )
    return exits


def default_workers(trials: int, cores: int) -> int:
    """Return the default number of workers: one per core if there are many trials, else one.

    >>> default_workers(trials=100, cores=4), default_workers(trials=15, cores=4)
    (4, 1)
    """
    return cores if trials >= TRIALS_PER_CORE * cores else 1


def _requeue_stale(study: Study, *, count_attempt: bool = True) -> None:
    """Requeue the trials of workers that died on this machine."""
    with register_worker(study.folder) as me:
        study.requeue_stale(LivenessMonitor(study.folder, me), count_attempt=count_attempt)


def _count(study: Study, states: Sequence[str]) -> int:
    counts = study.counts()
    return sum(counts.get(state, 0) for state in states)


def _result(study: Study, finished_now: int) -> SweepResult:
    summary, trials = study.write_summary()
    failed = trials[trials["state"] == "failed"]
    folders = [study.folder / str(run) for run in trials["run"].dropna().unique()]
    return SweepResult(
        summary=summary,
        finished_now=finished_now,
        records=tuple(read_record(path) for path in folders if is_record(path)),
        failed=tuple(_by_cause(failed["overrides"].tolist(), failed["cause"].tolist())),
        stopped=study.stop_reason,
    )


def _by_cause(trials: Sequence[str], causes: Sequence[str]) -> list[tuple[str, str]]:
    """Return the first trial of each cause, with the number of others, and the cause."""
    grouped: dict[str, list[str]] = {}
    for trial, cause in zip(trials, causes, strict=True):
        grouped.setdefault(cause, []).append(trial)
    return [
        (f"{some[0]} and {len(some) - 1} more" if len(some) > 1 else some[0], cause)
        for cause, some in grouped.items()
    ]
