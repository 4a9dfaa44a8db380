"""The storage of a study: SQLite on one machine, any RDB storage of Optuna's for several."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from enum import Enum
from functools import partial
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
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)

from sercli.errors import RequestError, SercliError, one_line
from sercli.files import permitted, user_name, why_denied
from sercli.passwords import without_password

T = TypeVar("T")

RETRY_SECONDS = 600.0
"""Longest outage of a storage before a command gives up (our choice: a server that is updated or
moved is back by then)."""

_CONNECT_SECONDS = 10
_RESTORE = (
    "restore it, or move it away: the same sweep plans it again and finds finished trials by their "
    "records"
)
_EXTRAS = {"psycopg": "postgresql"}
"""Database driver → extra of sercli that installs it."""


class Access(Enum):
    """The access to a storage that a command needs.

    ``CREATE`` makes folder, file and tables where there are none. ``WRITE`` and ``READ`` make
    nothing; ``READ`` writes nothing either, not even a lock.
    """

    CREATE = "create"
    WRITE = "write"
    READ = "read"


def open_storage(
    folder: Path, url: str | None = None, access: Access = Access.CREATE
) -> RDBStorage | None:
    """Open the storage of an experiment.

    Args:
        folder: Folder of the experiment; without a URL the storage is its ``study.db``.
        url: A database URL, e.g. ``postgresql+psycopg://user@host/database``.
        access: The access needed.

    Returns:
        The storage; None if there is none and ``access`` does not create it.

    Raises:
        RequestError: The URL is invalid, or needs a driver that is not installed.
        SercliError: The storage does not answer, is damaged, or is of another version of Optuna.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = folder / "study.db" if url is None else sqlite_path(url)
    if path is not None:
        return _sqlite(path, access)
    assert url is not None
    return _server(url, access)


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite URL; None for a server.

    Raises:
        RequestError: The URL is invalid.
    """
    try:
        parsed = make_url(url)
        is_file = parsed.get_backend_name() == "sqlite" and parsed.database
        parsed.get_dialect()  # raises if there is none
    except ImportError:  # a known database, whose driver is missed when it is opened
        is_file = None
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise RequestError(
            f"--storage {without_password(url)} is not a database URL; expected e.g. "
            "postgresql+psycopg://user@host/database"
        ) from error
    return Path(is_file) if is_file else None


def _server(url: str, access: Access) -> RDBStorage | None:
    name = f"--storage {without_password(url)}"
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("postgresql"):
        options["connect_args"] = {"connect_timeout": _CONNECT_SECONDS}
    existing = access is not Access.CREATE
    with _one_line_errors(name, "start it, or correct the URL"):
        try:
            return RDBStorage(url, engine_kwargs=dict(options), skip_table_creation=existing)
        except (DBAPIError, StorageInternalError) as error:
            if existing and _lacks_tables(error):
                return None
            if existing or not isinstance(error, IntegrityError | ProgrammingError):
                raise
            # another process made the tables just now
            return RDBStorage(url, engine_kwargs=dict(options))
        except ImportError as error:
            driver = make_url(url).get_driver_name()
            remedy = f"sercli[{_EXTRAS[driver]}]" if driver in _EXTRAS else driver
            raise RequestError(
                f"{name} needs the driver {driver}: pip install '{remedy}'"
            ) from error


def _sqlite(path: Path, access: Access) -> RDBStorage | None:
    """Open an SQLite storage whose transactions take the write lock when they begin.

    Otherwise two workers could read the same state and both act on it.
    """
    existing = access is not Access.CREATE
    _check_access(path, access)
    if existing and not path.is_file():
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    making = FileLock(path.with_name(f".{path.name}.lock"))  # else two would create its tables
    with nullcontext() if existing else making, _one_line_errors(str(path), _RESTORE):
        if not path.exists():  # SQLite's own mode would let no group write, whatever the umask
            path.touch(mode=0o666)
        try:
            # not by URL: a "%" or "?" in the path would mean something else there
            storage = RDBStorage(
                "sqlite:///study.db",
                engine_kwargs={"creator": partial(_connect, path, access)},
                skip_table_creation=existing,
            )
        except StorageInternalError as error:
            if existing and _lacks_tables(error):
                return None
            raise
    if access is not Access.READ:

        @event.listens_for(storage.engine, "begin")
        def _(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return storage


def _check_access(path: Path, access: Access) -> None:
    """Refuse a file that this user may not read or write, or whose folder is private."""
    if (denied := why_denied(path.parent)) is not None:
        raise SercliError(f"{path} cannot be opened: {denied}")
    if not path.exists():
        return
    needed, verb = (os.R_OK, "read") if access is Access.READ else (os.R_OK | os.W_OK, "written")
    if not permitted(path, needed):
        owner = user_name(path.stat().st_uid)
        raise SercliError(f"{path} cannot be {verb}: permission denied; ask its owner {owner}")


def _connect(path: Path, access: Access) -> sqlite3.Connection:
    if access is Access.READ:
        return sqlite3.connect(_read_only(path), uri=True, timeout=60, check_same_thread=False)
    connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")  # readers do not block writers
    connection.execute("PRAGMA synchronous=NORMAL")  # safe against kills, 10 × faster
    return connection


def _read_only(path: Path) -> str:
    """Return the URI by which SQLite reads a file and writes nothing beside it.

    While a writer is at work, or was killed, there is a log (``-wal``), which is read with its
    index; where that is missing and cannot be made, and without a log, the file alone is read.
    """
    log, index = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    live = log.is_file() and log.stat().st_size > 0 and index.is_file()
    return f"{path.absolute().as_uri()}?{'mode=ro' if live else 'immutable=1'}"


@contextmanager
def _one_line_errors(name: str, remedy: str) -> Iterator[None]:
    """Convert errors of SQLAlchemy, Optuna and Alembic while a storage is opened to one line."""
    try:
        yield
    except SercliError:
        raise
    except (DBAPIError, StorageInternalError) as error:
        if _does_not_answer(error):
            raise SercliError(f"{name} does not answer ({reason(error)}); {remedy}") from error
        raise SercliError(f"{name} cannot be opened: {reason(error)}; {remedy}") from error
    except RuntimeError as error:
        made_by = re.search(r"set up by optuna ([\w.]+)", str(error))
        if made_by is None:
            raise SercliError(f"{name} cannot be opened: {one_line(error)}; {remedy}") from error
        raise SercliError(
            f"{name} was made by Optuna {made_by[1]}, and this is {optuna.__version__}: upgrade it "
            f"by `optuna storage upgrade`, or give the sweep another storage; it finds finished "
            "trials by their records"
        ) from error
    except Exception as error:
        text = f"{type(error).__name__}: {one_line(error)}"
        raise SercliError(f"{name} cannot be opened: {text}; {remedy}") from error


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


def _does_not_answer(error: Exception) -> bool:
    """Return True if there is no connection; False if the storage refuses what is asked."""
    cause = _database_error(error)
    return isinstance(cause, OperationalError | InterfaceError) and not isinstance(
        cause.orig, sqlite3.Error
    )


def _lacks_tables(error: Exception) -> bool:
    """Return True if a storage has no tables: its planning was killed, or nothing was planned."""
    cause = _database_error(error)
    missing = type(cause.orig).__name__ == "UndefinedTable" if cause else False
    return missing or any(text in str(cause) for text in ("no such table", "doesn't exist"))


def _database_error(error: BaseException) -> DBAPIError | None:
    """Return the database's error, which Optuna wraps in one of its own."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return cause if isinstance(cause, DBAPIError) else None


def _is_outage(error: Exception) -> bool:
    """Return True if waiting can help; a wrong statement or a full disk stays as it is."""
    cause = _database_error(error)
    if cause is None:
        return False
    if isinstance(cause.orig, sqlite3.Error):
        return "locked" in str(cause.orig)
    return cause.connection_invalidated or isinstance(cause, OperationalError)


def reason(error: Exception) -> str:
    """Return the first line of the database's message."""
    cause = _database_error(error)
    message = (error.__cause__ or error) if cause is None else cause.orig
    text = str(message).strip().partition("\n")[0]
    return f"{text}; free some space" if "disk is full" in text else text
