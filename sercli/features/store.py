"""The feature store: frames by key, memory-mapped and crash-safe.

The store is an LMDB environment: every transaction is written whole or not at all, and any
number of processes read while one writes. Frames are kept as safetensors, so that other
programs can read them; what the audio was stands beside them as JSON, so that it is known
without decoding the audio again. LMDB asks for a local disk: keep the store off network file
systems, or open it there for reading only.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from weakref import WeakValueDictionary

import lmdb
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from sercli.corpora.audio_stats import AudioFacts
from sercli.errors import SercliError
from sercli.progress import SILENT, Progress

_MAP_SIZE = 2**40
"""Address space of the map, not disk: the file grows with what is written (our choice)."""

_READERS = 1024
"""Processes that may read at once (our choice)."""

_LOCK_BYTES = 192 + 64 * (_READERS - 1)
"""Size of LMDB's lock file for so many readers (lmdb 0.9, mdb_env_setup_locks)."""

_MAPPED = 2**28
"""Bytes of the map that may be in memory before it is closed and opened anew (our choice).

What was read of a map counts as memory of the process for as long as it is open.
"""

_AROUND = 2**20
"""Bytes that the system maps around those that are read (our measurement, Linux 6.18, ext4)."""

_FULL = 2**20
"""Free bytes below which a failure is put down to them (our choice)."""

_TABLES = ("frames", "facts", "notes")


@dataclass(frozen=True)
class Entry:
    """The frames of one utterance.

    Attributes:
        key: See `sercli.features.plan`.
        frames: float32 (frames, features).
        facts: What the audio was.
    """

    key: str
    frames: np.ndarray
    facts: AudioFacts


@dataclass(frozen=True)
class Stored:
    """What the store knows of an utterance without its frames.

    Attributes:
        facts: What the audio was.
        frames: Number of frames.
        size: Bytes of the frames.
        crc32: Their checksum.
    """

    facts: AudioFacts
    frames: int
    size: int
    crc32: int


