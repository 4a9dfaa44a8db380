"""A study: the trials of a sweep, from planning and claiming to their results.

All samplers share one mechanism: trials are created when the sweep is planned, and workers claim
them (`sercli.search.study.trial_queue`). The trials of a grid have their settings from the start.
Those of other samplers are a budget: their settings are suggested when they are claimed.
"""

from __future__ import annotations

import socket
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import optuna
import pandas as pd
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from sercli.config.frozen import thaw
from sercli.config.grammar import plain_key
from sercli.config.keys import flatten
from sercli.config.schema import Config
from sercli.config.sources import own_runs_folder
from sercli.errors import RequestError, nearest
from sercli.passwords import without_password
from sercli.results.sweep_summary import (
    SweepSummary,
    find_sweep,
    read_sweep,
    setting_text,
    write_sweep,
)
from sercli.results.weights import drop_weights
from sercli.search.plan.plan import Plan
from sercli.search.study.attributes import StudyAttributes
from sercli.search.study.failures import ALIKE, MAX_ATTEMPTS, WORKER_KILLED, Cause
from sercli.search.study.liveness import STALE_SECONDS, LivenessMonitor, Worker
from sercli.search.study.optuna_study import OptunaStudy
from sercli.search.study.owner import Owner, new_owner, refuse_other_folder
from sercli.search.study.planner import plan_trials
from sercli.search.study.settings import trials_of_other_settings
from sercli.search.study.storage import Access, StorageRetry, open_storage
from sercli.search.study.summary import summarize, with_outcome
from sercli.search.study.trial_queue import EXCLUDED, PLANNED, WORKER, ClaimedTrial, TrialQueue
from sercli.search.study.unfinished import finish

MAX_EXCLUDED = 20
"""Excluded trials per wanted trial at which a search stops (our choice)."""

_COSTS = ("parameters", "seconds")


class NoStudyError(RequestError):
    """There is no such study."""


