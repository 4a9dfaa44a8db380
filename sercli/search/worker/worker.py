"""A worker: claims trials of a study and trains them until none is waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

from sercli.config.compose import compose
from sercli.config.schema import Config
from sercli.errors import BusyError, Interrupted, RequestError, counted
from sercli.nn.device import choose_device
from sercli.nn.recurrence.backend import use_backend
from sercli.processes import start_thread
from sercli.progress import Progress
from sercli.results.environment import describe_code
from sercli.search.study.failures import cause_of
from sercli.search.study.liveness import (
    HEARTBEAT_SECONDS,
    LivenessMonitor,
    Worker,
    register_worker,
)
from sercli.search.study.study import Study
from sercli.search.study.trial_queue import PLANNED, ClaimedTrial
from sercli.search.worker.options import WorkerOptions
from sercli.search.worker.preemption import GraceExpired, ShutdownRequest, shutdown_on_signal
from sercli.search.worker.runner import Runner, TrialResult, TrialRunner, data_settings
from sercli.training.run import OnFoldFinished

_ALLOWED_OVERRIDES = ("device=", "dataset.root=", "paths.", "recurrence.")
_BUSY_SECONDS = 1.0


class _TrialEnd(Exception):
    """Training ends early, without a failure."""


class _TrialPruned(_TrialEnd):
    """The pruner stops the trial."""


class _ShutdownRequested(_TrialEnd):
    """Signal to exit after the fold that has just finished."""


class _InvalidProposal(_TrialEnd):
    """The sampler suggests what the plan excludes or no model can have."""


class _OtherDataError(RequestError):
    """This machine has another corpus, so that no trial can be trained here."""


def run_worker(
    options: WorkerOptions,
    open_runner: Callable[[int | None, Progress], Runner] = TrialRunner,
    progress: Progress | None = None,
) -> int:
    """Train trials of a study until none is waiting, the study is stopped, or SIGTERM arrives.

    On SIGTERM the worker finishes its fold within the grace time and requeues the trial; the next
    worker that claims it resumes after its last finished fold.

    Args:
        options: The study, and how to run on this machine.
        open_runner: Returns the runner of the trials.
        progress: Shows bars and notes; None: on the terminal, unless `options.quiet`.

    Returns:
        The exit status 0; failures are recorded in the study.

    Raises:
        RequestError: There is no such study, a worker of that name is running here, or an override
            would change results.
        SercliError: The storage did not answer for too long.
    """
    _check_overrides(options)
    progress = progress or Progress(quiet=options.quiet)
    with shutdown_on_signal(options.grace) as shutdown:
        study = Study(options.study, options.runs, options.storage, note=progress.note)
        if not study.folder.parent.is_dir():
            raise RequestError(
                f"sweep '{study.name}' keeps its records in {study.folder.parent}, which this "
                "machine does not have; give that folder's path here by --runs"
            )
        with register_worker(study.folder, options.name) as worker:
            try:
                with open_runner(options.fold_workers, progress) as runner:
                    _WorkerLoop(study, worker, shutdown, options, progress, runner).run()
            except GraceExpired:
                progress.note("shutdown requested: the unfinished fold was discarded")
            shutdown.disarm()
            study.write_summary()
            study.drop_losers()
    return 0


def _check_overrides(options: WorkerOptions) -> None:
    """Refuse overrides that change results, or name what this machine does not have."""
    for override in options.overrides:
        if not override.startswith(_ALLOWED_OVERRIDES) or override.startswith("paths.runs="):
            raise RequestError(
                f"'{override}': the trials of a sweep are fixed; a worker accepts device=…, "
                "dataset.root=…, paths.data=…, paths.store=… and recurrence.…=…, and --runs"
            )
    if options.overrides:
        own = compose(options.overrides)
        choose_device(own.device)
        use_backend(own.recurrence.backend)


class _WorkerLoop:
    """Claims and trains one trial after the other."""

    def __init__(
        self,
        study: Study,
        worker: Worker,
        shutdown: ShutdownRequest,
        options: WorkerOptions,
        progress: Progress,
        runner: Runner,
    ) -> None:
        self._study, self._worker, self._shutdown = study, worker, shutdown
        self._options, self._progress, self._runner = options, progress, runner
        self._monitor = LivenessMonitor(study.folder, worker)
        study.with_retry.on_outage = self._monitor.reset

    def run(self) -> None:
        waiting = self._study.counts().get("WAITING", 0)
        with self._progress.task(f"sweep {self._study.name}, trials", waiting) as task:
            while not self._shutdown.requested and (trial := self._next()) is not None:
                self._run_or_requeue(trial)
                task.advance()

    def _next(self) -> ClaimedTrial | None:
        if stale := self._study.requeue_stale(self._monitor):
            self._progress.note(f"requeued {counted(stale, 'trial')} of workers that died")
        if (reason := self._study.stop_reason) is not None:
            self._progress.note(f"sweep '{self._study.name}' is stopped: {reason}")
            return None
        return self._study.claim(self._worker)

    def _run_or_requeue(self, trial: ClaimedTrial) -> None:
        try:
            with _heartbeats(self._study, trial):
                self._run(trial)
        except Interrupted:
            self._shutdown.disarm()
            self._runner.cancel()  # before the next worker can start the same fold
            self._study.requeue(trial)
            raise

    def _run(self, trial: ClaimedTrial) -> None:
        try:
            config = self._configuration(trial)
            result = self._runner.train(config, self._fold_finished(trial), self._origin)
            self._complete(trial, config, result)
        except _TrialPruned:
            self._study.prune(trial)
        except _ShutdownRequested:
            self._shutdown.disarm()
            self._study.requeue(trial)
        except _InvalidProposal as end:
            self._study.exclude(trial, str(end))
        except _OtherDataError:
            self._study.requeue(trial)
            raise
        except BusyError:  # another worker trains the same run for another trial
            self._study.requeue(trial, last=True)
            time.sleep(_BUSY_SECONDS)
        except Exception as error:
            cause = cause_of(error)
            self._progress.note(f"trial {trial.number} failed: {cause.text}")
            self._study.fail(trial, cause)

    def _configuration(self, trial: ClaimedTrial) -> Config:
        """Return the configuration of a trial on this machine.

        Where a space is not a box, a sampler may suggest what is excluded or invalid. That is no
        failure: another trial takes its place.
        """
        try:
            config = self._study.configuration(trial)
            if config is None:
                raise _InvalidProposal("by the plan")
            config = local_config(config, self._options.overrides, self._study.folder)
            fingerprint = self._runner.check(config)
        except RequestError as error:
            if PLANNED in trial.attributes:
                raise
            raise _InvalidProposal(str(error)) from error
        planned = self._study.attributes.fingerprints.get(data_settings(config), fingerprint)
        if planned != fingerprint:
            raise _OtherDataError(
                f"{config.dataset.name} is not the corpus that sweep '{self._study.name}' was "
                "planned on: audio, labels, speakers or turns differ; correct dataset.root or "
                "paths.data"
            )
        return config

    def _fold_finished(self, trial: ClaimedTrial) -> OnFoldFinished:
        def report(dev_uas: Mapping[int, float], fold_runs: int) -> None:
            should_prune = self._study.report(trial, dev_uas)
            if len(dev_uas) == fold_runs:  # nothing is left to save
                return
            if should_prune:
                raise _TrialPruned
            if self._shutdown.requested:
                raise _ShutdownRequested

        return report

    @cached_property
    def _origin(self) -> dict[str, Any]:
        """The origin of a record: sweep, worker, and the code that planned it."""
        planned, now = self._study.attributes.spec.code, describe_code()
        changed = planned.get("code") != now["code"]
        if changed:
            self._progress.note(
                f"the code has changed since sweep '{self._study.name}' was planned: "
                "the records say so"
            )
        return {
            "sweep": self._study.name,
            "worker": self._worker.name,
            "planned_by": planned,
            "code_changed": changed,
        }

    def _complete(self, trial: ClaimedTrial, config: Config, result: TrialResult) -> None:
        diverged = result.dev_ua is None
        dev_ua = self._study.least_dev_ua() if result.dev_ua is None else result.dev_ua
        values = {"dev_ua": dev_ua, "seconds": result.seconds}
        objectives = self._study.attributes.spec.objectives
        if "parameters" in objectives:
            values["parameters"] = self._runner.parameters(config)
        stored = {"run": result.run, "seconds": result.seconds, "diverged": diverged}
        self._study.complete(trial, stored, [values[name] for name in objectives])
        self._study.drop_if_beaten(config, result.run, result.dev_ua)
        self._progress.note(trial_line(trial, self._study.swept(trial, config), result))


def trial_line(trial: ClaimedTrial, swept: str, result: TrialResult) -> str:
    """Return a line about a finished trial, for the log of a worker.

    Args:
        trial: The trial.
        swept: Its swept settings.
        result: Its result.
    """
    dev = "diverged" if result.dev_ua is None else f"{100 * result.dev_ua:.1f} % dev UA"
    folds = counted(result.fold_runs, "fold run")
    time_taken = f"{result.seconds:.0f} s" if result.new else "recorded earlier"
    now = time.strftime("%H:%M:%S")
    return f"{now} trial {trial.number} ({swept}): {dev}, {folds}, {time_taken}"


def local_config(config: Config, overrides: Sequence[str], folder: Path) -> Config:
    """Return a configuration with the paths and the device of this machine.

    Args:
        config: The configuration of a trial; it is changed.
        overrides: Overrides of this machine.
        folder: Folder of the experiment, which may have been moved or renamed since.
    """
    own = compose(overrides) if overrides else config
    for override in overrides:
        *groups, name = override.partition("=")[0].split(".")
        holder, local = reduce(getattr, groups, config), reduce(getattr, groups, own)
        setattr(holder, name, getattr(local, name))
    config.paths.runs, config.experiment = str(folder.parent), folder.name
    return config


@contextmanager
def _heartbeats(study: Study, trial: ClaimedTrial) -> Iterator[None]:
    """Send heartbeats while a trial runs."""
    done = threading.Event()

    def send() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            with suppress(Exception):  # an outage of the storage; the next one may arrive
                study.heartbeat(trial)

    sender = start_thread(send)
    try:
        yield
    finally:
        done.set()
        sender.join(timeout=HEARTBEAT_SECONDS)
