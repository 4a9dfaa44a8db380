"""Where the states of a study lie: SQLite on one machine, any database of Optuna's across many."""

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
"""How long a storage that went away is waited for (our choice: a server that is updated or moved
is back by then)."""

_CONNECT_SECONDS = 10
_EXTRAS = {"psycopg": "postgresql"}
"""Driver → the extra of sercli that brings it."""


def open_storage(folder: Path, url: str | None = None) -> RDBStorage:
    """Open the storage of an experiment.

    Args:
        folder: Folder of the experiment; without a URL, the storage is ``study.db`` in it.
        url: Any RDB URL of Optuna's, as postgresql+psycopg://user@host/database.

    Raises:
        RequestError: The URL is none, or needs a driver that is not installed.
        SercliError: The storage does not answer.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url is None:
        return _sqlite(folder / "study.db")
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            return _sqlite(Path(parsed.database))
        return _server(url, _name_of(url))
    except (ArgumentError, NoSuchModuleError) as error:
        raise RequestError(
            f"--storage {_name_of(url)} is no database URL; write it as in "
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
            f"--storage {name} does not answer ({reason(error)}); start it, or mend the URL"
        ) from error


def _sqlite(path: Path) -> RDBStorage:
    """Open an SQLite storage whose transactions take the write lock when they begin.

    Else two workers could read the same state and both act on it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            path, timeout=60, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")  # who looks does not stop who writes
        connection.execute("PRAGMA synchronous=NORMAL")  # safe against kills, 10 × faster
        return connection

    with FileLock(path.with_name(f".{path.name}.lock")):  # else two would create its tables
        # the path does not go through the URL, where a "%" or "?" in it would mean something else
        try:
            storage = RDBStorage("sqlite:///study.db", engine_kwargs={"creator": connect})
        except (DBAPIError, StorageInternalError) as error:
            raise SercliError(f"{path} cannot be opened: {reason(error)}") from error

    @event.listens_for(storage.engine, "begin")
    def _(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return storage


class StorageRetry:
    """Repeats what failed because the storage was away, until it is back.

    Args:
        note: Told once when the storage goes away, and once when it is back.
        seconds: How long to wait.

    Attributes:
        away: Called when the storage has been away: what was seen before is then old.
    """

    def __init__(self, note: Callable[[str], None], seconds: float = RETRY_SECONDS) -> None:
        self._note = note
        self._seconds = seconds
        self.away: Callable[[], None] = lambda: None

    def __call__(self, action: Callable[[], T]) -> T:
        """Return what ``action`` returns; it may be called again, so it is one transaction.

        Raises:
            SercliError: The storage is still away, or cannot write.
        """
        started: float | None = None
        while True:
            try:
                result = action()
            except (DBAPIError, StorageInternalError) as error:
                if not _is_away(error):
                    raise SercliError(f"the storage of the study: {reason(error)}") from error
                started = self._wait(started, error)
            else:
                if started is not None:
                    self._note("the storage of the study answers again: going on")
                return result

    def _wait(self, started: float | None, error: Exception) -> float:
        now = time.monotonic()
        if started is None:
            started = now
            self.away()
            self._note(f"the storage of the study does not answer ({reason(error)}): waiting")
        elif now - started > self._seconds:
            raise SercliError(
                f"the storage of the study did not answer for {self._seconds:.0f} s; what was "
                "finished is kept: run the same command again when it is back"
            ) from error
        time.sleep(1)
        return started


def _is_away(error: Exception) -> bool:
    """Whether waiting can help: not where a statement is wrong or a disk is full."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if not isinstance(cause, DBAPIError):
        return False
    if isinstance(cause.orig, sqlite3.Error):
        return "locked" in str(cause.orig)
    return cause.connection_invalidated or isinstance(cause, OperationalError)


def reason(error: Exception) -> str:
    """The first line of what the database said."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    said = cause.orig if isinstance(cause, DBAPIError) else cause
    text = str(said).strip().partition("\n")[0]
    return f"{text}; free some space" if "disk is full" in text else text


def _name_of(url: str) -> str:
    """The URL without its password, which must not get into a log."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url
