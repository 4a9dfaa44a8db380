"""The storage of a study: SQLite on one machine, any RDB storage of Optuna's for several."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import optuna
from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)

from sercli.errors import RequestError, SercliError

T = TypeVar("T")

RETRY_SECONDS = 600.0
"""Longest outage of a storage before a command gives up (our choice: a server that is updated or
moved is back by then)."""

_CONNECT_SECONDS = 10
_EXTRAS = {"psycopg": "postgresql"}
"""Database driver → extra of sercli that installs it."""


def open_storage(folder: Path, url: str | None = None) -> RDBStorage:
    """Open the storage of an experiment.

    Args:
        folder: Folder of the experiment; without a URL the storage is its ``study.db``.
        url: A database URL, e.g. ``postgresql+psycopg://user@host/database``.

    Raises:
        RequestError: The URL is invalid, or needs a driver that is not installed.
        SercliError: The storage does not answer.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url is None:
        return _sqlite(folder / "study.db")
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            return _sqlite(Path(parsed.database))
        return _server(url, _without_password(url))
    except (ArgumentError, NoSuchModuleError) as error:
        raise RequestError(
            f"--storage {_without_password(url)} is not a database URL; expected e.g. "
            "postgresql+psycopg://user@host/database"
        ) from error


def _server(url: str, name: str) -> RDBStorage:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("postgresql"):
        options["connect_args"] = {"connect_timeout": _CONNECT_SECONDS}
    try:
        try:
            return RDBStorage(url, engine_kwargs=dict(options))
        except (IntegrityError, ProgrammingError):  # another process made the tables just now
            return RDBStorage(url, engine_kwargs=dict(options))
    except ImportError as error:
        driver = make_url(url).get_driver_name()
        remedy = f"sercli[{_EXTRAS[driver]}]" if driver in _EXTRAS else driver
        raise RequestError(
            f"--storage {name} needs the driver {driver}: pip install '{remedy}'"
        ) from error
    except (DBAPIError, StorageInternalError) as error:
        raise SercliError(
            f"--storage {name} does not answer ({reason(error)}); start it, or correct the URL"
        ) from error


def _sqlite(path: Path) -> RDBStorage:
    """Open an SQLite storage whose transactions take the write lock when they begin.

    Otherwise two workers could read the same state and both act on it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            path, timeout=60, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")  # readers do not block writers
        connection.execute("PRAGMA synchronous=NORMAL")  # safe against kills, 10 × faster
        return connection

    with FileLock(path.with_name(f".{path.name}.lock")):  # else two would create its tables
        # not by URL: a "%" or "?" in the path would mean something else there
        try:
            storage = RDBStorage("sqlite:///study.db", engine_kwargs={"creator": connect})
        except (DBAPIError, StorageInternalError) as error:
            raise SercliError(f"{path} cannot be opened: {reason(error)}") from error

    @event.listens_for(storage.engine, "begin")
    def _(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return storage


class StorageRetry:
    """Repeats a transaction until the storage answers; gives up after `RETRY_SECONDS`.

    Args:
        note: Called once when the storage stops answering, and once when it answers again.

    Attributes:
        on_outage: Called when the storage stops answering: heartbeats seen before are then old.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self.on_outage: Callable[[], None] = lambda: None

    def __call__(self, transaction: Callable[[], T]) -> T:
        """Return the result of ``transaction``, which may be called several times.

        Raises:
            SercliError: The outage lasts too long, or the storage cannot write.
        """
        started: float | None = None
        while True:
            try:
                result = transaction()
            except (DBAPIError, StorageInternalError) as error:
                if not _is_outage(error):
                    raise SercliError(f"storage of the study: {reason(error)}") from error
                started = self._wait(started, error)
            else:
                if started is not None:
                    self._note("the storage of the study answers again: resuming")
                return result

    def _wait(self, started: float | None, error: Exception) -> float:
        now = time.monotonic()
        if started is None:
            started = now
            self.on_outage()
            self._note(f"the storage of the study does not answer ({reason(error)}): waiting")
        elif now - started > RETRY_SECONDS:
            raise SercliError(
                f"the storage of the study did not answer for {RETRY_SECONDS:.0f} s; finished "
                "folds are kept: run the same command again once it is back"
            ) from error
        time.sleep(1)
        return started


def _is_outage(error: Exception) -> bool:
    """Return True if waiting can help; a wrong statement or a full disk stays as it is."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if not isinstance(cause, DBAPIError):
        return False
    if isinstance(cause.orig, sqlite3.Error):
        return "locked" in str(cause.orig)
    return cause.connection_invalidated or isinstance(cause, OperationalError)


def reason(error: Exception) -> str:
    """Return the first line of the database's message."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    message = cause.orig if isinstance(cause, DBAPIError) else cause
    text = str(message).strip().partition("\n")[0]
    return f"{text}; free some space" if "disk is full" in text else text


def _without_password(url: str) -> str:
    """Hide the password of a URL, which must not get into a log."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url
