"""A study: the states of a sweep's points, in an Optuna storage.

Each point is one waiting trial, made when the sweep is planned; a worker claims it, runs it
and tells the result. Optuna's own grid sampler counts a failure as done and cannot resume
exactly, and its SQLite storage lets two workers claim one trial; hence waiting trials and
immediate transactions. What Optuna keeps half private is used in this file alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import event

from sercli.files import held_alone
from sercli.results.record import is_record
from sercli.search.plan import Point

RUN = "run"
DIVERGED = "diverged"


class Study:
    """The points of one experiment and what became of them.

    Args:
        folder: Folder of the experiment; the storage is ``study.db`` in it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with FileLock(folder / ".storage.lock"):  # else two processes would create its tables
            self._storage = _storage(folder / "study.db")
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=folder.name,
                direction="maximize",
                load_if_exists=True,
            )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the one process that works on the study.

        A point that is claimed already was then abandoned by a process that died, and counts
        as failed.

        Raises:
            RequestError: Another process is at work.
        """
        busy = f"sweep '{self._folder.name}' is being run by another process"
        with held_alone(self._folder / ".study.lock", busy):
            for trial in self._trials():
                if trial.state == TrialState.RUNNING:
                    self.fail(trial, "its process was killed")
            yield

    def plan(self, points: Mapping[str, Point]) -> None:
        """Add a waiting trial for every point that needs one.

        Needed are those that the study does not have, whose trials all failed, or whose run
        record is gone: the records are the truth, the study only remembers them.

        Args:
            points: Run key → point.
        """
        known = {trial.user_attrs[RUN] for trial in self._trials() if self._stands(trial)}
        for key, point in points.items():
            if key not in known:
                attributes = {RUN: key, "overrides": list(point.overrides)}
                self._study.add_trial(create_trial(state=TrialState.WAITING, user_attrs=attributes))

    def count_waiting(self, keys: Collection[str]) -> int:
        """Count the points among ``keys`` that wait."""
        return sum(_waits(trial, keys) for trial in self._trials())

    def claim(self, keys: Collection[str]) -> FrozenTrial | None:
        """Claim the first waiting point among ``keys``; none when none waits."""
        for trial in self._trials():
            if _waits(trial, keys) and self._take(trial):
                return trial
        return None

    def finish(self, trial: FrozenTrial, dev_ua: float | None) -> None:
        """Record a point's dev UA, or that it diverged, which is a result too."""
        if dev_ua is None:
            self._storage.set_trial_user_attr(trial._trial_id, DIVERGED, True)
            self._study.tell(trial.number, state=TrialState.FAIL)
        else:
            self._study.tell(trial.number, dev_ua)

    def fail(self, trial: FrozenTrial, reason: str) -> None:
        """Record that a point could not be run; the next sweep tries it again."""
        self._storage.set_trial_user_attr(trial._trial_id, "reason", reason)
        self._study.tell(trial.number, state=TrialState.FAIL)

    def _take(self, trial: FrozenTrial) -> bool:
        """Set a waiting trial to work, unless another process did so first."""
        try:
            return self._storage.set_trial_state_values(trial._trial_id, state=TrialState.RUNNING)
        except UpdateFinishedTrialError:
            return False

    def _stands(self, trial: FrozenTrial) -> bool:
        """Whether a trial still waits, or its result can be read."""
        if trial.state == TrialState.WAITING:
            return True
        done = trial.state == TrialState.COMPLETE or trial.user_attrs.get(DIVERGED)
        return bool(done) and is_record(self._folder / trial.user_attrs[RUN])

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)


def _waits(trial: FrozenTrial, keys: Collection[str]) -> bool:
    return trial.state == TrialState.WAITING and trial.user_attrs[RUN] in keys


def _storage(path: Path) -> RDBStorage:
    """Open an SQLite storage whose transactions take the write lock when they begin."""

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)

    # the path does not go through the URL, where a "%" or "?" in it would mean something else
    storage = RDBStorage("sqlite:///study.db", engine_kwargs={"creator": connect})

    @event.listens_for(storage.engine, "begin")
    def _(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return storage
