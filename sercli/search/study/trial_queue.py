"""The waiting trials of a study as a queue that many workers share.

Optuna makes a trial when a worker asks for one; here all points are made when the sweep is
planned, and workers claim them. Claiming, handing back and finishing are one transaction each, so
that whatever is killed leaves a trial waiting, running or finished, and never twice. The statements
work on Optuna's own tables, which its version 5 describes in a private module: nothing outside
this file knows of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, Table, delete, func, insert, select, update

_STUDIES: Table = models.StudyModel.__table__
_STUDY_ATTRS: Table = models.StudyUserAttributeModel.__table__
_TRIALS: Table = models.TrialModel.__table__
_TRIAL_ATTRS: Table = models.TrialUserAttributeModel.__table__
_PARAMETERS: Table = models.TrialParamModel.__table__
_VALUES: Table = models.TrialValueModel.__table__
_HEARTBEATS: Table = models.TrialHeartbeatModel.__table__

POINT, WORKER, EXCLUDED = "point", "worker", "excluded"
"""Attributes of a trial: what it is, who claimed it, and that it is none of those wanted."""


@dataclass(frozen=True)
class NewTrial:
    """A trial to be added.

    Attributes:
        attributes: Its user attributes; those of a grid have a `POINT`.
        parameters: Name → value and distribution, where they are known beforehand.
    """

    attributes: Mapping[str, Any]
    parameters: Mapping[str, tuple[Any, BaseDistribution]] = field(default_factory=dict)


@dataclass(frozen=True)
class ClaimedTrial:
    """A trial that a worker has claimed: its ids and its user attributes."""

    trial_id: int
    number: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class TrialRow:
    """A trial as the storage keeps it.

    Attributes:
        number: Its number in the study.
        state: Optuna's name of its state.
        values: One for each objective, where it has them.
        attributes: Its user attributes.
        parameters: Its settings by name.
    """

    number: int
    state: str
    values: tuple[float, ...]
    attributes: Mapping[str, Any]
    parameters: Mapping[str, Any]


class TrialQueue:
    """The trials of one study.

    Args:
        storage: Where they lie.
        study_id: Which study.
    """

    def __init__(self, storage: RDBStorage, study_id: int) -> None:
        self._engine = storage.engine
        self._study_id = study_id

    def plan(self, entries: Sequence[NewTrial], to_retry: Iterable[int] = ()) -> int:
        """Add the points that are not there, and let those that failed wait again.

        A point is there when its identity is, or its overrides.

        Args:
            entries: The points.
            to_retry: Numbers of finished trials whose result is gone.

        Returns:
            How many are there by their overrides, but with another identity.
        """
        with self._engine.begin() as db:
            self._lock(db)
            known = {_words(point): point["identity"] for point in self._points(db)}
            identities = set(known.values())
            points = [entry.attributes[POINT] for entry in entries]
            new = [
                entry
                for entry, point in zip(entries, points, strict=True)
                if point["identity"] not in identities and _words(point) not in known
            ]
            self._add(db, new)
            self._requeue_finished(db, to_retry)
            return sum(
                point["identity"] not in identities and _words(point) in known for point in points
            )

    def fill_up(self, total: int, entry: NewTrial, to_retry: Iterable[int] = ()) -> None:
        """Add budget tokens until there are ``total`` trials, and let those that failed wait again.

        Excluded trials do not count.
        """
        with self._engine.begin() as db:
            self._lock(db)
            there = db.scalar(select(func.count()).select_from(_TRIALS).where(self._ours)) or 0
            excluded = db.scalar(self._with_attribute(EXCLUDED)) or 0
            self._add(db, [entry] * max(0, total - there + excluded))
            self._requeue_finished(db, to_retry)

    def set_attr(self, name: str, value: Any) -> None:
        """Set a user attribute of the study."""
        row = {"study_id": self._study_id, "key": name, "value_json": json.dumps(value)}
        with self._engine.begin() as db:
            self._lock(db)
            db.execute(delete(_STUDY_ATTRS).where(self._of_study, _STUDY_ATTRS.c.key == name))
            db.execute(insert(_STUDY_ATTRS).values(**row))

    def get_attrs(self, prefix: str) -> dict[str, Any]:
        """Return the user attributes of the study whose names begin in some way."""
        wanted = select(_STUDY_ATTRS.c.key, _STUDY_ATTRS.c.value_json).where(
            self._of_study, _STUDY_ATTRS.c.key.startswith(prefix, autoescape=True)
        )
        with self._engine.begin() as db:
            return {key: json.loads(text) for key, text in db.execute(wanted).all()}

    def claim(self, worker: Mapping[str, Any]) -> ClaimedTrial | None:
        """Claim the first trial that waits; those that failed before come last.

        Args:
            worker: Who claims; kept with the trial.
        """
        waiting = (
            select(_TRIALS.c.trial_id, _TRIALS.c.number)
            .where(self._ours, _TRIALS.c.state == TrialState.WAITING)
            .order_by(_TRIALS.c.datetime_start.asc().nulls_first(), _TRIALS.c.number)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._engine.begin() as db:
            row = db.execute(waiting).first()
            if row is None:
                return None
            started = {"state": TrialState.RUNNING, "datetime_start": datetime.now()}  # noqa: DTZ005 - as Optuna
            db.execute(update(_TRIALS).where(_TRIALS.c.trial_id == row.trial_id).values(**started))
            self._set(db, row.trial_id, {WORKER: dict(worker)})
            self._heartbeat(db, row.trial_id)
            return ClaimedTrial(row.trial_id, row.number, self._attributes(db, row.trial_id))

    def trial_attrs(self, claim: ClaimedTrial) -> dict[str, Any]:
        """The user attributes of a trial as they are now."""
        with self._engine.begin() as db:
            return self._attributes(db, claim.trial_id)

    def set_trial_attrs(self, claim: ClaimedTrial, attributes: Mapping[str, Any]) -> None:
        """Set user attributes of a trial."""
        with self._engine.begin() as db:
            self._set(db, claim.trial_id, attributes)

    def heartbeat(self, claim: ClaimedTrial) -> None:
        """Say that the worker of a trial is alive."""
        with self._engine.begin() as db:
            self._heartbeat(db, claim.trial_id)

    def requeue(
        self,
        claim: ClaimedTrial,
        attributes: Mapping[str, Any] | None = None,
        *,
        last: bool = False,
    ) -> bool:
        """Let a running trial wait again.

        Args:
            claim: The trial, as claimed by the one who hands it back, or whose claim is taken back.
            attributes: User attributes to set.
            last: Whether all others come first.

        Returns:
            Whether it was; not, where another worker has claimed or finished it since.
        """
        values: dict[str, Any] = {"state": TrialState.WAITING}
        if not last:
            values["datetime_start"] = None
        with self._engine.begin() as db:
            held = self._attributes(db, claim.trial_id).get(WORKER) == claim.attributes[WORKER]
            running = (_TRIALS.c.trial_id == claim.trial_id) & (
                _TRIALS.c.state == TrialState.RUNNING
            )
            if not held or not db.execute(update(_TRIALS).where(running).values(**values)).rowcount:
                return False
            self._set(db, claim.trial_id, attributes or {})
            return True

    def finish(
        self,
        claim: ClaimedTrial,
        state: TrialState,
        values: Sequence[float] = (),
        attributes: Mapping[str, Any] | None = None,
    ) -> bool:
        """Finish a trial; of several workers that do so, the first one counts.

        Returns:
            Whether this one did.
        """
        unfinished = (_TRIALS.c.trial_id == claim.trial_id) & _TRIALS.c.state.in_(
            (TrialState.RUNNING, TrialState.WAITING)
        )
        ended = {"state": state, "datetime_complete": datetime.now()}  # noqa: DTZ005 - as Optuna
        with self._engine.begin() as db:
            if not db.execute(update(_TRIALS).where(unfinished).values(**ended)).rowcount:
                return False
            for objective, value in enumerate(values):
                kind = models.TrialValueModel.TrialValueType.FINITE
                row = {"trial_id": claim.trial_id, "objective": objective}
                db.execute(insert(_VALUES).values(**row, value=value, value_type=kind))
            self._set(db, claim.trial_id, attributes or {})
            return True

    def running(self) -> list[tuple[ClaimedTrial, datetime | None]]:
        """The trials that run, each with its last heartbeat by the clock of the storage."""
        rows = (
            select(_TRIALS.c.trial_id, _TRIALS.c.number, _HEARTBEATS.c.heartbeat)
            .outerjoin(_HEARTBEATS, _HEARTBEATS.c.trial_id == _TRIALS.c.trial_id)
            .where(self._ours, _TRIALS.c.state == TrialState.RUNNING)
        )
        with self._engine.begin() as db:
            return [
                (
                    ClaimedTrial(row.trial_id, row.number, self._attributes(db, row.trial_id)),
                    row.heartbeat,
                )
                for row in db.execute(rows).all()
            ]

    def counts(self) -> dict[str, int]:
        """Name of a state of Optuna's → number of trials."""
        counted = select(_TRIALS.c.state, func.count()).where(self._ours).group_by(_TRIALS.c.state)
        with self._engine.begin() as db:
            return {state.name: count for state, count in db.execute(counted).all()}

    def trials(self) -> list[TrialRow]:
        """All trials in the order of their numbers."""
        with self._engine.begin() as db:
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
                    key: json.loads(text) for key, (text,) in attributes.get(trial_id, {}).items()
                },
                parameters={
                    name: _distribution(text).to_external_repr(value)
                    for name, (value, text) in parameters.get(trial_id, {}).items()
                },
            )
            for trial_id, number, state in trials
        ]

    @property
    def _ours(self) -> Any:
        return _TRIALS.c.study_id == self._study_id

    @property
    def _of_study(self) -> Any:
        return _STUDY_ATTRS.c.study_id == self._study_id

    def _with_attribute(self, key: str) -> Any:
        return (
            select(func.count())
            .select_from(_TRIALS.join(_TRIAL_ATTRS, _TRIAL_ATTRS.c.trial_id == _TRIALS.c.trial_id))
            .where(self._ours, _TRIAL_ATTRS.c.key == key)
        )

    def _lock(self, db: Connection) -> None:
        """Let nobody else plan until the transaction ends, else numbers would be given twice."""
        db.execute(
            select(_STUDIES.c.study_id)
            .where(_STUDIES.c.study_id == self._study_id)
            .with_for_update()
        )

    def _points(self, db: Connection) -> list[Any]:
        points = (
            select(_TRIAL_ATTRS.c.value_json)
            .join(_TRIALS, _TRIAL_ATTRS.c.trial_id == _TRIALS.c.trial_id)
            .where(self._ours, _TRIAL_ATTRS.c.key == POINT)
        )
        return [json.loads(text) for text in db.scalars(points)]

    def _add(self, db: Connection, entries: Sequence[NewTrial]) -> None:
        """Add trials in the order of their entries."""
        if not entries:
            return
        number = db.scalar(select(func.max(_TRIALS.c.number)).where(self._ours))
        first = 0 if number is None else number + 1
        waiting = {"study_id": self._study_id, "state": TrialState.WAITING}
        db.execute(insert(_TRIALS), [{**waiting, "number": first + i} for i in range(len(entries))])
        added = select(_TRIALS.c.trial_id).where(self._ours, _TRIALS.c.number >= first)
        ids = db.scalars(added.order_by(_TRIALS.c.number)).all()
        for table, rows in (
            (_TRIAL_ATTRS, _attribute_rows(ids, entries)),
            (_PARAMETERS, _parameter_rows(ids, entries)),
        ):
            if rows:
                db.execute(insert(table), rows)

    def _requeue_finished(self, db: Connection, numbers: Iterable[int]) -> None:
        """Let finished trials wait again, with their parameters and without their values."""
        for number in numbers:
            trial_id = db.scalar(
                select(_TRIALS.c.trial_id).where(self._ours, _TRIALS.c.number == number)
            )
            db.execute(delete(_VALUES).where(_VALUES.c.trial_id == trial_id))
            kept = (_TRIAL_ATTRS.c.trial_id == trial_id) & (_TRIAL_ATTRS.c.key != POINT)
            db.execute(delete(_TRIAL_ATTRS).where(kept))
            again = {"state": TrialState.WAITING, "datetime_start": None, "datetime_complete": None}
            db.execute(update(_TRIALS).where(_TRIALS.c.trial_id == trial_id).values(**again))

    def _attributes(self, db: Connection, trial_id: int) -> dict[str, Any]:
        rows = select(_TRIAL_ATTRS.c.key, _TRIAL_ATTRS.c.value_json).where(
            _TRIAL_ATTRS.c.trial_id == trial_id
        )
        return {key: json.loads(text) for key, text in db.execute(rows).all()}

    def _set(self, db: Connection, trial_id: int, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            where = (_TRIAL_ATTRS.c.trial_id == trial_id) & (_TRIAL_ATTRS.c.key == key)
            db.execute(delete(_TRIAL_ATTRS).where(where))
            row = {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
            db.execute(insert(_TRIAL_ATTRS).values(**row))

    def _heartbeat(self, db: Connection, trial_id: int) -> None:
        beat = (
            update(_HEARTBEATS)
            .where(_HEARTBEATS.c.trial_id == trial_id)
            .values(heartbeat=func.now())
        )
        if not db.execute(beat).rowcount:
            db.execute(insert(_HEARTBEATS).values(trial_id=trial_id, heartbeat=func.now()))

    def _grouped(self, db: Connection, table: Table, *columns: str) -> dict[int, dict[Any, Any]]:
        """Trial → first column → the others, of a table that hangs on trials."""
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


def _words(point: Mapping[str, Any]) -> str:
    return " ".join(point["overrides"])


def _attribute_rows(ids: Sequence[int], entries: Sequence[NewTrial]) -> list[dict[str, Any]]:
    return [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        for trial_id, entry in zip(ids, entries, strict=True)
        for key, value in entry.attributes.items()
    ]


def _parameter_rows(ids: Sequence[int], entries: Sequence[NewTrial]) -> list[dict[str, Any]]:
    return [
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": distribution.to_internal_repr(value),
            "distribution_json": _as_json(distribution),
        }
        for trial_id, entry in zip(ids, entries, strict=True)
        for name, (value, distribution) in entry.parameters.items()
    ]


@cache
def _as_json(distribution: BaseDistribution) -> str:
    return distribution_to_json(distribution)


@cache
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
