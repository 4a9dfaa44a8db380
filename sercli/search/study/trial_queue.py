"""The waiting trials of a study, as a queue that many workers share.

Optuna creates a trial when a worker asks for one. Here all trials are created when the sweep is
planned, and workers claim them. Claiming, requeueing and finishing are one transaction each, so
that whatever is killed leaves a trial waiting, running or finished, and never twice. The statements
work on Optuna's own tables, which its version 5 describes in a private module; no other file knows
of them, and a test fails when they change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, Table, delete, func, insert, select, update

from sercli.search.study.storage import StorageRetry
from sercli.untrusted import parse_json

P = ParamSpec("P")
T = TypeVar("T")

_STUDIES: Table = models.StudyModel.__table__
_STUDY_ATTRS: Table = models.StudyUserAttributeModel.__table__
_TRIALS: Table = models.TrialModel.__table__
_TRIAL_ATTRS: Table = models.TrialUserAttributeModel.__table__
_PARAMETERS: Table = models.TrialParamModel.__table__
_VALUES: Table = models.TrialValueModel.__table__
_HEARTBEATS: Table = models.TrialHeartbeatModel.__table__

PLANNED, WORKER, EXCLUDED = "planned", "worker", "excluded"
"""Attributes of a trial: its planned settings, the worker that claimed it, and why it is excluded.
"""


@dataclass(frozen=True)
class NewTrial:
    """A trial to be added.

    Attributes:
        attributes: Its user attributes; a trial of a grid has `PLANNED`.
        parameters: Name → value and distribution, where they are known beforehand.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, tuple[Any, BaseDistribution]] = field(default_factory=dict)


@dataclass(frozen=True)
class ClaimedTrial:
    """A trial that a worker has claimed: its ids, and its user attributes at that time."""

    trial_id: int
    number: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class TrialRow:
    """A trial as it is stored.

    Attributes:
        number: Its number in the study.
        state: Optuna's name of its state.
        values: One per objective, if it is complete.
        attributes: Its user attributes.
        parameters: Hyperparameter → value.
    """

    number: int
    state: str
    values: tuple[float, ...]
    attributes: Mapping[str, Any]
    parameters: Mapping[str, Any]


def _transaction(
    method: Callable[Concatenate[TrialQueue, Connection, P], T],
) -> Callable[Concatenate[TrialQueue, P], T]:
    """Run a method in a transaction of its own, repeated until the storage answers."""

    @wraps(method)
    def run(queue: TrialQueue, /, *args: P.args, **kwargs: P.kwargs) -> T:
        def attempt() -> T:
            with queue.engine.begin() as db:
                return method(queue, db, *args, **kwargs)

        return queue.with_retry(attempt)

    return run


