"""Workers of a study: registration, and detection of those that died."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

from sercli.files import held_alone

HEARTBEAT_SECONDS = 15.0
"""Time between two heartbeats of a claimed trial."""

STALE_SECONDS = 90.0
"""Time without a heartbeat after which a worker on another machine counts as dead (our choice: six
heartbeats, so that a short outage of the storage kills nobody)."""


@dataclass(frozen=True)
class Worker:
    """A process that works on a study.

    Attributes:
        name: Its name, unique on its machine.
        host: Its machine.
        nonce: Distinguishes it from another process of the same name.
    """

    name: str
    host: str
    nonce: str

    def to_json(self) -> dict[str, str]:
        """Return the form in which a claimed trial names its worker."""
        return asdict(self)


@contextmanager
def register_worker(folder: Path, name: str | None = None) -> Iterator[Worker]:
    """Register this process as a worker by a file lock, which the system drops when it dies.

    Args:
        folder: Folder of the experiment.
        name: Name of the worker; None: a new name from host and process.

    Raises:
        RequestError: A worker of that name runs on this machine.
    """
    host, nonce = socket.gethostname(), uuid4().hex[:8]
    name = name or f"{host}-{nonce[:4]}-{os.getpid()}"
    busy = f"a worker '{name}' is already running; give this one another --name"
    with held_alone(_lock(folder, name), busy):
        yield Worker(name, host, nonce)
    _lock(folder, name).unlink(missing_ok=True)


@dataclass
class LivenessMonitor:
    """Detects dead workers without comparing the clocks of two machines.

    A worker on this machine is dead when nobody holds its lock. A worker on another machine is dead
    when its heartbeat has not changed for `stale_seconds` by this process's clock.

    Attributes:
        folder: Folder of the experiment.
        me: The worker that monitors the others.
        stale_seconds: Longest time between two heartbeats of a living worker.
    """

    folder: Path
    me: Worker
    stale_seconds: float = STALE_SECONDS
    _seen: dict[int, tuple[datetime | None, float]] = field(default_factory=dict)

    def is_stale(self, trial: int, worker: Mapping[str, Any], heartbeat: datetime | None) -> bool:
        """Return True if the worker that claimed a trial is dead.

        Args:
            trial: Id of the trial.
            worker: Its worker, as `Worker.to_json` returns it.
            heartbeat: The worker's last heartbeat.
        """
        claimed_by = Worker(**worker)
        if claimed_by == self.me:
            return False
        if claimed_by.host == self.me.host and claimed_by.name == self.me.name:
            return True  # an earlier process of this worker's name
        lock = _lock(self.folder, claimed_by.name)
        if claimed_by.host == self.me.host and lock.exists():
            return _is_free(lock)
        before, since = self._seen.get(trial, (None, 0.0))
        if trial not in self._seen or before != heartbeat:
            self._seen[trial] = heartbeat, time.monotonic()
            return False
        return time.monotonic() - since > self.stale_seconds

    def reset(self) -> None:
        """Forget all heartbeats: during an outage of the storage none could be written."""
        self._seen.clear()


def _lock(folder: Path, name: str) -> Path:
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)
    return folder / ".workers" / f"{safe}.lock"


def _is_free(lock: Path) -> bool:
    try:
        with FileLock(lock).acquire(timeout=0):
            return True
    except Timeout:
        return False
