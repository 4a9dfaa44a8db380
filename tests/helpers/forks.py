"""Option ``--processes``: run the tests in processes that are forked after the collection.

Importing, rewriting and collecting the tests takes 12 CPU seconds, 25 in a fresh clone, and
pytest-xdist repeats it in each process. Here it is done once, and all share one fork server. On two
busy cores the same 88 tests took 34 CPU seconds in three processes, 68 with pytest-xdist 3.8
(``-n 3 --dist loadfile``); the suite may take six minutes.
"""

from __future__ import annotations

import gc
import multiprocessing
import sys
from collections import deque
from collections.abc import Iterator
from itertools import chain, pairwise
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from warnings import WarningMessage

import pytest

from sercli.processes import _starting

_FORK = multiprocessing.get_context("fork")
_IMPORTED_ONCE = ["sercli.search.worker.worker", "sercli.config.compose", "sercli.cli"]
"""Modules that the fork server of all tests imports, and with them torch, Optuna and Hydra."""

_FIRST = (
    *("integration/test_sweep_workers.py", "integration/test_slurm.py"),
    *("integration/test_stopped.py", "integration/test_installed.py"),
    *("integration/test_killed_extraction.py", "features/test_extract.py"),
    *("integration/test_page_in_browser.py", "bench/test_bench_sweep.py"),
)
"""Files that wait for processes or a server, the longest first."""

_NEXT = "integration"
"""Folder of the tests that come after them."""

_LAST = (
    *("formats/html/test_document.py", "verify/test_record.py", "training/test_run.py"),
    *("figures/test_plot.py", "features/test_smile_sets.py", "inference/test_onnx.py"),
    *("models/test_every_model.py", "training/test_training_every_model.py"),
    *("cells/test_cells.py", "models/test_build_model.py", "worker/test_worker.py"),
    *("config/test_compose.py", "triton/test_fused.py"),
    *("plan/test_plan.py", "search/test_sweep.py"),
)
"""Files that compute for five seconds or more, the longest last.

One process takes files from the front of the list, the others from its end, so that short files
are left when another process ends.
"""