class TrialQueue:
    """The trials of one study.

    Args:
        storage: The storage of the study.
        study_id: Its id there.
        with_retry: Repeats a transaction until the storage answers.
    """

    def __init__(self, storage: RDBStorage, study_id: int, with_retry: StorageRetry) -> None:
        self.engine = storage.engine
        self.with_retry = with_retry
        self._study_id = study_id

    # ---- planning

    @_transaction
    def add_planned(
        self, db: Connection, trials: Sequence[NewTrial], to_retry: Iterable[int] = ()
    ) -> int:
        """Add the trials of a grid that the study lacks, and requeue finished ones.

        The study has a trial if it has one of the same identity or the same overrides.

        Args:
            db: The transaction.
            trials: The trials of the grid, each with `PLANNED`.
            to_retry: Numbers of finished trials without a result.

        Returns:
            Number of trials that the study has with the same overrides but another identity.
        """
        self._lock(db)
        identities = {_overrides(kept): kept["identity"] for kept in self._planned(db)}
        known = set(identities.values())
        unknown = [trial for trial in trials if trial.attributes[PLANNED]["identity"] not in known]
        new = [x for x in unknown if _overrides(x.attributes[PLANNED]) not in identities]
        self._insert(db, new)
        self._requeue_finished(db, to_retry)
        return len(unknown) - len(new)

    @_transaction
    def fill_up(self, db: Connection, total: int, to_retry: Iterable[int] = ()) -> None:
        """Add trials without settings up to ``total``, and requeue finished ones.

        Excluded trials do not count.
        """
        self._lock(db)
        count = db.scalar(select(func.count()).select_from(_TRIALS).where(self._ours)) or 0
        excluded = db.scalar(self._count_with_attribute(EXCLUDED)) or 0
        self._insert(db, [NewTrial()] * max(0, total - count + excluded))
        self._requeue_finished(db, to_retry)

    # ---- attributes

    @_transaction
    def set_attr(self, db: Connection, name: str, value: Any) -> None:
        """Set a user attribute of the study."""
        self._lock(db)
        row = {"study_id": self._study_id, "key": name, "value_json": json.dumps(value)}
        db.execute(delete(_STUDY_ATTRS).where(self._of_study, _STUDY_ATTRS.c.key == name))
        db.execute(insert(_STUDY_ATTRS).values(**row))

    @_transaction
    def first_attr(self, db: Connection, name: str, value: Any) -> Any:
        """Set a user attribute of the study unless it is set, and return the stored value."""
        self._lock(db)
        key = _STUDY_ATTRS.c.key == name
        stored = db.scalar(select(_STUDY_ATTRS.c.value_json).where(self._of_study, key))
        if stored is not None:
            return parse_json(stored)
        row = {"study_id": self._study_id, "key": name, "value_json": json.dumps(value)}
        db.execute(insert(_STUDY_ATTRS).values(**row))
        return value

    @_transaction
    def get_attrs(self, db: Connection, prefix: str) -> dict[str, Any]:
        """Return the user attributes of the study whose names start with ``prefix``."""
        rows = select(_STUDY_ATTRS.c.key, _STUDY_ATTRS.c.value_json).where(
            self._of_study, _STUDY_ATTRS.c.key.startswith(prefix, autoescape=True)
        )
        return {key: parse_json(text) for key, text in db.execute(rows).all()}

    @_transaction
    def set_trial_attrs(
        self, db: Connection, trial: ClaimedTrial, attributes: Mapping[str, Any]
    ) -> None:
        """Set user attributes of a trial."""
        self._set_trial_attrs(db, trial.trial_id, attributes)

    @_transaction
    def get_trial_attrs(self, db: Connection, trial: ClaimedTrial) -> dict[str, Any]:
        """Return the present user attributes of a trial."""
        return self._get_trial_attrs(db, trial.trial_id)

    @_transaction
    def rename(self, db: Connection, name: str) -> None:
        """Rename the study."""
        ours = _STUDIES.c.study_id == self._study_id
        db.execute(update(_STUDIES).where(ours).values(study_name=name))

    # ---- the life of a trial

    @_transaction
    def claim(self, db: Connection, worker: Mapping[str, Any]) -> ClaimedTrial | None:
        """Claim the first waiting trial; retries of failed ones come last.

        Args:
            db: The transaction.
            worker: The claiming worker, stored with the trial.
        """
        waiting = (
            select(_TRIALS.c.trial_id, _TRIALS.c.number)
            .where(self._ours, _TRIALS.c.state == TrialState.WAITING)
            .order_by(_TRIALS.c.datetime_start.asc().nulls_first(), _TRIALS.c.number)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        row = db.execute(waiting).first()
        if row is None:
            return None
        started = {"state": TrialState.RUNNING, "datetime_start": datetime.now()}  # noqa: DTZ005 - as Optuna
        db.execute(update(_TRIALS).where(_TRIALS.c.trial_id == row.trial_id).values(**started))
        self._set_trial_attrs(db, row.trial_id, {WORKER: dict(worker)})
        self._heartbeat(db, row.trial_id)
        return ClaimedTrial(row.trial_id, row.number, self._get_trial_attrs(db, row.trial_id))

    def heartbeat(self, trial: ClaimedTrial) -> None:
        """Record that the worker of a trial is alive; do not wait for the storage."""
        with self.engine.begin() as db:
            self._heartbeat(db, trial.trial_id)

    @_transaction
    def requeue(
        self,
        db: Connection,
        trial: ClaimedTrial,
        attributes: Mapping[str, Any] | None = None,
        *,
        last: bool = False,
    ) -> bool:
        """Requeue a running trial.

        Args:
            db: The transaction.
            trial: The trial, as its worker claimed it.
            attributes: User attributes to set.
            last: True to requeue it behind all others.

        Returns:
            False if another worker has claimed or finished it since.
        """
        values: dict[str, Any] = {"state": TrialState.WAITING}
        if not last:
            values["datetime_start"] = None
        running = (_TRIALS.c.trial_id == trial.trial_id) & (_TRIALS.c.state == TrialState.RUNNING)
        worker = self._get_trial_attrs(db, trial.trial_id).get(WORKER)
        if worker != trial.attributes[WORKER]:
            return False
        if not db.execute(update(_TRIALS).where(running).values(**values)).rowcount:
            return False
        self._set_trial_attrs(db, trial.trial_id, attributes or {})
        return True

    @_transaction
    def finish(
        self,
        db: Connection,
        trial: ClaimedTrial,
        state: TrialState,
        values: Sequence[float] = (),
        attributes: Mapping[str, Any] | None = None,
    ) -> bool:
        """Finish a trial; if several workers do so, the first one counts.

        Returns:
            True if this worker was the first.
        """
        unfinished = (_TRIALS.c.trial_id == trial.trial_id) & _TRIALS.c.state.in_(
            (TrialState.RUNNING, TrialState.WAITING)
        )
        finished = {"state": state, "datetime_complete": datetime.now()}  # noqa: DTZ005 - as Optuna
        if not db.execute(update(_TRIALS).where(unfinished).values(**finished)).rowcount:
            return False
        for objective, value in enumerate(values):
            kind = models.TrialValueModel.TrialValueType.FINITE
            row = {"trial_id": trial.trial_id, "objective": objective}
            db.execute(insert(_VALUES).values(**row, value=value, value_type=kind))
        self._set_trial_attrs(db, trial.trial_id, attributes or {})
        return True

    # ---- reading

    @_transaction
    def running(self, db: Connection) -> list[tuple[ClaimedTrial, datetime | None]]:
        """Return the running trials, each with its last heartbeat by the storage's clock."""
        rows = (
            select(_TRIALS.c.trial_id, _TRIALS.c.number, _HEARTBEATS.c.heartbeat)
            .outerjoin(_HEARTBEATS, _HEARTBEATS.c.trial_id == _TRIALS.c.trial_id)
            .where(self._ours, _TRIALS.c.state == TrialState.RUNNING)
        )
        return [
            (ClaimedTrial(id_, number, self._get_trial_attrs(db, id_)), heartbeat)
            for id_, number, heartbeat in db.execute(rows).all()
        ]

    @_transaction
    def heartbeat_ages(self, db: Connection) -> list[tuple[dict[str, Any], float]]:
        """Return the worker of each running trial and the seconds since its last heartbeat.

        Both times are by the storage's clock.
        """
        rows = (
            select(_TRIALS.c.trial_id, _HEARTBEATS.c.heartbeat, func.now().label("now"))
            .join(_HEARTBEATS, _HEARTBEATS.c.trial_id == _TRIALS.c.trial_id)
            .where(self._ours, _TRIALS.c.state == TrialState.RUNNING)
        )
        return [
            (
                self._get_trial_attrs(db, id_)[WORKER],
                (now.replace(tzinfo=None) - at).total_seconds(),
            )
            for id_, at, now in db.execute(rows).all()
        ]

    @_transaction
    def counts(self, db: Connection) -> dict[str, int]:
        """Return the number of trials by Optuna's name of their state."""
        counted = select(_TRIALS.c.state, func.count()).where(self._ours).group_by(_TRIALS.c.state)
        return {state.name: count for state, count in db.execute(counted).all()}

    @_transaction
    def best_value(self, db: Connection) -> float | None:
        """Return the largest first objective of the complete trials; None without one."""
        values = (
            select(func.max(_VALUES.c.value))
            .join(_TRIALS, _VALUES.c.trial_id == _TRIALS.c.trial_id)
            .where(self._ours, _TRIALS.c.state == TrialState.COMPLETE, _VALUES.c.objective == 0)
        )
        best: float | None = db.scalar(values)
        return best

    @_transaction
    def trials(self, db: Connection) -> list[TrialRow]:
        """Return all trials in the order of their numbers."""
        trials = db.execute(
            select(_TRIALS.c.trial_id, _TRIALS.c.number, _TRIALS.c.state)
            .where(self._ours)
            .order_by(_TRIALS.c.number)
        ).all()
        attributes = self._grouped(db, _TRIAL_ATTRS, "key", "value_json")
        values = self._grouped(db, _VALUES, "objective", "value")
        parameters = self._grouped(
            db, _PARAMETERS, "param_name", "param_value", "distribution_json"
        )
        return [
            TrialRow(
                number=number,
                state=state.name,
                values=tuple(value for _, (value,) in sorted(values.get(trial_id, {}).items())),
                attributes={
                    key: parse_json(text) for key, (text,) in attributes.get(trial_id, {}).items()
                },
                parameters={
                    name: _distribution(text).to_external_repr(value)
                    for name, (value, text) in parameters.get(trial_id, {}).items()
                },
            )
            for trial_id, number, state in trials
        ]

    # ---- statements

    @property
    def _ours(self) -> Any:
        return _TRIALS.c.study_id == self._study_id

    @property
    def _of_study(self) -> Any:
        return _STUDY_ATTRS.c.study_id == self._study_id

    def _count_with_attribute(self, key: str) -> Any:
        return (
            select(func.count())
            .select_from(_TRIALS.join(_TRIAL_ATTRS, _TRIAL_ATTRS.c.trial_id == _TRIALS.c.trial_id))
            .where(self._ours, _TRIAL_ATTRS.c.key == key)
        )

    def _lock(self, db: Connection) -> None:
        """Exclude other planners until the transaction ends: numbers must not be given twice."""
        study = select(_STUDIES.c.study_id).where(_STUDIES.c.study_id == self._study_id)
        db.execute(study.with_for_update())

    def _planned(self, db: Connection) -> list[Any]:
        planned = (
            select(_TRIAL_ATTRS.c.value_json)
            .join(_TRIALS, _TRIAL_ATTRS.c.trial_id == _TRIALS.c.trial_id)
            .where(self._ours, _TRIAL_ATTRS.c.key == PLANNED)
        )
        return [parse_json(text) for text in db.scalars(planned)]

    def _insert(self, db: Connection, new: Sequence[NewTrial]) -> None:
        """Insert waiting trials, numbered in their order."""
        if not new:
            return
        number = db.scalar(select(func.max(_TRIALS.c.number)).where(self._ours))
        first = 0 if number is None else number + 1
        waiting = {"study_id": self._study_id, "state": TrialState.WAITING}
        db.execute(insert(_TRIALS), [{**waiting, "number": first + i} for i in range(len(new))])
        inserted = select(_TRIALS.c.trial_id).where(self._ours, _TRIALS.c.number >= first)
        ids = db.scalars(inserted.order_by(_TRIALS.c.number)).all()
        for table, rows in (
            (_TRIAL_ATTRS, _attribute_rows(ids, new)),
            (_PARAMETERS, _parameter_rows(ids, new)),
        ):
            if rows:
                db.execute(insert(table), rows)

    def _requeue_finished(self, db: Connection, numbers: Iterable[int]) -> None:
        """Requeue finished trials with their parameters and without their values."""
        for number in numbers:
            trial_id = db.scalar(
                select(_TRIALS.c.trial_id).where(self._ours, _TRIALS.c.number == number)
            )
            db.execute(delete(_VALUES).where(_VALUES.c.trial_id == trial_id))
            old = (_TRIAL_ATTRS.c.trial_id == trial_id) & (_TRIAL_ATTRS.c.key != PLANNED)
            db.execute(delete(_TRIAL_ATTRS).where(old))
            again = {"state": TrialState.WAITING, "datetime_start": None, "datetime_complete": None}
            db.execute(update(_TRIALS).where(_TRIALS.c.trial_id == trial_id).values(**again))

    def _get_trial_attrs(self, db: Connection, trial_id: int) -> dict[str, Any]:
        rows = select(_TRIAL_ATTRS.c.key, _TRIAL_ATTRS.c.value_json).where(
            _TRIAL_ATTRS.c.trial_id == trial_id
        )
        return {key: parse_json(text) for key, text in db.execute(rows).all()}

    def _set_trial_attrs(
        self, db: Connection, trial_id: int, attributes: Mapping[str, Any]
    ) -> None:
        for key, value in attributes.items():
            where = (_TRIAL_ATTRS.c.trial_id == trial_id) & (_TRIAL_ATTRS.c.key == key)
            db.execute(delete(_TRIAL_ATTRS).where(where))
            row = {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
            db.execute(insert(_TRIAL_ATTRS).values(**row))

    def _heartbeat(self, db: Connection, trial_id: int) -> None:
        now = {"heartbeat": func.now()}
        known = update(_HEARTBEATS).where(_HEARTBEATS.c.trial_id == trial_id)
        if not db.execute(known.values(**now)).rowcount:
            db.execute(insert(_HEARTBEATS).values(trial_id=trial_id, **now))

    def _grouped(self, db: Connection, table: Table, *columns: str) -> dict[int, dict[Any, Any]]:
        """Return trial → first column → the others, of a table with a row per trial and key."""
        chosen = [table.c[name] for name in columns]
        rows = (
            select(table.c.trial_id, *chosen)
            .join(_TRIALS, table.c.trial_id == _TRIALS.c.trial_id)
            .where(self._ours)
        )
        found: dict[int, dict[Any, Any]] = {}
        for trial_id, key, *rest in db.execute(rows).all():
            found.setdefault(trial_id, {})[key] = tuple(rest)
        return found


def _overrides(planned: Mapping[str, Any]) -> str:
    return " ".join(planned["overrides"])


def _attribute_rows(ids: Sequence[int], new: Sequence[NewTrial]) -> list[dict[str, Any]]:
    return [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        for trial_id, trial in zip(ids, new, strict=True)
        for key, value in trial.attributes.items()
    ]


def _parameter_rows(ids: Sequence[int], new: Sequence[NewTrial]) -> list[dict[str, Any]]:
    return [
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": distribution.to_internal_repr(value),
            "distribution_json": _as_json(distribution),
        }
        for trial_id, trial in zip(ids, new, strict=True)
        for name, (value, distribution) in trial.parameters.items()
    ]


@cache
def _as_json(distribution: BaseDistribution) -> str:
    return distribution_to_json(distribution)


@cache
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
