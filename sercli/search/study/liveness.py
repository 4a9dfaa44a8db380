"""Who works on a study, and who of them is dead."""

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
"""Time without a heartbeat after which the worker of a trial on another machine counts as dead (our
choice: six beats, so that a short outage of the storage kills nobody)."""


@dataclass(frozen=True)
class Worker:
    """A process that works on a study.

    Attributes:
        name: What it is called.
        host: The machine.
        nonce: Tells it from another process of the same name.
    """

    name: str
    host: str
    nonce: str

    def to_json(self) -> dict[str, str]:
        """The form in which it claims trials."""
        return asdict(self)


@contextmanager
def register_worker(folder: Path, name: str | None = None) -> Iterator[Worker]:
    """Be a worker, which others on this machine see by a lock that dies with the process.

    Args:
        folder: Folder of the experiment.
        name: What to be called; None: a name that nobody else has.

    Raises:
        RequestError: A worker of that name is at work on this machine.
    """
    host, nonce = socket.gethostname(), uuid4().hex[:8]
    name = name or f"{host}-{nonce[:4]}-{os.getpid()}"
    busy = f"a worker '{name}' is at work already; give this one another --name"
    with held_alone(_lock(folder, name), busy):
        yield Worker(name, host, nonce)
    _lock(folder, name).unlink(missing_ok=True)


@dataclass
class LivenessMonitor:
    """Tells dead workers from living ones without comparing the clocks of two machines.

    One of this machine is dead when nobody holds its lock. One of another machine is dead when its
    heartbeat has not changed for so long, by the clock of who watches.

    Attributes:
        folder: Folder of the experiment.
        me: Who watches.
        stale_seconds: How long that is.
    """

    folder: Path
    me: Worker
    stale_seconds: float = STALE_SECONDS
    _seen: dict[int, tuple[datetime | None, float]] = field(default_factory=dict)

    def is_stale(self, trial: int, claimed_by: Mapping[str, Any], beat: datetime | None) -> bool:
        """Whether the worker that has claimed a trial is gone.

        Args:
            trial: The trial.
            claimed_by: The worker, as `Worker.to_json` gives it.
            beat: Its last heartbeat.
        """
        worker = Worker(**claimed_by)
        if worker == self.me:
            return False
        if worker.host == self.me.host and worker.name == self.me.name:
            return True  # there can be only one: me
        if worker.host == self.me.host and (lock := _lock(self.folder, worker.name)).exists():
            return _is_free(lock)
        before, since = self._seen.get(trial, (None, 0.0))
        if trial not in self._seen or before != beat:
            self._seen[trial] = beat, time.monotonic()
            return False
        return time.monotonic() - since > self.stale_seconds

    def reset(self) -> None:
        """Begin to watch anew: while the storage was away, nobody's heart could be heard."""
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
