"""A worker: claims points of a study and trains them until none waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, reduce
from typing import Any

from sercli.config.compose import compose
from sercli.config.schema import Config
from sercli.errors import BusyError, Interrupted, RequestError
from sercli.nn.recurrence.backend import use_backend
from sercli.progress import Progress
from sercli.results.environment import describe_code
from sercli.search.study.failures import cause_of
from sercli.search.study.liveness import HEARTBEAT_SECONDS, LivenessMonitor, Worker, register_worker
from sercli.search.study.study import Study
from sercli.search.study.trial_queue import POINT, ClaimedTrial
from sercli.search.worker.options import WorkerOptions
from sercli.search.worker.preemption import GraceExpired, ShutdownRequest, shutdown_on_signal
from sercli.search.worker.runner import Runner, TrialResult, TrialRunner, data_name
from sercli.training.device import choose_device
from sercli.training.run import Watching

_HOW_TO_RUN = ("device=", "dataset.root=", "paths.", "recurrence.")
_BUSY_SECONDS = 1.0


class _TrialEnd(BaseException):
    """The training of a trial ends early, without a failure.

    No `Exception`, so that nothing that handles failures takes it for one.
    """


class _TrialPruned(_TrialEnd):
    """A point is so bad that it is stopped."""


class _OtherDataError(RequestError):
    """This machine has another corpus; no point can be trained here."""


class _InvalidProposal(_TrialEnd):
    """What a sampler proposes is excluded."""


class _ShutdownRequested(_TrialEnd):
    """The fold is finished, and a shutdown was requested."""


def work(
    options: WorkerOptions,
    open_runner: Callable[[int | None, Progress], Runner] = TrialRunner,
    progress: Progress | None = None,
) -> int:
    """Work on a study until nothing waits, the study is stopped, or SIGTERM requests a shutdown.

    After SIGTERM the fold is finished, if that takes no longer than the grace time; the point is
    handed back, and whoever claims it goes on after its last finished fold.

    Args:
        options: Which study, and how to run here.
        open_runner: Makes what trains the points.
        progress: Where bars and notes go, default: as `options.quiet` says.

    Returns:
        0, the exit status; what failed stands in the study.

    Raises:
        RequestError: There is no such study, a worker of that name is at work here, or an override
            would change results.
        SercliError: The storage was away for too long.
    """
    _check_overrides(options.overrides)
    progress = progress or Progress(quiet=options.quiet)
    with shutdown_on_signal(options.grace) as shutdown:
        study = Study(options.study, options.runs, options.storage, note=progress.note)
        with register_worker(study.folder, options.name) as worker:
            try:
                with open_runner(options.fold_workers, progress) as runner:
                    _WorkerLoop(study, worker, shutdown, options, progress, runner).work()
            except GraceExpired:
                progress.note("shutdown requested: the unfinished fold was discarded")
            shutdown.disarm()
            study.write_summary()
    return 0


def _check_overrides(overrides: Sequence[str]) -> None:
    """Refuse what says more than how to run on a machine, or what this machine does not have."""
    for override in overrides:
        if not override.startswith(_HOW_TO_RUN) or override.startswith("paths.runs="):
            raise RequestError(
                f"'{override}': the points of a sweep are fixed; a worker may be told device=…, "
                "dataset.root=…, paths.data=…, paths.store=… and recurrence.…=…, and --runs"
            )
    if overrides:
        own = compose(overrides)
        choose_device(own.device)
        use_backend(own.recurrence.backend)


class _WorkerLoop:
    """The points that one worker trains."""

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
        self._watch = LivenessMonitor(study.folder, worker)
        study.with_retry.away = self._watch.reset

    def work(self) -> None:
        waiting = self._study.counts().get("WAITING", 0)
        with self._progress.task(f"sweep {self._study.name}, points", waiting) as task:
            while not self._shutdown.requested and (claim := self._next()) is not None:
                self._train_or_requeue(claim)
                task.advance()

    def _train_or_requeue(self, claim: ClaimedTrial) -> None:
        try:
            with _heartbeats(self._study, claim):
                self._do(claim)
        except Interrupted:
            self._shutdown.disarm()
            self._runner.cancel()  # first, else its last unit could meet the next worker's
            self._study.requeue(claim)
            raise

    def _next(self) -> ClaimedTrial | None:
        why = self._study.stopped
        if why is not None:
            self._progress.note(f"sweep '{self._study.name}' is stopped: {why}")
            return None
        if dead := self._study.requeue_stale(self._watch):
            self._progress.note(f"{dead} points of workers that died wait again")
        return self._study.claim(self._worker)

    def _do(self, claim: ClaimedTrial) -> None:
        try:
            config = self._configuration(claim)
            trained = self._runner.train(config, self._watching(claim), self._origin)
            self._finish(claim, config, trained)
        except _TrialPruned:
            self._study.prune(claim)
        except _ShutdownRequested:
            self._shutdown.disarm()
            self._study.requeue(claim)
        except _InvalidProposal as error:
            self._study.exclude(claim, str(error))
        except _OtherDataError:
            self._study.requeue(claim)
            raise
        except BusyError:  # another worker trains the same run for another point
            self._study.requeue(claim, last=True)
            time.sleep(_BUSY_SECONDS)
        except Exception as error:
            cause = cause_of(error)
            self._progress.note(f"point {claim.number} failed: {cause.text}")
            self._study.fail(claim, cause)

    def _configuration(self, claim: ClaimedTrial) -> Config:
        """The configuration of a point, here.

        What a sampler proposes may be excluded, or make no sense where a space is not a box: it is
        then no failure, and the sampler proposes another.
        """
        try:
            config = self._study.configuration(claim)
            if config is None:
                raise _InvalidProposal("as the plan says")
            config = here(config, self._options)
            fingerprint = self._runner.check(config)
        except RequestError as error:
            if POINT in claim.attributes:
                raise
            raise _InvalidProposal(str(error)) from error
        if self._study.expected.get(data_name(config), fingerprint) != fingerprint:
            raise _OtherDataError(
                f"{config.dataset.name} is not the corpus that sweep '{self._study.name}' was "
                "planned on: audio, labels, speakers or turns differ; mend dataset.root, or give "
                "paths.data=…"
            )
        return config

    def _watching(self, claim: ClaimedTrial) -> Watching:
        def unit_finished(dev_uas: Mapping[int, float], units: int) -> None:
            bad = self._study.progressed(claim, dev_uas)
            if len(dev_uas) == units:  # there is nothing left to save
                return
            if bad:
                raise _TrialPruned
            if self._shutdown.requested:
                raise _ShutdownRequested

        return unit_finished

    @cached_property
    def _origin(self) -> dict[str, Any]:
        """What the record says of the sweep, and of code that is not that of the plan."""
        planned, now = self._study.spec.code, describe_code()
        if planned.get("code") != now["code"]:
            self._progress.note(
                f"the code has changed since sweep '{self._study.name}' was planned: "
                "the records say so"
            )
        return {
            "sweep": self._study.name,
            "worker": self._worker.name,
            "planned_by": planned,
            "code_changed": planned.get("code") != now["code"],
        }

    def _finish(self, claim: ClaimedTrial, config: Config, trained: TrialResult) -> None:
        diverged = trained.dev_ua is None
        dev_ua = self._study.least_dev_ua() if trained.dev_ua is None else trained.dev_ua
        values = {"dev_ua": dev_ua, "seconds": trained.seconds}
        objectives = self._study.spec.objectives
        if "parameters" in objectives:
            values["parameters"] = self._runner.parameters(config)
        result = {"run": trained.run, "seconds": trained.seconds, "diverged": diverged}
        self._study.finish(claim, result, [values[name] for name in objectives])


def here(config: Config, options: WorkerOptions) -> Config:
    """Return the configuration of a point with what this machine has of its own.

    Args:
        config: The configuration of a point.
        options: Where the records lie, and how to run (`WorkerOptions.overrides`).
    """
    own = compose(options.overrides) if options.overrides else config
    for override in options.overrides:
        *groups, name = override.partition("=")[0].split(".")
        holder, local = reduce(getattr, groups, config), reduce(getattr, groups, own)
        setattr(holder, name, getattr(local, name))
    config.paths.runs = str(options.runs)
    return config


@contextmanager
def _heartbeats(study: Study, claim: ClaimedTrial) -> Iterator[None]:
    """Let the heart of this worker be heard as long as it is at a point."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            with suppress(Exception):  # the storage is away; the next beat may be heard
                study.heartbeat(claim)

    heart = threading.Thread(target=beat, daemon=True)
    heart.start()
    try:
        yield
    finally:
        done.set()
        heart.join(timeout=HEARTBEAT_SECONDS)
