"""Atomic writing of files and folders, digests, and locks between processes."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from filelock import FileLock, Timeout

from sercli.errors import BusyError, RequestError


def write_atomically(path: Path, write: Callable[[Path], object], *, sync: bool = True) -> None:
    """Write a file under a temporary name beside ``path``, then rename it to ``path``.

    A crash leaves the old file or the new one, never a part of it.

    Args:
        path: File to write; its folder is created.
        write: Called with the temporary path.
        sync: Flush the file to disk before it is renamed. Without that, a power cut may leave it
            truncated.

    Raises:
        OSError: The folder cannot be written or the disk is full; no file is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        write(temporary)
        if sync:
            _flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically as UTF-8."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def absolute(path: str) -> Path:
    """Return the absolute path of a path given by the user; ``~`` is expanded.

    Raises:
        RequestError: The home is unknown.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise RequestError(
            f"{path}: HOME is not set, or there is no such user; write the path without ~"
        ) from None


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_new_folder(folder: Path) -> None:
    """Refuse a folder to write, unless it is new or empty.

    Raises:
        RequestError: It holds files, or is a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RequestError(f"{folder} exists already: name a new folder, or remove it")


@contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path`` that becomes ``path`` if the block succeeds.

    Temporary folders of killed processes are removed. The caller excludes other writers of
    ``path`` (`held_alone`).

    Raises:
        OSError: ``path`` holds files already, or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{escape(path.name)}.{'?' * 8}.tmp"):
        shutil.rmtree(left, ignore_errors=True)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def held_alone(lock: Path, busy: str) -> Iterator[None]:
    """Hold a lock, which the system releases if the process dies.

    Args:
        lock: File to lock; its folder is created.
        busy: Error message if another process holds it.

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


def remove_at_once(folder: Path) -> None:
    """Delete a folder after renaming it, so that it is never seen half deleted.

    Files that cannot be deleted are left to the next `folder_written_whole`.

    Raises:
        OSError: It cannot be renamed.
    """
    gone = _beside(folder)
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def why_denied(path: Path) -> str | None:
    """Return the reason for a denied read of a file or folder, with its owner; None if permitted.

    Parent folders are checked too.
    """
    for each in (path, *path.absolute().parents):
        if os.path.exists(each):  # noqa: PTH110 - Path.exists raises in a folder of another user
            if permitted(each, os.R_OK | (os.X_OK if each.is_dir() else 0)):
                return None
            status = each.stat()
            where = "" if each == path else f"{each}: "
            mode, owner = stat.filemode(status.st_mode), user_name(status.st_uid)
            return f"{where}permission denied ({mode}); ask its owner {owner} for read permission"
    return None


def permitted(path: Path, mode: int) -> bool:
    """Return True if this process may use a path: `os.access` with its effective user."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def user_name(uid: int | None = None) -> str:
    """Return the name of a user, by default of this process; its number where it has no name.

    A container may run as a number that no list of users has.
    """
    uid = os.geteuid() if uid is None else uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _beside(path: Path) -> Path:
    """Return a new hidden name beside ``path``."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


def _flush(path: Path) -> None:
    """Flush a file to disk before its rename, so that a power cut cannot reorder the two."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
