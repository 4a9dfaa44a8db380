"""Who is at work on what, so that two extractions at the same time do not do the same twice."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class Claims:
    """Claims of one process on keys of the store.

    The claim on a key is the system's lock on one byte of an empty file, at a place that the key
    gives. The system ends all locks of a process that dies, so that no claim outlives its owner.
    These locks tell processes apart, not threads.

    Args:
        folder: The folder of the store.

    Raises:
        OSError: The folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "claims", os.O_RDWR | os.O_CREAT, 0o666)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give all claims back."""
        os.close(self._file)

    def take(self, key: str) -> bool:
        """Claim ``key``; False if another process has it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(key))
        except (BlockingIOError, PermissionError):  # which one, differs between systems
            return False
        return True

    def wait_for(self, key: str) -> None:
        """Wait until no other process has ``key``, and do not claim it.

        Only for a process without claims, so that no two wait for each other.
        """
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, _place(key))
        self.give_back(key)

    def give_back(self, key: str) -> None:
        """End the claim on ``key``."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(key))


def _place(key: str) -> int:
    return int(key[:15], 16)  # 60 bits: what fits a file offset, and no two keys will share