gc.disable()  # until the tests run: collections take a fifth of the import time and free nothing


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--processes", type=int, default=1, help="run the tests in N processes")


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Start the fork server: it imports torch on one core while the other collects the tests."""
    _share_fork_server()
    if _forks(session):
        with _starting(None):  # the server inherits the signals that this blocks
            forkserver.ensure_running()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    gc.freeze()  # else a collection in a forked process copies every object
    gc.set_threshold(100_000, 20, 20)  # the default takes most of the time of some tests
    gc.enable()
    if not _forks(session):
        return None
    if session.testsfailed and not session.config.option.continue_on_collection_errors:
        return None  # pytest's own loop reports it
    _Loop(session).run(session.config.option.processes)
    return True


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # else libraries report leaked objects at exit


def _forks(session: pytest.Session) -> bool:
    alone = session.config.option.processes < 2 or sys.platform != "linux"  # as in processes.py
    return not alone and not session.config.option.collectonly


def _share_fork_server() -> None:
    """Let the fork server import the same modules for all tests."""
    forkserver.set_forkserver_preload(_IMPORTED_ONCE)
    multiprocessing.set_forkserver_preload = lambda modules: None  # type: ignore[assignment]


class _Loop:
    """Distributes the test files over processes, and reports their results."""

    def __init__(self, session: pytest.Session) -> None:
        self.session = session
        files: dict[Path, list[int]] = {}
        for number, item in enumerate(session.items):
            files.setdefault(item.path, []).append(number)
        self.files = deque(files[path] for path in sorted(files, key=_place))
        self.processes: dict[Connection, BaseProcess] = {}
        self.given: dict[Connection, list[int]] = {}

    def run(self, processes: int) -> None:
        self.session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined] # one for all
        try:
            for _ in range(processes):
                self._fork()
            while self.processes:
                for pipe in wait(list(self.processes)):
                    assert isinstance(pipe, Connection)
                    self._receive(pipe)
            assert not self.files, "tests that did not run"
        finally:
            for process in self.processes.values():
                process.kill()

    def _fork(self) -> None:
        ours, theirs = multiprocessing.Pipe()
        capture: Any = self.session.config.pluginmanager.getplugin("capturemanager")
        capture.stop_global_capturing()  # else all processes share the position in its files
        process = _FORK.Process(
            target=_work, args=(self.session, theirs, [*self.processes, ours], capture)
        )
        process.start()
        capture.start_global_capturing()
        capture.suspend_global_capture()
        theirs.close()
        self.processes[ours], self.given[ours] = process, []

    def _receive(self, pipe: Connection) -> None:
        hook, config = self.session.config.hook, self.session.config
        try:
            event, content = pipe.recv()
        except EOFError:
            self._end(pipe)
            return
        if event == "next":
            # The first process takes the tests that wait, while the others compute.
            first = pipe is next(iter(self.processes))
            file = (self.files.popleft if first else self.files.pop)() if self.files else []
            self.given[pipe] += file
            pipe.send(file)
        elif event == "finished":
            item = self.session.items[content]
            self.given[pipe].remove(content)
            hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        elif event == "warning":
            hook.pytest_warning_recorded.call_historic(kwargs=content)
        else:
            report = hook.pytest_report_from_serializable(config=config, data=content)
            hook.pytest_runtest_logreport(report=report)
            if self.session.shouldfail:
                raise self.session.Failed(self.session.shouldfail)

    def _end(self, pipe: Connection) -> None:
        """Report the test during which a process died, and start another for the tests after it."""
        process, given = self.processes.pop(pipe), self.given.pop(pipe)
        process.join()
        assert given or process.exitcode == 0, "a process died outside of its tests"
        if given:
            item = self.session.items[given[0]]
            message = f"the process of this test died: exit status {process.exitcode}"
            report = pytest.TestReport(item.nodeid, item.location, {}, "failed", message, "call")
            self.session.config.hook.pytest_runtest_logreport(report=report)
            if given[1:]:
                self.files.append(given[1:])
            self._fork()


def _place(path: Path) -> tuple[int, int]:
    """Return the rank of a file in the list from which the processes take files."""
    name = path.as_posix()
    for place, each in enumerate(_FIRST):
        if name.endswith(each):
            return 0, place
    for place, each in enumerate(_LAST):
        if name.endswith(each):
            return 3, place
    return (1 if _NEXT in path.parts else 2), 0


def _work(
    session: pytest.Session, pipe: Connection, others: list[Connection], capture: Any
) -> None:
    """Run tests until none is left."""
    for each in others:  # else a pipe stays open when its process ends
        each.close()
    capture.start_global_capturing()
    capture.suspend_global_capture()
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign] # the parent's
    plugins = session.config.pluginmanager
    plugins.unregister(name="terminalreporter")
    plugins.register(_Sender(session.config, pipe))
    try:
        for number, following in pairwise(chain(_numbers(pipe), [None])):
            assert number is not None
            item = session.items[number]
            after = None if following is None else session.items[following]
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            pipe.send(("finished", number))
    except (KeyboardInterrupt, BrokenPipeError):
        pass  # the parent reports it


def _numbers(pipe: Connection) -> Iterator[int]:
    while True:
        pipe.send(("next", None))
        numbers = pipe.recv()
        if not numbers:
            return
        yield from numbers


class _Sender:
    """Sends reports and warnings to the parent."""

    def __init__(self, config: pytest.Config, pipe: Connection) -> None:
        self.config, self.pipe = config, pipe

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        content = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        self.pipe.send(("report", content))

    def pytest_warning_recorded(
        self, warning_message: WarningMessage, when: str, nodeid: str, location: object
    ) -> None:
        if when != "runtest":  # the parent has those of the collection
            return
        seen = warning_message
        kept = WarningMessage(seen.message, seen.category, seen.filename, seen.lineno)
        content = {"warning_message": kept, "when": when, "nodeid": nodeid, "location": location}
        self.pipe.send(("warning", content))