class FeatureStore:
    """Frames by key, in a folder.

    Args:
        folder: Where the store lies; for writing it is created.
        write: Open it for writing too. Reading needs no permission to write.

    Raises:
        SercliError: There is no store, it is damaged, or it cannot be written.
    """

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self._folder = folder
        self._write = write
        self._transaction: Any = None
        self._lmdb: Any = None
        self._wake()

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
        """Let go of the files; the next use takes them up again."""
        if self._lmdb is not None:
            self._lmdb.close()
            self._lmdb = None

    def __contains__(self, key: object) -> bool:
        with self._reading() as transaction:
            return transaction.get(str(key).encode(), db=self._facts) is not None

    def __len__(self) -> int:
        with self._reading() as transaction:
            return int(transaction.stat(self._facts)["entries"])

    def keys(self) -> list[str]:
        """Return all keys."""
        with self._reading() as transaction, transaction.cursor(self._facts) as cursor:
            return [bytes(key).decode() for key in cursor.iternext(values=False)]

    def get(self, key: str) -> np.ndarray:
        """Return float32 (frames, features).

        Raises:
            KeyError: The store has nothing under ``key``.
            SercliError: What it has is damaged.
        """
        stored, value = self._read(key)
        if problem := _damage(stored, value):
            raise self._damaged(key, problem)
        self._let_go(len(value))
        frames: np.ndarray = safetensors.numpy.load(value)["frames"]
        return frames

    def stored(self, key: str) -> Stored:
        """Return what is known of an utterance without reading its frames.

        Raises:
            KeyError: The store has nothing under ``key``.
            SercliError: What it has is damaged.
        """
        with self._reading() as transaction:
            stored = _stored(key, transaction.get(key.encode(), db=self._facts))
        if stored is None:
            raise self._damaged(key, _UNREADABLE)
        return stored

    def size(self, key: str) -> int:
        """Return the bytes of the frames that are there, whatever should be."""
        with self._reading() as transaction:
            return len(transaction.get(key.encode(), db=self._frames) or b"")

    def damage(self, key: str) -> str | None:
        """Read the frames of ``key`` and say what is wrong with them: nothing, if all is well.

        Raises:
            KeyError: The store has nothing under ``key``.
        """
        stored, value = self._read(key)
        self._let_go(len(value))
        return _damage(stored, value) or _strangeness(value)

    def put(self, entries: Iterable[Entry]) -> None:
        """Write ``entries`` in one transaction: all of them or none.

        Raises:
            SercliError: The disk is full or fails; what was written before stays.
        """
        entries = list(entries)
        with self.alone():
            for entry in entries:
                frames = np.ascontiguousarray(entry.frames, np.float32)
                value = safetensors.numpy.save({"frames": frames})
                stored = Stored(entry.facts, len(frames), len(value), zlib.crc32(value))
                facts = json.dumps(vars(stored) | {"facts": vars(entry.facts)}).encode()
                self._transaction.put(entry.key.encode(), value, db=self._frames)
                self._transaction.put(entry.key.encode(), facts, db=self._facts)
        self._let_go(2 * len(entries) * _AROUND)  # a place in either table

    def remove(self, keys: Iterable[str]) -> None:
        """Remove the frames under ``keys``; the file keeps its size, and has room again."""
        with self.alone():
            for key in keys:
                self._transaction.delete(key.encode(), db=self._frames)
                self._transaction.delete(key.encode(), db=self._facts)

    def notes(self) -> dict[str, bytes]:
        """Return what was noted, by name."""
        with self._reading() as transaction, transaction.cursor(self._notes) as cursor:
            return {bytes(name).decode(): bytes(text) for name, text in cursor}

    def note(self, name: str, text: bytes) -> None:
        """Keep a text in the store, in place of what was noted under that name."""
        with self.alone():
            self._transaction.put(name.encode(), text, db=self._notes)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other writers out of the block, and write all that it writes or nothing.

        Raises:
            SercliError: The disk is full or fails; what was written before stays.
        """
        if self._transaction is not None:
            yield
            return
        self._wake()
        with self._explained("written"), self._lmdb.begin(write=True) as transaction:
            self._transaction = transaction
            try:
                yield
            finally:
                self._transaction = None

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        if self._transaction is not None:
            yield self._transaction
            return
        self._wake()
        with self._explained("read"), self._lmdb.begin() as transaction:
            yield transaction
        self._let_go(_AROUND)

    def _read(self, key: str) -> tuple[Stored | None, bytes]:
        with self._reading() as transaction:
            stored = _stored(key, transaction.get(key.encode(), db=self._facts))
            return stored, transaction.get(key.encode(), db=self._frames) or b""

    def _damaged(self, key: str, problem: str) -> SercliError:
        return SercliError(
            f"the feature store {self._folder} is damaged: the frames of {key[:12]}… are "
            f"{problem}; `sercli extract --verify` lists all that are"
        )

    def _let_go(self, size: int) -> None:
        self._mapped += size
        if self._mapped > _MAPPED and self._transaction is None:
            self.close()

    def _wake(self) -> None:
        """Open the files, if they are not; who else has them open in this process closes them."""
        if self._lmdb is None:
            place = os.path.realpath(self._folder)
            if (other := _awake.get(place)) is not None:
                other.close()
            try:
                self._open()
            except BaseException:
                self.close()
                raise
            _awake[place] = self

    def _open(self) -> None:
        with self._explained("opened"):
            if self._write:
                _make_folder(self._folder)
            # Who reads registers in the lock file, so that no page is used again meanwhile;
            # where that file cannot be written, the checksum shows if one was.
            registers = self._write or os.access(self._folder / "lock.mdb", os.W_OK)
            self._lmdb = lmdb.open(
                str(self._folder),
                create=self._write,
                readonly=not self._write,
                lock=registers,
                mode=0o666,  # less what the umask takes: a group may share a store
                map_size=_MAP_SIZE,
                max_dbs=len(_TABLES),
                max_readers=_READERS,
                readahead=False,
            )
            _check_whole(self._folder, self._lmdb)
            if self._write:
                self._lmdb.reader_check()  # frees the places of processes that were killed
            self._frames, self._facts, self._notes = (
                self._lmdb.open_db(name.encode(), create=self._write) for name in _TABLES
            )
        self._mapped = 0

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        try:
            yield
        except (lmdb.Error, OSError) as error:
            said = _full(self._folder) or str(error).removeprefix(f"{self._folder}: ")
            raise SercliError(
                f"the feature store {self._folder} cannot be {done}: {said}; {_remedy(error, done)}"
            ) from error


def damaged_keys(store: FeatureStore, progress: Progress = SILENT) -> Iterator[tuple[str, str]]:
    """Read all frames, and give the keys of those that are damaged, with what is wrong."""
    keys = store.keys()
    with progress.task("reading the store", total=len(keys)) as bar:
        for key in keys:
            if problem := store.damage(key):
                yield key, problem
            bar.advance()


_awake: WeakValueDictionary[str, FeatureStore] = WeakValueDictionary()
"""Folder → the store that has it open: LMDB may open it once in a process."""


def _make_folder(folder: Path) -> None:
    """Make the folder with a lock file that has its place on the disk.

    LMDB makes that file with holes and writes to it through a map: on a full disk, the process
    would be killed by SIGBUS instead of an error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "lock.mdb"
    if hasattr(os, "posix_fallocate") and not lock.exists():
        file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            os.posix_fallocate(file, 0, _LOCK_BYTES)
        finally:
            os.close(file)


