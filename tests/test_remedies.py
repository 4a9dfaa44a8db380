"""Remedies for failures of the machine, also as reported by libraries."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from helpers.shell import InProcessShell

from sercli.remedies import ANOTHER_FOLDER, MORE_GPU_MEMORY, MORE_MEMORY, MORE_SPACE, remedy_for

SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class SafetensorError(Exception):
    """An exception without an error number, like that of safetensors."""


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (SPACE, MORE_SPACE),
        (SafetensorError("I/O error: No space left on device (os error 28)"), MORE_SPACE),
        (sqlite3.OperationalError("database or disk is full"), MORE_SPACE),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), ANOTHER_FOLDER),
        (sqlite3.OperationalError("attempt to write a readonly database"), ANOTHER_FOLDER),
        (MemoryError(), MORE_MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), MORE_MEMORY),
        (RuntimeError("can't start new thread"), MORE_MEMORY),
        (ImportError("x.so: failed to map segment from shared object"), MORE_MEMORY),
        (RuntimeError("CUDA out of memory. Tried to allocate 9 GiB"), MORE_GPU_MEMORY),
        (ValueError("a fault of ours"), None),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), None),
    ],
)
def test_a_failure_of_the_machine_has_a_remedy(error: Exception, remedy: str | None) -> None:
    assert remedy_for(error) == remedy


def test_the_cause_of_an_error_counts() -> None:
    wrapped = RuntimeError("cannot be saved")
    wrapped.__cause__ = SPACE
    assert remedy_for(wrapped) == MORE_SPACE


def test_the_command_states_the_remedy_and_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        np.empty(2**50)  # numpy has an error of its own

    monkeypatch.setattr("sercli.config.compose.compose", fail)
    line = InProcessShell(tmp_path).refused("config", "show", status=1)
    assert "ulimit -v" in line
    assert "bug" not in line


def test_windows_is_told_of_wsl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert "WSL" in InProcessShell(tmp_path).refused("config", "show")
