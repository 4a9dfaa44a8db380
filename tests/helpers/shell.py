"""The command in a folder of its own: as a process, or in this one (`InProcessShell`)."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

SERCLI = Path(sys.executable).with_name("sercli")
_HANDLED = (signal.SIGINT, signal.SIGTERM)


class Shell:
    """Runs ``sercli`` in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SERCLI, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def ok(self, *arguments: str | Path) -> str:
        """Run, expect success, and return standard output."""
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: str | Path) -> Any:
        """Run, expect success and one JSON document on standard output."""
        return json.loads(self.ok(*arguments, "--format", "json"))

    def refused(self, *arguments: str | Path, status: int = 2) -> str:
        """Run, expect this status and one line on standard error, and return the line."""
        done = self(*arguments)
        assert done.returncode == status, done.stderr
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr
        assert "Traceback" not in done.stderr
        return lines[0]

    def stopped(self, number: int, when: Callable[[], bool], *arguments: str | Path) -> int:
        """Run, send a signal as soon as ``when`` holds, and return the status.

        Workers of a killed process work for a moment longer. They inherit its output, whose end is
        the end of all.
        """
        process = subprocess.Popen(
            [SERCLI, *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while not when() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        process.communicate(timeout=60)
        return process.returncode

    def killed(self, when: Callable[[], bool], *arguments: str | Path) -> None:
        """Run, and kill the process in its midst."""
        assert self.stopped(signal.SIGKILL, when, *arguments) == -signal.SIGKILL


class InProcessShell(Shell):
    """Runs ``sercli`` in one folder and in this process: to start one takes seconds."""

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        from sercli.__main__ import main

        command = ["sercli", *map(str, arguments)]
        before, argv = {each: signal.getsignal(each) for each in _HANDLED}, sys.argv
        out, err = io.StringIO(), io.StringIO()
        try:
            sys.argv = command
            with chdir(self.folder), redirect_stdout(out), redirect_stderr(err):
                main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            sys.argv = argv
            for number, handler in before.items():
                signal.signal(number, handler)
        return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


def workers_of(pid: int) -> list[int]:
    """Return the worker processes of a command, from the system's own list."""
    parents, servers = {}, set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            command = stat.with_name("cmdline").read_text()
        except OSError:  # it has ended meanwhile
            continue
        process = int(stat.parent.name)
        parents[process] = parent
        if parent == pid and "forkserver" in command:
            servers.add(process)
    return [process for process, parent in parents.items() if parent in servers]