class Study:
    """The trials of one experiment.

    Args:
        name: Name of the experiment.
        runs: Folder of the experiments; None: that of the owner if there is a URL, else that of
            the user's own defaults, or ``runs``.
        url: URL of the storage; None: ``study.db`` in the experiment's folder.
        note: Called with a message for the user, as when the storage stops answering.
        create: Objectives of the study, which is created if it does not exist.
        read_only: True to write nothing at all, not even a lock.

    Attributes:
        name: Name of the experiment.
        folder: Folder of the experiment.
        owner: The owner; None for a study of an earlier version.
        attributes: The attributes common to all trials.
        with_retry: Repeats a transaction until the storage answers.

    Raises:
        RequestError: There is no such study, its records are in another folder, or the URL is
            invalid.
        SercliError: The storage does not answer.
    """

    def __init__(
        self,
        name: str,
        runs: Path | None,
        url: str | None = None,
        *,
        note: Callable[[str], None] = lambda text: None,
        create: Sequence[str] = (),
        read_only: bool = False,
    ) -> None:
        self.name = name
        self.with_retry = StorageRetry(note)
        self._note, self._url = note, url
        here = runs or own_runs_folder()
        access = Access.CREATE if create else Access.READ if read_only else Access.WRITE
        storage = open_storage(here / name, url, access)
        if storage is None:
            raise NoStudyError(_no_study(name, here, url))
        if url is not None and access is not Access.READ:
            self.with_retry(lambda: finish(storage, name, here, self.with_retry))
        found = self.with_retry(lambda: _find(storage, name, create, alone=url is None))
        if found is None:
            raise NoStudyError(_no_study(name, here, url))
        self._storage, (self._id, stored_name) = storage, found
        self._queue = TrialQueue(storage, self._id, self.with_retry)
        self.attributes = StudyAttributes(name, self._queue)
        self._optuna = OptunaStudy(stored_name, storage, self.attributes, self.with_retry)
        self.owner = self._find_owner(here, create=bool(create))
        if url is not None and self.owner is not None:
            if runs is None:
                here = Path(self.owner.runs)
            else:
                refuse_other_folder(name, self.owner, runs, planning=bool(create))
        self.folder = here / name

    def _find_owner(self, runs: Path, *, create: bool) -> Owner | None:
        """Return the owner. Planning stores one, and the new path of a moved folder."""
        if not create:
            return self.attributes.owner
        owner = self.attributes.claim(new_owner(runs))
        here = str(runs.resolve())
        if owner.runs != here and not Path(owner.runs).exists() and owner.keeps(self.name, runs):
            owner = replace(owner, runs=here)
            self.attributes.move(owner)
        return owner

    @classmethod
    def find(cls, name: str, runs: Path, url: str | None = None) -> Self | None:
        """Open a study; None if there is none."""
        try:
            return cls(name, runs, url)
        except NoStudyError:
            return None

    def rename(self, name: str) -> None:
        """Give the study another name in its storage."""
        self._queue.rename(name)

    def delete(self) -> None:
        """Delete the study from its storage, with its trials."""
        self.with_retry(lambda: self._storage.delete_study(self._id))

    def is_taken(self, name: str) -> bool:
        """Return True if the storage has a study of that name."""
        studies = self.with_retry(self._storage.get_all_studies)
        return name in {each.study_name for each in studies}

    def living_workers(self) -> list[tuple[str, float]]:
        """Return the workers of running trials, with the seconds since their last heartbeat.

        Workers of this machine are left out: they are alive if they hold their lock, which the
        caller checks. Those of other machines are alive if their heartbeat is recent.
        """
        return [
            (f"{worker['name']} on {worker['host']}", seconds)
            for worker, seconds in self._queue.heartbeat_ages()
            if seconds < STALE_SECONDS and worker["host"] != socket.gethostname()
        ]

    def plan(self, plan: Plan) -> None:
        """Add the trials that the study lacks of a plan, and requeue those without a result.

        Known trials keep the configuration that they were planned with. A stopped study resumes.

        Raises:
            RequestError: The study was planned with another spec, or searches another space.
        """
        changed = plan_trials(plan, self._queue, self.attributes, self.folder)
        if changed:
            self._note(
                f"{changed} trials of '{self.name}' keep the settings that they were planned with, "
                "though the same overrides now give others; for these, give another experiment="
            )
        self.attributes.stop_reason = None

    def trials_of_other_settings(self, plan: Plan) -> tuple[int, tuple[str, ...]]:
        """Return the number of trials whose fixed settings differ from a plan's, and those keys."""
        return trials_of_other_settings(plan, self._queue.trials(), self.attributes)

    def stop(self, reason: str) -> None:
        """Stop the workers after their current trials; `plan` resumes the study."""
        self.attributes.stop_reason = reason

    @property
    def stop_reason(self) -> str | None:
        """The reason why workers claim no further trial; None while they do."""
        return self.attributes.stop_reason

    # ---- the life of a trial

    def claim(self, worker: Worker) -> ClaimedTrial | None:
        """Claim a waiting trial; None if there is none."""
        return self._queue.claim(worker.to_json())

    def configuration(self, trial: ClaimedTrial) -> Config | None:
        """Return the configuration of a claimed trial, as it was planned or is now suggested.

        Returns:
            The configuration; None if the plan excludes what the sampler suggests.

        Raises:
            RequestError: The configuration is invalid.
        """
        if PLANNED in trial.attributes:
            planned = trial.attributes[PLANNED]
            return thaw(self.attributes.base(planned["base"]), planned["settings"])
        space = self.attributes.space
        point = space.point(self._optuna.suggest(trial))
        config = space.thaw(point)
        return None if space.excludes(point, config) else config

    def swept(self, trial: ClaimedTrial, config: Config) -> str:
        """Return the swept settings of a trial in one line.

        Args:
            trial: The trial.
            config: Its configuration.
        """
        keys = list(map(plain_key, self.attributes.space.axes))
        if PLANNED in trial.attributes:
            words = trial.attributes[PLANNED]["overrides"]
            return " ".join(each for each in words if plain_key(each) in keys)
        leaves = flatten(asdict(config))
        return " ".join(setting_text(key, leaves[key]) for key in keys if key in leaves)

    def heartbeat(self, trial: ClaimedTrial) -> None:
        """Record that the worker of a trial is alive; do not wait for the storage."""
        self._queue.heartbeat(trial)

    def report(self, trial: ClaimedTrial, dev_uas: Mapping[int, float]) -> bool:
        """Report the finished fold runs of a trial.

        Args:
            trial: The trial.
            dev_uas: Place in the order of seeds and folds → UA on dev.

        Returns:
            True if the trial should be pruned.
        """
        if len(dev_uas) > trial.attributes.get("fold_runs", 0):
            progress = {"fold_runs": len(dev_uas), "attempts": 0}
            self._queue.set_trial_attrs(trial, progress)
        return self._optuna.should_prune(trial, dev_uas)

    def complete(
        self, trial: ClaimedTrial, result: Mapping[str, Any], values: Sequence[float]
    ) -> bool:
        """Record the result of a trial.

        Args:
            trial: The trial.
            result: ``run`` (the key of its record), ``seconds``, ``diverged``.
            values: One per objective.

        Returns:
            False if another worker finished the trial first.
        """
        return self._queue.finish(trial, TrialState.COMPLETE, values, result)

    def least_dev_ua(self) -> float:
        """Return the objective of a diverged trial: the least dev UA so far, else 0.

        A sampler then avoids its region; were it always 0, a Gaussian process would model that
        cliff and little else (benchmarks/samplers.md; our choice).
        """
        complete = [trial for trial in self._queue.trials() if trial.state == "COMPLETE"]
        return min((trial.values[0] for trial in complete), default=0.0)

    def prune(self, trial: ClaimedTrial) -> None:
        """Record that a trial was pruned."""
        self._queue.finish(trial, TrialState.PRUNED)

    def exclude(self, trial: ClaimedTrial, reason: str) -> None:
        """Record that a suggestion is excluded, and add another trial.

        The sweep stops when nearly all suggestions are excluded.
        """
        self._queue.finish(trial, TrialState.FAIL, (), {EXCLUDED: reason})
        trials = self._queue.trials()
        excluded = sum(EXCLUDED in each.attributes for each in trials)
        wanted = len(trials) - excluded + 1
        if excluded > MAX_EXCLUDED * wanted:
            self.stop(
                f"{excluded} of {len(trials)} suggested trials are excluded; narrow the space "
                f"(the last one: {reason})"
            )
        self._queue.fill_up(wanted)

    def requeue(self, trial: ClaimedTrial, *, last: bool = False) -> None:
        """Requeue a trial with its finished folds.

        Args:
            trial: The trial.
            last: True to requeue it behind all others.
        """
        self._queue.requeue(trial, last=last)

    def fail(self, trial: ClaimedTrial, cause: Cause) -> None:
        """Record a failure of a trial, which is retried unless it fails too often."""
        attempts = int(self._queue.get_trial_attrs(trial).get("attempts", 0)) + 1
        self._requeue_or_fail(trial, cause, attempts)

    def requeue_stale(self, monitor: LivenessMonitor, *, count_attempt: bool = True) -> int:
        """Requeue the trials of dead workers, and return their number.

        A trial whose workers die again and again before a fold is finished fails.

        Args:
            monitor: Detects dead workers.
            count_attempt: False if the workers were stopped on purpose: no attempt is lost.
        """
        stale = [
            trial
            for trial, heartbeat in self._queue.running()
            if monitor.is_stale(trial.trial_id, trial.attributes[WORKER], heartbeat)
        ]
        for trial in stale:
            if count_attempt:
                attempts = int(trial.attributes.get("attempts", 0)) + 1
                self._requeue_or_fail(trial, WORKER_KILLED, attempts)
            else:
                self._queue.requeue(trial)
        return len(stale)

    def _requeue_or_fail(self, trial: ClaimedTrial, cause: Cause, attempts: int) -> None:
        """Requeue a trial that failed, after `MAX_ATTEMPTS` fail it, and stop a hopeless sweep."""
        self.attributes.add_cause(cause)
        failure = {"cause": cause.name, "attempts": attempts}
        if cause.final or attempts >= MAX_ATTEMPTS:
            self._queue.finish(trial, TrialState.FAIL, (), failure)
        else:
            self._queue.requeue(trial, failure, last=cause.proven)
        self._stop_if_all_fail(cause)

    def _stop_if_all_fail(self, cause: Cause) -> None:
        """Stop the sweep if the first trials all failed by this cause and none went well.

        A trial that has finished a fold since it failed does not count.
        """
        trials = self._queue.trials()
        failed = [trial.attributes for trial in trials if trial.attributes.get("attempts")]
        against = [each for each in failed if cause.proven or each["attempts"] > 1]
        if (
            len(against) < min(ALIKE, len(trials))
            or any(each.get("cause") != cause.name for each in failed)
            or any(trial.state in ("COMPLETE", "PRUNED") for trial in trials)
        ):
            return
        text = self.attributes.causes()[cause.name]["text"]
        self.stop(f"the first {len(against)} trials failed alike: {text}")

    # ---- summary

    def counts(self) -> dict[str, int]:
        """Return the number of trials by Optuna's name of their state."""
        return self._queue.counts()

    def summarize(self) -> tuple[SweepSummary, pd.DataFrame]:
        """Return the summary and the trials of the study (`sercli.results.sweep_summary`).

        The summary has the winner once no trial is left.
        """
        summary, trials = summarize(self.name, self.attributes, self._queue.trials())
        summary = with_outcome(summary, trials)
        storage = "" if self._url is None else without_password(self._url)
        if self.owner is not None:
            summary = replace(summary, study=self.owner.study, user=self.owner.user)
        return replace(summary, storage=storage), trials

    def write_summary(self) -> tuple[SweepSummary, pd.DataFrame]:
        """Write the summary and the trials (`summarize`), and return both."""
        summary, trials = self.summarize()
        write_sweep(self.folder, summary, trials)
        return summary, trials

    # ---- weights

    def drop_if_beaten(self, config: Config, run: str, dev_ua: float | None) -> None:
        """Drop the weights of a finished trial that another one beats on dev already.

        Args:
            config: Its configuration; only ``trainer.keep_weights=winner`` drops any.
            run: Key of its run.
            dev_ua: Its UA on dev; None if it diverged.
        """
        spec = self.attributes.spec
        if config.trainer.keep_weights != "winner" or spec.comparison or len(spec.objectives) > 1:
            return
        best = self._queue.best_value()
        if dev_ua is None or (best is not None and dev_ua < best):
            self._drop(run)

    def drop_losers(self) -> None:
        """Drop the weights of all trials but the best on dev and the Pareto front."""
        bases = self.attributes.space.bases
        keep = thaw(next(iter(bases.values())), {}).trainer.keep_weights
        if keep != "winner" or self.attributes.spec.comparison:
            return
        summary, trials = self.summarize()
        several = len(summary.objectives) > 1 and not summary.complete
        complete = trials[trials["state"] == "complete"].sort_values("number")
        if several or complete.empty:
            return
        best = complete.iloc[int(complete["dev_ua"].argmax())]["run"]
        stored = read_sweep(self.folder)
        kept = {best, *summary.front, *(stored.apart if stored else ())}
        for run in set(trials["run"].dropna()) - kept:
            self._drop(str(run))

    def _drop(self, run: str) -> None:
        weights = self.folder / run / "weights"
        if weights.is_dir():
            with suppress(OSError):  # of a colleague, who lets nobody write
                drop_weights(weights, "winner")

    def tracebacks(self) -> dict[str, str]:
        """Return the text of each cause of failures → its traceback."""
        return {cause["text"]: cause["traceback"] for cause in self.attributes.causes().values()}


