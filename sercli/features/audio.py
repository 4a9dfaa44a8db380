"""Read an audio file, or a segment of one, or say why it cannot be used.

Corpora hold files that are empty, cut off, silent or no audio at all. Libraries read some of
these without a word, and a model would then be trained on nothing; so each is looked for here.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import audiofile
import audresample
import numpy as np

SHORTEST = 0.06
"""Seconds of the longest analysis frame (F0 in iaan45); less audio than this has no frame."""

_LFS_POINTER = b"version https://git-lfs"

_UNKNOWN_SIZE = 0x7FFFF000
"""Programs that write WAV into a pipe give a size from here up, as they cannot know it yet."""


class AudioError(Exception):
    """The audio cannot be used; the message is the reason."""


def check_file(path: Path) -> None:
    """Refuse a path at which no audio can be.

    Raises:
        AudioError: The file is missing, unreadable, empty or a Git LFS pointer.
    """
    try:
        with path.open("rb") as file:
            first = file.read(len(_LFS_POINTER))
    except FileNotFoundError:
        raise AudioError("no such file") from None
    except OSError as error:
        raise AudioError(f"cannot be opened: {error.strerror}") from None
    if not first:
        raise AudioError("empty file (0 bytes)")
    if first == _LFS_POINTER:
        raise AudioError("a Git LFS pointer instead of audio; fetch it with `git lfs pull`")


def read_audio(path: Path, start: float, end: float, sampling_rate: int) -> np.ndarray:
    """Read audio as one channel at one sampling rate.

    Channels are averaged. Any format of libsndfile is read (WAV of every bit depth, FLAC, Ogg,
    MP3); others need ffmpeg on the machine.

    Args:
        path: The audio file.
        start: Seconds into the file; NaN: from its beginning.
        end: Seconds into the file; NaN: to its end.
        sampling_rate: Hz of the result.

    Returns:
        float32 (samples,), nominally within [−1, 1].

    Raises:
        AudioError: The file or the segment is missing, not audio, truncated, silent, shorter
            than `SHORTEST`, or holds samples that are no numbers.
    """
    check_file(path)
    channels, rate = _decode(path, start, end)
    _check_complete(path, start, end, channels.shape[1] / rate)
    _check_samples(channels, rate)
    mono = channels.mean(axis=0, keepdims=True)
    if np.ptp(mono) == 0:
        raise AudioError("silent: all samples have the same value")
    resampled: np.ndarray = audresample.resample(mono, rate, sampling_rate)[0]
    return resampled


def _decode(path: Path, start: float, end: float) -> tuple[np.ndarray, int]:
    offset = 0.0 if math.isnan(start) else start
    duration = None if math.isnan(end) else end - offset
    if offset < 0 or (duration is not None and duration <= 0):
        raise AudioError(f"the segment from {offset:g} to {end:g} s is no stretch of time")
    try:
        channels, rate = audiofile.read(
            str(path), duration=duration, offset=offset, always_2d=True, dtype="float32"
        )
    except FileNotFoundError:  # of a program, not of the audio: check_file has opened that
        raise AudioError(f"{path.suffix or 'this format'} is read by ffmpeg only") from None
    except (RuntimeError, OSError) as error:
        said = str(error).strip().partition("\n")[0]
        raise AudioError(f"not audio, or damaged: {said}") from None
    return channels, rate


def _check_complete(path: Path, start: float, end: float, seconds: float) -> None:
    if not math.isnan(end):
        promised = end - (0.0 if math.isnan(start) else start)
        if seconds < promised - SHORTEST:  # our tolerance for labels that round upwards
            raise AudioError(f"the segment ends {promised - seconds:.2f} s after the audio")
        return
    held, promised = _wav_bytes(path)
    if held < promised and seconds * (promised - held) >= SHORTEST * held:
        raise AudioError(f"truncated: {held} of {promised} bytes of audio are there")


def _wav_bytes(path: Path) -> tuple[int, int]:
    """Compare a WAV file with its header, because libsndfile reads what is there and says nothing.

    Returns:
        Bytes of audio in the file, and as the header has it; (0, 0) for other formats.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return 0, 0
        file.seek(12)
        while len(header := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", header)
            if name == b"data":
                held = min(length, size - file.tell())
                return held, held if length >= _UNKNOWN_SIZE else length
            file.seek(length + length % 2, 1)
    return 0, 0


def _check_samples(channels: np.ndarray, rate: int) -> None:
    seconds = channels.shape[1] / rate
    if seconds < SHORTEST:
        raise AudioError(
            f"{1000 * seconds:.0f} ms long, shorter than one frame ({1000 * SHORTEST:.0f} ms)"
        )
    if not np.isfinite(channels).all():
        raise AudioError("samples that are NaN or infinite")
