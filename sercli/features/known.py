"""Facts about files as they were read, valid while the files have not changed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from sercli.files import file_digest, write_text
from sercli.untrusted import parse_json

_SETTLED = 2 * 10**9
"""Age of a file's times, in ns, from which a later write changes them (FAT resolves 2 s)."""


class KnownFiles:
    """Facts that were read from files, by path, valid until the file is written to.

    A file is unchanged if its size, inode, mtime and ctime are. No program can set ctime, so a
    file that is replaced by one of equal size and mtime is read again.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file, kept = Path(folder, "a"), Path(folder, "known.json")
    ...     _ = file.write_text("12")
    ...     os.utime(file, (0, 0))
    ...     KnownFiles(kept).get(str(file), lambda: len(file.read_text()))
    2

    Args:
        path: The file that keeps the facts between processes; need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}
        with suppress(OSError, ValueError, TypeError):
            self._known = dict(parse_json(path.read_text(encoding="utf-8")))

    def get(self, name: str, read: Callable[[], Any]) -> Any:
        """Return the fact of a file: the known one, or what ``read`` returns (as JSON has it)."""
        try:
            found = os.stat(name)  # noqa: PTH116 - Path would take longer than the call
        except OSError:
            return read()
        state = [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]
        entry = self._known.get(name)
        if not (isinstance(entry, list) and len(entry) == 2 and entry[0] == state):
            entry = [state, read()]
        if time.time_ns() - max(state[2:]) > _SETTLED:
            self._asked[name] = entry
        return entry[1]

    def save(self) -> None:
        """Keep the facts that were asked for; in a folder that cannot be written, none."""
        if self._asked != self._known:
            with suppress(OSError):
                write_text(self._path, json.dumps(self._asked))


def known_digest(path: Path) -> str:
    """Return the SHA-256 of a file, computed once per process while size and mtime do not change.

    Raises:
        OSError: It cannot be read.
    """
    state = path.stat()
    return _digest(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=10_000)
def _digest(path: Path, size: int, modified: int) -> str:
    return file_digest(path)