def _find(
    storage: RDBStorage, name: str, create: Sequence[str], *, alone: bool
) -> tuple[int, str] | None:
    """Find a study, which is created for the objectives ``create``.

    Args:
        storage: The storage.
        name: Name of the experiment.
        create: Objectives of a new study.
        alone: True if the storage is a file of this experiment: its study is then the one there,
            whatever its name was before the folder was renamed.

    Returns:
        Its id and its name in the storage; None if there is none.
    """
    if alone and (there := storage.get_all_studies()):
        return there[0]._study_id, there[0].study_name
    if create:
        directions = [
            StudyDirection.MINIMIZE if objective in _COSTS else StudyDirection.MAXIMIZE
            for objective in create
        ]
        with suppress(optuna.exceptions.DuplicatedStudyError):  # another process was faster
            study = optuna.create_study(
                storage=storage, study_name=name, directions=directions, load_if_exists=True
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                study.set_metric_names(list(create))  # as dashboards show them
    try:
        return storage.get_study_id_from_name(name), name
    except KeyError:
        return None


def _no_study(name: str, runs: Path, url: str | None) -> str:
    more = f"Create one by: sercli sweep … experiment={name}"
    if url is not None:
        return f"no study '{name}' in --storage {without_password(url)}. {more}"
    known = [path.parent.name for path in runs.glob("*/study.db")] if runs.is_dir() else []
    known = [other for other in known if other != name]
    hint = nearest(name, known) or f" There is none in {runs}."
    summary = find_sweep(runs / name)
    if summary is not None and summary.storage:
        return f"the study of '{name}' is in a database: give --storage {summary.storage}"
    return f"no study '{name}'.{hint} {more}"