def _check_whole(folder: Path, opened: Any) -> None:
    """Refuse a file that lost its end, as in a copy that was broken off: the map cannot see it."""
    needed = (opened.info()["last_pgno"] + 1) * opened.stat()["psize"]
    held = (folder / "data.mdb").stat().st_size
    if held < needed:
        raise lmdb.CorruptedError(f"truncated: data.mdb has {held} of {needed} bytes")


def _stored(key: str, text: bytes | None) -> Stored | None:
    """Read a description; None if it cannot be read."""
    if text is None:
        raise KeyError(key)
    try:
        read = json.loads(text)
        return Stored(**read | {"facts": AudioFacts(**read["facts"])})
    except (ValueError, TypeError, LookupError):
        return None


_UNREADABLE = "without a readable description"


def _damage(stored: Stored | None, value: bytes) -> str | None:
    if stored is None:
        return _UNREADABLE
    if len(value) != stored.size:
        return f"truncated: {len(value)} of {stored.size} bytes"
    if zlib.crc32(value) != stored.crc32:
        return "not what was written (the checksum differs)"
    return None


def _strangeness(value: bytes) -> str | None:
    """Look into frames that are as they were written."""
    try:
        frames = safetensors.numpy.load(value)["frames"]
    except (SafetensorError, KeyError) as error:
        return f"no frames: {error}"
    if frames.ndim != 2 or not frames.size:
        return f"of shape {frames.shape}"
    bad = int((~np.isfinite(frames).all(axis=1)).sum())
    return f"NaN or infinite in {bad} of {len(frames)} frames" if bad else None


def _full(folder: Path) -> str | None:
    """Say that the disk is full, where it is: LMDB calls it an input/output error."""
    if folder.is_dir() and shutil.disk_usage(folder).free < _FULL:
        return "no space left on the disk"
    return None


def _remedy(error: lmdb.Error | OSError, done: str) -> str:
    damaged = (
        lmdb.InvalidError,
        lmdb.CorruptedError,
        lmdb.VersionMismatchError,
        lmdb.NotFoundError,
    )
    if isinstance(error, damaged):
        return "the folder holds no store, or a damaged one: set paths.store to another"
    if done == "written":
        return "all that was written before stays: make room and run the command again"
    return "set paths.store to a folder that can be written"
