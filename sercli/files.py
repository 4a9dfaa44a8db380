"""Write files and folders so that they exist whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from filelock import FileLock, Timeout

from sercli.errors import BusyError


def write_atomically(path: Path, write: Callable[[Path], object], *, sync: bool = True) -> None:
    """Call ``write`` with a temporary name beside ``path``, then rename the result to ``path``.

    A crash leaves either the old file or the new one, never a part of it.

    Args:
        path: The file.
        write: Writes a file of the name that it is given.
        sync: Force the file to the disk before it is renamed. Without that, a power cut may leave
            a file that is cut short or empty.

    Raises:
        OSError: The folder cannot be written or the disk is full; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        write(temporary)
        if sync:
            _flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, in UTF-8."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


@contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``path`` that becomes ``path`` when the block succeeds.

    The caller sees to it that nobody else writes ``path`` at the same time; what an earlier,
    killed process has left of it is removed.

    Raises:
        OSError: ``path`` already holds files, or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{escape(path.name)}.{'?' * 8}.tmp"):
        shutil.rmtree(left, ignore_errors=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def held_alone(lock: Path, busy: str) -> Iterator[None]:
    """Hold a lock that the system takes back from a process that dies.

    Args:
        lock: The file to lock; its folder is created.
        busy: What to say when another process holds it.

    Raises:
        BusyError: Another process holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(lock).acquire(timeout=0)
    except Timeout:
        raise BusyError(busy) from None
    with held:
        yield


def _flush(path: Path) -> None:
    """Bring the file to the disk before its rename, so that a power cut cannot reorder the two."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
