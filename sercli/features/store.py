"""The feature store: one immutable file per utterance, named by its key.

The folder of a store holds::

    store.json              its format
    ab/ab….safetensors      the frames of one utterance, and the facts of its audio; or the steps
                            of one transcript
    uses/….json             which corpus uses which keys (`sercli.features.store_uses`)
    known/….json            what was read of a corpus's files (`sercli.features.known`)
    statistics/…            means and deviations of speakers (`sercli.features.load`)

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
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy

from sercli.corpora.audio_stats import AudioFacts
from sercli.errors import SercliError
from sercli.features.known import KnownFiles
from sercli.features.text import TextFacts
from sercli.files import write_atomically, write_text
from sercli.progress import SILENT, Progress
from sercli.untrusted import parse_json, read_json

_FORMAT = 2
"""1 was an LMDB environment."""

_SUFFIX = ".safetensors"

_PART = 2
"""Letters of a key that name its subfolder: 256 of them, as one of 10⁵ files is slow to list."""

_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}
"""Type of the values in a header → that of NumPy."""

_HEADER_BYTES = 4096
"""Read to describe an utterance; a header is a tenth of that."""


@dataclass(frozen=True)
class StoredUtterance:
    """The description of an utterance in the store.

    Attributes:
        facts: The facts of its audio.
        frames: Number of frames.
    """

    facts: AudioFacts
    frames: int


@dataclass(frozen=True)
class StoredText:
    """The description of a transcript in the store.

    Attributes:
        facts: The facts of the transcript.
        steps: Number of steps.
    """

    facts: TextFacts
    steps: int


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
        >>> store.put("ab12", np.ones((2, 3)), facts)
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
        with self._explained("opened", "set paths.store to a writable folder"):
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

    def find(self, key: str, known: KnownFiles | None = None) -> StoredUtterance | None:
        """Return the description of an utterance, from the header of its file.

        Args:
            key: The key.
            known: Descriptions of files that have not changed since; None: the file is opened.

        Returns:
            The description; None if the file is absent, cut short or without a readable header,
            so that it has to be extracted.
        """
        try:
            facts, frames = self._described(key, known)
            return StoredUtterance(AudioFacts(**facts), int(frames))
        except (ValueError, TypeError):
            return None

    def find_text(self, key: str, known: KnownFiles | None = None) -> StoredText | None:
        """Return the description of a transcript; see `find`."""
        try:
            facts, steps = self._described(key, known)
            return StoredText(TextFacts(**facts), int(steps))
        except (ValueError, TypeError):
            return None

    def _described(self, key: str, known: KnownFiles | None) -> Any:
        describe = partial(self._describe, key)
        return describe() if known is None else known.get(self._name(key), describe)

    def _describe(self, key: str) -> Any:
        """Read the facts of the audio and the number of frames in a header; None without one."""
        try:
            data, size = self._read(key, _HEADER_BYTES)
            header = _parse_header(data)
            if header is None or header.size != size:
                return None
            return parse_json(header.facts), header.shape[0]
        except (KeyError, ValueError):
            return None

    def get(self, key: str) -> np.ndarray:
        """Return the frames of an utterance; see `get_stored`.

        Returns:
            float32 (frames, features).
        """
        return self.get_stored(key).astype(np.float32, copy=False)

    def get_stored(self, key: str) -> np.ndarray:
        """Return the frames of an utterance, in the dtype of the file.

        The file is read, not mapped: that is as fast at the size of an utterance, and a process
        whose mapped file disappears from a network disk dies of SIGBUS.

        Returns:
            float32 or float16 (frames, features).

        Raises:
            KeyError: The store does not have ``key``.
            SercliError: The file is damaged.
        """
        frames = _decode(self._read(key)[0])
        if isinstance(frames, str):
            raise SercliError(
                f"the feature store {self.folder} is damaged: the frames of {key[:12]}… are "
                f"{frames}; `sercli extract --verify` lists all damaged frames"
            )
        return frames

    def damage(self, key: str) -> str | None:
        """Read the frames of ``key`` and return their fault; None if they are sound.

        Raises:
            KeyError: The store does not have ``key``.
        """
        frames = _decode(self._read(key)[0])
        if isinstance(frames, str):
            return frames
        if not frames.size:
            return f"of shape {frames.shape}"
        bad = int((~np.isfinite(frames).all(axis=1)).sum())
        return f"NaN or infinite in {bad} of {len(frames)} frames" if bad else None

    def put(self, key: str, frames: np.ndarray, facts: AudioFacts | TextFacts) -> None:
        """Write an utterance, in place of a file of the same key.

        The file is not forced to the disk, which takes as long as extraction. A power cut may cut
        short files of the last seconds; `find` does not find these, so they are extracted again.

        Args:
            key: The key (`sercli.features.plan.utterance_key`).
            frames: (frames, features); float16 is kept, other types are stored as float32.
            facts: The facts of the audio, or of the transcript.

        Raises:
            SercliError: The disk is full or fails.
        """
        data = _encode(frames, facts)
        remedy = "everything written before stays: make room and run the command again"
        with self._explained("written", remedy):
            write_atomically(self._path(key), lambda path: path.write_bytes(data), sync=False)

    def move(self, keys: Iterable[str], other: FeatureStore) -> None:
        """Move utterances to another store on the same disk; absent ones are passed over."""
        with self._explained("written", "set paths.store to a writable folder"):
            for key in keys:
                path = other._path(key)
                path.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):
                    self._path(key).replace(path)

    def _path(self, key: str) -> Path:
        return Path(self._name(key))

    def _name(self, key: str) -> str:
        return f"{self._root}/{key[:_PART]}/{key}{_SUFFIX}"

    def _read(self, key: str, most: int | None = None) -> tuple[bytearray, int]:
        """Return the bytes of a file, or the first ``most`` of them, and its size."""
        try:
            # pathlib would take half as long as reading
            with open(self._name(key), "rb", buffering=0) as file:  # noqa: PTH123
                size = os.fstat(file.fileno()).st_size
                data = bytearray(size if most is None else min(size, most))
                del data[file.readinto(data) :]
                return data, size
        except FileNotFoundError:
            raise KeyError(key) from None
        except OSError as error:
            raise SercliError(
                f"the feature store {self.folder} cannot be read: {error.strerror} "
                f"(frames {key[:12]}…)"
            ) from None

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
        found = read_json(folder / "store.json")["format"]
    except (ValueError, TypeError, LookupError):
        found = "unknown"
    if found != _FORMAT:
        raise SercliError(
            f"the feature store {folder} cannot be opened: its format, {found}, is not {_FORMAT}; "
            "set paths.store to another folder"
        )


def _encode(frames: np.ndarray, facts: AudioFacts | TextFacts) -> bytes:
    kept = np.float16 if frames.dtype == np.float16 else np.float32
    frames = np.ascontiguousarray(frames, kept)
    text = json.dumps(asdict(facts))
    return safetensors.numpy.save(
        {"frames": frames}, {"facts": text, "crc32": str(_checksum(text, frames))}
    )


def _decode(data: bytearray) -> np.ndarray | str:
    """Return the frames in a file, as a view of its bytes; or their fault."""
    header = _parse_header(data)
    if header is None:
        return "without a readable description"
    if len(data) != header.size:
        return f"truncated: {len(data)} of {header.size} bytes"
    frames = np.frombuffer(data, header.dtype, offset=header.offset).reshape(header.shape)
    if _checksum(header.facts, frames) != header.crc32:
        return "not what was written (the checksum differs)"
    return frames


def _checksum(facts: str, frames: np.ndarray) -> int:
    return zlib.crc32(frames.data, zlib.crc32(f"{facts} {frames.shape}".encode()))


class _Header(NamedTuple):
    """The header of a file.

    Attributes:
        facts: The facts of the audio, as JSON.
        shape: Frames and features.
        dtype: Type of a value.
        crc32: Checksum of facts, shape and frames.
        offset: Bytes before the frames.
        size: Bytes of the whole file.
    """

    facts: str
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    crc32: int
    offset: int
    size: int


def _parse_header(data: bytearray) -> _Header | None:
    """Read the header at the beginning of a file; None if there is none."""
    offset = 8 + int.from_bytes(data[:8], "little")
    try:
        header = parse_json(data[8:offset])
        frames, features = map(int, header["frames"]["shape"])
        dtype = _DTYPES[header["frames"]["dtype"]]
        described = header["__metadata__"]
        facts, crc32 = str(described["facts"]), int(described["crc32"])
    except (ValueError, TypeError, LookupError, OverflowError):
        return None
    if frames < 0 or features < 0:
        return None
    size = offset + dtype.itemsize * frames * features
    return _Header(facts, (frames, features), dtype, crc32, offset, size)
