"""The feature store: frames by key, memory-mapped and crash-safe.

The store is an LMDB environment: every transaction is written whole or not at all, and any
number of processes read while one writes. Frames are kept as safetensors, so that other
programs can read them; the duration stands beside them, so that it is known without decoding
the audio again. LMDB asks for a local disk: keep the store off network file systems.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import lmdb
import numpy as np
import safetensors.numpy

from sercli.errors import SercliError

_MAP_SIZE = 2**40
"""Address space of the map, not disk: the file grows with what is written (our choice)."""

_READERS = 1024
"""Processes that may read at once (our choice)."""


@dataclass(frozen=True)
class Entry:
    """The frames of one utterance.

    Attributes:
        key: See `sercli.features.keys`.
        frames: float32 (frames, features).
        seconds: Duration of the audio.
    """

    key: str
    frames: np.ndarray
    seconds: float


class FeatureStore:
    """Frames by key, in a folder.

    Args:
        folder: Where the store lies; for writing it is created.
        write: Open it for writing too.

    Raises:
        SercliError: There is no store, it is damaged, or it cannot be written.
    """

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self._folder = folder
        with self._explained("opened"):
            if write:
                folder.mkdir(parents=True, exist_ok=True)
            self._lmdb = lmdb.open(
                str(folder),
                readonly=not write,
                map_size=_MAP_SIZE,
                max_dbs=2,
                max_readers=_READERS,
            )
            self._lmdb.reader_check()  # frees the places of processes that were killed
            self._frames = self._lmdb.open_db(b"frames", create=write)
            self._seconds = self._lmdb.open_db(b"seconds", create=write)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files; the store cannot be used afterwards."""
        self._lmdb.close()

    def __contains__(self, key: str) -> bool:
        with self._lmdb.begin(self._seconds) as transaction:
            return transaction.get(key.encode()) is not None

    def __len__(self) -> int:
        with self._lmdb.begin() as transaction:
            return int(transaction.stat(self._frames)["entries"])

    def get(self, key: str) -> np.ndarray:
        """Return float32 (frames, features).

        Raises:
            KeyError: The store has nothing under ``key``.
        """
        frames: np.ndarray = safetensors.numpy.load(self._read(self._frames, key))["frames"]
        return frames

    def seconds(self, key: str) -> float:
        """Return the duration of the audio.

        Raises:
            KeyError: The store has nothing under ``key``.
        """
        (seconds,) = struct.unpack("<d", self._read(self._seconds, key))
        return float(seconds)

    def put(self, entries: Iterable[Entry]) -> None:
        """Write ``entries`` in one transaction: all of them or none.

        Raises:
            SercliError: The disk is full or fails; what was written before stays.
        """
        with self._explained("written"), self._lmdb.begin(write=True) as transaction:
            for entry in entries:
                key = entry.key.encode()
                frames = np.ascontiguousarray(entry.frames, np.float32)
                transaction.put(key, safetensors.numpy.save({"frames": frames}), db=self._frames)
                transaction.put(key, struct.pack("<d", entry.seconds), db=self._seconds)

    def _read(self, table: Any, key: str) -> bytes:
        with self._lmdb.begin(table) as transaction:
            value: bytes | None = transaction.get(key.encode())
        if value is None:
            raise KeyError(key)
        return value

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        try:
            yield
        except (lmdb.Error, OSError) as error:
            said = str(error).removeprefix(f"{self._folder}: ")
            raise SercliError(
                f"the feature store {self._folder} cannot be {done}: {said}; {_remedy(error, done)}"
            ) from error


def _remedy(error: lmdb.Error | OSError, done: str) -> str:
    if isinstance(error, lmdb.InvalidError | lmdb.CorruptedError | lmdb.VersionMismatchError):
        return "the folder holds no store, or a damaged one: set paths.store to another"
    if done == "written":
        return "all that was written before stays: make room and run the command again"
    return "set paths.store to a folder that can be written"
