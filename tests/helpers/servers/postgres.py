"""A PostgreSQL server for one test, which can be stopped and restarted."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_WAIT_SECONDS = "60"
_SETTINGS = "-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"


def free_port() -> int:
    """Return a free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postgres:
    """A server in one folder and on one port.

    Args:
        programs: Folder of ``initdb`` and ``pg_ctl``.
        folder: An empty folder.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._data = folder / "data"
        self._port = free_port()
        self._run("initdb", "--auth=trust", "--username=sercli", "--no-sync")

    @property
    def url(self) -> str:
        """The URL of its database."""
        return f"postgresql+psycopg://sercli@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self._port} {_SETTINGS}"
        log = str(self._data.with_name("log"))
        self._run("pg_ctl", "start", "-w", "-t", _WAIT_SECONDS, "-l", log, "-o", options)

    def stop(self) -> None:
        """Stop it while clients work; committed transactions are kept."""
        self._run("pg_ctl", "stop", "-w", "-t", _WAIT_SECONDS, "-m", "fast")

    def restart(self) -> None:
        """Stop and restart it."""
        self.stop()
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, "-D", self._data, *arguments],
            cwd=self._data.parent,
            stdout=subprocess.DEVNULL,  # a pipe would be held open by the server
            stderr=subprocess.DEVNULL,
            check=False,
            **_not_root(),
        )
        log = self._data.with_name("log")
        said = log.read_text() if log.exists() else ""
        assert done.returncode == 0, f"{program} {arguments}: {said[-2000:]}"

    def running(self) -> bool:
        """True if it runs."""
        return (self._data / "postmaster.pid").exists()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL server within the block; skip the test where there is none."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="sercli-postgres-"))
    try:
        if user := _not_root().get("user"):
            shutil.chown(folder, user)
        server = Postgres(programs, folder)
        server.start()
        try:
            yield server
        finally:
            if server.running():
                server.stop()
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    pytest.importorskip("psycopg", reason="pip install 'sercli[postgresql]'")
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if path := shutil.which("initdb"):
        found.append(Path(path).resolve().parent)
    if not found:
        pytest.skip("PostgreSQL is not installed: no initdb in PATH or /usr/lib/postgresql")
    return found[-1]


def _not_root() -> dict[str, Any]:
    """Return the user to run as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    import pwd

    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
