"""The feature store: one immutable file per utterance, named by its key.

The folder of a store holds::

    store.json              its format
    ab/ab….safetensors      the frames of one utterance, and the facts of its audio
    uses/….json             which corpus uses which keys (`sercli.features.store_uses`)

A file is written beside its place and then renamed, so it is there whole or not at all. Equal keys
mean equal frames, so two processes that write one key at once replace a file by an equal one.
Nothing needs a lock: any number of processes, on any number of nodes, read and write one store on
a network disk. The files are plain safetensors, for other programs to read or map.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path

import numpy as np
import safetensors.numpy

from sercli.corpora.audio_stats import AudioFacts
from sercli.errors import SercliError
from sercli.files import write_atomically, write_text
from sercli.progress import SILENT, Progress

_FORMAT = 2
"""1 was an LMDB environment."""

_SUFFIX = ".safetensors"

_PART = 2
"""Letters of a key that name its subfolder: 256 of them, as one of 10⁵ files is slow to list."""

_HEADER_BYTES = 4096
"""Read to describe an utterance; a header is a tenth of that."""


@dataclass(frozen=True)
class Entry:
    """The frames of one utterance.

    Attributes:
        key: The key (`sercli.features.plan.utterance_key`).
        frames: float32 (frames, features).
        facts: The facts of the audio.
    """

    key: str
    frames: np.ndarray
    facts: AudioFacts


@dataclass(frozen=True)
class StoredUtterance:
    """The description of an utterance in the store.

    Attributes:
        facts: The facts of its audio.
        frames: Number of frames.
    """

    facts: AudioFacts
    frames: int


class FeatureStore:
    """Frames by key, in a folder.

    Opening a store reads none of its utterances and keeps no file open. A store can be pickled.

    Args:
        folder: Folder of the store.
        create: Create the store if there is none.

    Raises:
        SercliError: There is no store of this format, or none can be created.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = FeatureStore(Path(folder.name), create=True)
        >>> facts = AudioFacts(0.1, 16000, 1, peak=0.5, clipped_share=0.0, content="…")
        >>> store.put(Entry("ab12", np.ones((2, 3)), facts))
        >>> store.keys()
        ['ab12']
        >>> store.get("ab12")
        array([[1., 1., 1.],
               [1., 1., 1.]], dtype=float32)
        >>> store.find("ab12").facts.seconds
        0.1
        >>> folder.cleanup()
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self.folder = folder
        self._root = str(folder)
        with self._explained("opened", "set paths.store to a folder that can be written"):
            if (folder / "data.mdb").exists():
                raise SercliError(
                    f"the feature store {folder} is of an older format (LMDB), which is no longer "
                    "read: set paths.store to a new folder and run `sercli extract`; then remove "
                    "the old one"
                )
            if create and not (folder / "store.json").exists():
                write_text(folder / "store.json", json.dumps({"format": _FORMAT}))
            _check_format(folder)

    def __contains__(self, key: str) -> bool:
        return self.find(key) is not None

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> list[str]:
        """Return all keys, sorted; lists the folder."""
        return sorted(path.stem for path in self.folder.glob(f"{'?' * _PART}/*{_SUFFIX}"))

    def find(self, key: str) -> StoredUtterance | None:
        """Describe an utterance by the header of its file.

        Returns:
            The description; None if the file is absent, cut short or without a readable header,
            so that it has to be extracted.
        """
        try:
            with self._open(key) as file:
                size = os.fstat(file.fileno()).st_size
                header = _Header.parse(file.read(_HEADER_BYTES))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(key, error) from None
        if header is None or header.size != size:
            return None
        try:
            return StoredUtterance(AudioFacts(**json.loads(header.facts)), header.shape[0])
        except (ValueError, TypeError):
            return None

    def get(self, key: str) -> np.ndarray:
        """Return the frames of an utterance.

        The file is read, not mapped: that is as fast at the size of an utterance, and a process
        whose mapped file disappears from a network disk dies of SIGBUS.

        Returns:
            float32 (frames, features).

        Raises:
            KeyError: The store does not have ``key``.
            SercliError: The file is damaged.
        """
        data = self._read(key)
        header = _Header.parse(data)
        if problem := _damage(header, data):
            raise SercliError(
                f"the feature store {self.folder} is damaged: the frames of {key[:12]}… are "
                f"{problem}; `sercli extract --verify` lists all damaged frames"
            )
        assert header is not None
        return header.frames(data)

    def damage(self, key: str) -> str | None:
        """Read the frames of ``key`` and return what is wrong with them; None if they are sound.

        Raises:
            KeyError: The store does not have ``key``.
        """
        data = self._read(key)
        header = _Header.parse(data)
        if problem := _damage(header, data):
            return problem
        assert header is not None
        return _not_trainable(header.frames(data))

    def size(self, key: str) -> int:
        """Return the bytes of the file of ``key``; 0 if it is absent."""
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return 0

    def put(self, entry: Entry) -> None:
        """Write an utterance, in place of a file of the same key.

        The file is not forced to the disk, which takes as long as extraction. A power cut may cut
        short files of the last seconds; `find` does not find these, so they are extracted again.

        Raises:
            SercliError: The disk is full or fails.
        """
        data = _encode(entry)
        remedy = "everything written before stays: make room and run the command again"
        with self._explained("written", remedy):
            write_atomically(self._path(entry.key), lambda path: path.write_bytes(data), sync=False)

    def move(self, keys: Iterable[str], other: FeatureStore) -> None:
        """Move utterances to another store on the same disk; absent ones are passed over."""
        with self._explained("written", "set paths.store to a folder that can be written"):
            for key in keys:
                path = other._path(key)
                path.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):
                    self._path(key).replace(path)

    def _path(self, key: str) -> Path:
        return self.folder / key[:_PART] / f"{key}{_SUFFIX}"

    def _open(self, key: str) -> FileIO:
        """Open the file of a key; without pathlib, which takes half as long as reading it."""
        return open(f"{self._root}/{key[:_PART]}/{key}{_SUFFIX}", "rb", buffering=0)  # noqa: PTH123

    def _read(self, key: str) -> bytearray:
        try:
            with self._open(key) as file:
                data = bytearray(os.fstat(file.fileno()).st_size)
                del data[file.readinto(data) :]
                return data
        except FileNotFoundError:
            raise KeyError(key) from None
        except OSError as error:
            raise self._unreadable(key, error) from None

    def _unreadable(self, key: str, error: OSError) -> SercliError:
        return SercliError(
            f"the feature store {self.folder} cannot be read: {error.strerror} (frames {key[:12]}…)"
        )

    @contextmanager
    def _explained(self, action: str, remedy: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SercliError(
                f"the feature store {self.folder} cannot be {action}: {error.strerror}; {remedy}"
            ) from None


def damaged_keys(store: FeatureStore, progress: Progress = SILENT) -> Iterator[tuple[str, str]]:
    """Read all frames, and yield the keys of damaged ones with the problem."""
    keys = store.keys()
    with progress.task("reading the store", total=len(keys)) as bar:
        for key in keys:
            with suppress(KeyError):  # removed meanwhile
                if problem := store.damage(key):
                    yield key, problem
            bar.advance()


def _check_format(folder: Path) -> None:
    try:
        found = json.loads((folder / "store.json").read_text(encoding="utf-8"))["format"]
    except (ValueError, TypeError, LookupError):
        found = "unknown"
    if found != _FORMAT:
        raise SercliError(
            f"the feature store {folder} cannot be opened: its format, {found}, is not {_FORMAT}; "
            "set paths.store to another folder"
        )


@dataclass(frozen=True)
class _Header:
    """The header of a file.

    Attributes:
        facts: The facts of the audio, as JSON.
        shape: Frames and features.
        crc32: Checksum of facts, shape and frames.
        offset: Bytes before the frames.
    """

    facts: str
    shape: tuple[int, int]
    crc32: int
    offset: int

    @classmethod
    def parse(cls, data: bytes | bytearray) -> _Header | None:
        """Read the header at the beginning of a file; None if it is none."""
        offset = 8 + int.from_bytes(data[:8], "little")
        try:
            header = json.loads(data[8:offset])
            frames, features = header["frames"]["shape"]
            described = header["__metadata__"]
            return cls(
                described["facts"], (int(frames), int(features)), int(described["crc32"]), offset
            )
        except (ValueError, TypeError, LookupError, OverflowError):
            return None

    @property
    def size(self) -> int:
        """The bytes of the whole file."""
        return self.offset + 4 * self.shape[0] * self.shape[1]

    def frames(self, data: bytearray) -> np.ndarray:
        """Return the frames as a view of ``data``."""
        return np.frombuffer(data, "<f4", offset=self.offset).reshape(self.shape)


def _encode(entry: Entry) -> bytes:
    frames = np.ascontiguousarray(entry.frames, np.float32)
    facts = json.dumps(asdict(entry.facts))
    metadata = {"facts": facts, "crc32": str(_checksum(facts, frames.shape, frames.tobytes()))}
    return safetensors.numpy.save({"frames": frames}, metadata)


def _checksum(facts: str, shape: tuple[int, ...], frames: bytes | memoryview) -> int:
    return zlib.crc32(frames, zlib.crc32(f"{facts} {shape}".encode()))


def _damage(header: _Header | None, data: bytearray) -> str | None:
    if header is None:
        return "without a readable description"
    if len(data) != header.size:
        return f"truncated: {len(data)} of {header.size} bytes"
    if _checksum(header.facts, header.shape, memoryview(data)[header.offset :]) != header.crc32:
        return "not what was written (the checksum differs)"
    return None


def _not_trainable(frames: np.ndarray) -> str | None:
    if not frames.size:
        return f"of shape {frames.shape}"
    bad = int((~np.isfinite(frames).all(axis=1)).sum())
    return f"NaN or infinite in {bad} of {len(frames)} frames" if bad else None
