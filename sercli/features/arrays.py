"""Features that another program computed: one array in NumPy's format per utterance."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, ClassVar

import numpy as np

from sercli.errors import RequestError
from sercli.features.audio import AudioError
from sercli.features.windows import check_positive
from sercli.files import absolute

_SUFFIX = ".npy"

_SLACK = 3
"""Frames by which a length may differ, for windows at the ends (our choice)."""

_TOLERANCE = 0.02
"""Share of the expected length by which it may differ in addition (our choice)."""


@dataclass(frozen=True)
class ArraySet:
    """The arrays of a folder, ``<utterance>.npy`` each, of shape (frames, features).

    The content of a file is part of its key in the store. An utterance id with slashes names a
    subfolder.

    Attributes:
        name: The name in the configuration and in tables.
        level: ``lld``, or ``functionals``: arrays of one row, neither cut nor pooled.
        path: The folder.
        rate: Frames per second, against which the length of the audio is checked; None: unknown.
    """

    library: ClassVar[str] = "numpy"

    name: str
    level: str
    path: str
    rate: float | None

    def __post_init__(self) -> None:
        if self.level not in ("lld", "functionals"):
            raise RequestError(
                f"features.level={self.level}: arrays are lld (a row per frame) or functionals "
                "(one row)"
            )
        if not Path(self.path).is_dir():
            raise RequestError(f"features.path={self.path}: no such folder")
        if self.rate is not None:
            check_positive(rate=self.rate)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the settings; the content of each array enters the key of its utterance."""
        return hashlib.sha256(repr((self.name, self.level)).encode()).hexdigest()

    @cached_property
    def columns(self) -> int:
        """The number of features: that of the first file by name.

        Raises:
            RequestError: The folder has no array.
        """
        first = min(Path(self.path).rglob(f"*{_SUFFIX}"), default=None)
        if first is None:
            raise RequestError(
                f"features.path={self.path}: it holds no {_SUFFIX} files; write one per utterance, "
                f"<utterance>{_SUFFIX}"
            )
        try:
            with first.open("rb") as file:
                return _shape(file)[1]
        except (OSError, AudioError) as error:
            raise RequestError(f"features.path={self.path}: {first.name}: {error}") from None

    def extractor(self, sampling_rate: int) -> ArrayReader:
        """Return the reader of the arrays, whatever the sampling rate of the audio."""
        return ArrayReader(self)

    def array(self, utterance: str) -> Path:
        """Return the path of the array of an utterance.

        Raises:
            AudioError: There is none, or its name leads out of the folder.
        """
        folder = Path(self.path).resolve()
        path = folder / f"{utterance}{_SUFFIX}"
        if not path.resolve().is_relative_to(folder):
            raise AudioError(f"its array is not below features.path={self.path}")
        if not path.is_file():
            raise AudioError(f"no array {utterance}{_SUFFIX} in features.path={self.path}")
        return path


def arrays(name: str, level: str, path: str | None, rate: float | None = None) -> ArraySet:
    """Return the set of the arrays of a folder.

    Args:
        name: ``features.name``.
        level: ``features.level``.
        path: ``features.path``, the folder.
        rate: Frames per second; None: unknown, so that lengths are not checked.

    Raises:
        RequestError: There is no such folder, or the level or the rate is invalid.
    """
    if path is None:
        raise RequestError(
            f"features={name} needs a folder with one <utterance>{_SUFFIX} per utterance: add "
            "features.path=FOLDER"
        )
    return ArraySet(name, level, str(absolute(path)), rate)


class ArrayReader:
    """Read the arrays of utterances.

    Args:
        features: The feature set.

    Attributes:
        names: Column names, in order.

    Raises:
        RequestError: The folder has no array.
    """

    def __init__(self, features: ArraySet) -> None:
        self._features = features
        self.names = tuple(f"{features.name}[{each}]" for each in range(features.columns))

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Refuse a recording: arrays come from another program.

        Raises:
            AudioError: Always.
        """
        raise AudioError("features=arrays are read from files, not computed from audio")

    def read(self, path: Path, seconds: float) -> np.ndarray:
        """Return an array.

        Args:
            path: Its file.
            seconds: Duration of the audio.

        Returns:
            float32 (frames, features).

        Raises:
            AudioError: The file is no array of numbers, its width differs from the others', it has
                NaN or infinite values, or its length does not fit the audio.
        """
        try:
            with path.open("rb") as file:
                frames, width = _shape(file)
            if width != len(self.names):
                raise AudioError(f"{path.name} has {width} features, others {len(self.names)}")
            found = np.load(path, mmap_mode="r", allow_pickle=False)
            values: np.ndarray = np.asarray(found, np.float32)
        except (OSError, ValueError) as error:
            raise AudioError(f"{path.name} cannot be read: {error}") from None
        if not np.isfinite(values).all():
            raise AudioError(f"{path.name} has NaN or infinite values")
        self._check_length(path.name, frames, seconds)
        return values

    def _check_length(self, name: str, frames: int, seconds: float) -> None:
        if self._features.level == "functionals" and frames != 1:
            raise AudioError(f"{name} has {frames} rows, and features.level=functionals has one")
        if self._features.rate is None or self._features.level == "functionals":
            return
        expected = self._features.rate * seconds
        if abs(frames - expected) > _SLACK + _TOLERANCE * expected:
            raise AudioError(
                f"{name} has {frames} frames; {seconds:.2f} s of audio at "
                f"{self._features.rate:g} frames per second have about {expected:.0f}"
            )


def _shape(file: BinaryIO) -> tuple[int, int]:
    """Return the shape that the header of an array states, checked against the file's size.

    Raises:
        AudioError: It is not an array of numbers with two axes.
    """
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        shape, _, dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(file)
    except Exception as error:  # NumPy parses the header as Python's literals, with any error
        raise AudioError(f"is no array in NumPy's format: {error}") from None
    if dtype.kind not in "fiu" or len(shape) != 2 or 0 in shape:
        raise AudioError(f"has the shape {shape} of {dtype}; must be numbers (frames, features)")
    begin, end = file.tell(), file.seek(0, 2)
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise AudioError("is truncated")
    return shape[0], shape[1]
