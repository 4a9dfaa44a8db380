"""The command in a folder of its own: in this process (`InProcessShell`) or in another."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sercli.processes import start_worker

_HANDLED = (signal.SIGINT, signal.SIGTERM)


class Command:
    """A running command, with the methods of `subprocess.Popen`.

    It is forked from the server that has imported torch: a new interpreter would take seconds.

    Args:
        folder: Its working directory.
        arguments: Its arguments.
        leads: True for a process group of its own, which a terminal could interrupt.
        run: Function to call instead of the command.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str | Path,
        leads: bool = False,
        run: Callable[[], object] | None = None,
    ) -> None:
        pipes = [multiprocessing.Pipe(duplex=False) for _ in range(2)]
        writers = [writer for _, writer in pipes]
        words = ["sercli", *map(str, arguments)]
        self._process = start_worker(_run, folder, words, writers, leads, run)
        for writer in writers:
            writer.close()
        self.stdout, self.stderr = (open(os.dup(reader.fileno())) for reader, _ in pipes)  # noqa: PTH123, SIM115

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def stop_when(self, condition: Callable[[], bool]) -> None:
        """Stop it (SIGSTOP) as soon as a condition holds, and leave it stopped."""
        deadline = time.monotonic() + 120
        self.send_signal(signal.SIGSTOP)
        while not condition() and self.poll() is None:
            assert time.monotonic() < deadline
            self.send_signal(signal.SIGCONT)
            time.sleep(0.03)  # the condition takes as long
            self.send_signal(signal.SIGSTOP)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for the process and its workers, and return what they printed.

        Workers of a killed process run for a moment longer. They share its output, which ends
        when the last of them exits.
        """
        self._process.join(timeout)
        assert self.returncode is not None, "it does not end"
        with self.stdout, self.stderr:
            return self.stdout.read(), self.stderr.read()


def _run(
    folder: Path,
    words: Sequence[str],
    outputs: Sequence[Connection],
    leads: bool,
    run: Callable[[], object] | None,
) -> int:
    if leads:
        os.setsid()
    for number, pipe in enumerate(outputs, start=1):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    sys.stdout, sys.stderr = (os.fdopen(each, "w", 1, closefd=False) for each in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    sys.argv[:] = words
    from sercli.__main__ import main

    (run or main)()
    return 0


class Shell:
    """Runs ``sercli`` in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = self.start(*arguments)
        out, err = command.communicate(timeout=240)
        assert command.returncode is not None
        return subprocess.CompletedProcess(arguments, command.returncode, out, err)

    def start(self, *arguments: str | Path, leads: bool = False) -> Command:
        return Command(self.folder, *arguments, leads=leads)

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
        """Run, send a signal as soon as ``when`` holds, and return the status."""
        command = self.start(*arguments)
        command.stop_when(when)
        command.send_signal(number)
        command.send_signal(signal.SIGCONT)
        command.communicate(timeout=60)
        assert command.returncode is not None
        return command.returncode

    def killed(self, when: Callable[[], bool], *arguments: str | Path) -> None:
        """Run, and kill the process as soon as ``when`` holds."""
        assert self.stopped(signal.SIGKILL, when, *arguments) == -signal.SIGKILL


class InProcessShell(Shell):
    """Runs ``sercli`` in one folder and in this process: starting another takes seconds."""

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
    """Return the worker processes of a command, from ``/proc``."""
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
