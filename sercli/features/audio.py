"""Decode and check an audio file, or a segment of one.

Corpora contain files that are empty, truncated, silent or not audio at all. Libraries read some of
these without an error, and a model would then be trained on nothing, so all are refused here.
"""

from __future__ import annotations

import functools
import hashlib
import io
import math
import stat
from pathlib import Path
from typing import Protocol

import audiofile
import audresample
import numpy as np
import soundfile

from sercli.corpora.audio_stats import AudioFacts
from sercli.errors import counted
from sercli.features.completeness import LIBSNDFILE, truncation

SHORTEST = 0.06
"""Seconds of the longest analysis frame (F0 in iaan45); shorter audio has no frame."""

FULL_SCALE = 127 / 128
"""Absolute samples from here up count as clipped: the largest that 8 bits hold (our choice)."""

_KNOWN_SUFFIXES = frozenset({".flac", ".mp3", ".ogg", ".wav"})
"""audiofile decodes these by their content; for others it trusts the suffix and calls ffmpeg."""

_LFS_POINTER = b"version https://git-lfs"

_MOST_SAMPLES = 2**30
"""Samples of all channels: 4 GiB, 18 h of mono at 16 kHz, 3 h of stereo at 48 kHz (our choice)."""

_CANCELLED = 0.01
"""RMS of the mean relative to the channels' own below which they cancel: −40 dB (our choice)."""


class AudioError(Exception):
    """The audio cannot be used; the message is the reason."""


class SilentError(AudioError):
    """All samples of the audio have the same value."""


class Change(Protocol):
    """A change of a signal before extraction.

    Attributes:
        digest: Hash of everything that the change depends on, except the signal.
    """

    @property
    def digest(self) -> str: ...

    def __call__(
        self, signal: np.ndarray, sampling_rate: int, random: np.random.Generator
    ) -> np.ndarray:
        """Return the changed signal, float32 (samples,).

        Args:
            signal: (samples,).
            sampling_rate: In Hz.
            random: Random generator, seeded by the key of the copy.

        Raises:
            AudioError: The signal cannot be changed.
        """


def check_file(path: Path) -> None:
    """Refuse a path that cannot hold audio.

    Raises:
        AudioError: The path is missing, not a regular file, unreadable, empty or a Git LFS pointer.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for ever
            raise AudioError("no file but a directory, a pipe or a device")
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


def expected_seconds(audio: str, start: float, end: float) -> float:
    """Return the duration by the header of the file; 0 if it does not say."""
    begin = 0.0 if math.isnan(start) else start
    if math.isnan(end):
        if Path(audio).suffix.lower() not in _KNOWN_SUFFIXES:
            return 0.0
        try:
            end = audiofile.duration(audio)
        except Exception:  # of a decoder; the extraction will state the reason
            return 0.0
    return max(0.0, end - begin)


def read_audio(path: Path, start: float, end: float, sampling_rate: int) -> np.ndarray:
    """Read audio as one channel at one sampling rate; `load_audio` without the facts."""
    return load_audio(path, start, end, sampling_rate)[0]


def load_audio(
    path: Path, start: float, end: float, sampling_rate: int
) -> tuple[np.ndarray, AudioFacts]:
    """Read audio as one channel at one sampling rate, with the facts of the original.

    Channels are averaged. All formats of libsndfile are read (WAV of every bit depth, FLAC, Ogg,
    MP3, AIFF), whatever the suffix; others need ffmpeg on the machine.

    Args:
        path: The audio file.
        start: Seconds into the file; NaN: its beginning.
        end: Seconds into the file; NaN: its end.
        sampling_rate: Sampling rate of the result, in Hz.

    Returns:
        float32 (samples,), nominally within [−1, 1]; and the facts.

    Raises:
        AudioError: The file or the segment is missing, not audio, truncated, silent, shorter
            than `SHORTEST`, or contains samples that are not finite.

    Example:
        >>> import tempfile
        >>> import soundfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.wav")
        ...     soundfile.write(path, 0.5 * np.sin(np.arange(4800)), 48000)
        ...     signal, facts = load_audio(path, math.nan, math.nan, 16000)
        >>> signal.shape, facts.seconds, facts.sampling_rate
        ((1600,), 0.1, 48000)
    """
    check_file(path)
    channels, rate = _decode(path, start, end)
    _check_complete(path, start, end, channels.shape[1] / rate)
    _check_samples(channels, rate)
    with np.errstate(over="ignore", invalid="ignore"):
        mono = channels.mean(axis=0, keepdims=True)
        if len(channels) > 1 and mono.std() < _CANCELLED * channels.std(axis=1).max():
            raise AudioError(
                "silent: the channels cancel each other in their mean; one is inverted"
            )
    if np.ptp(mono) == 0:
        raise SilentError("silent: all samples have the same value")
    try:
        resampled: np.ndarray = audresample.resample(mono, rate, sampling_rate)[0]
    except (RuntimeError, ValueError) as error:
        raise AudioError(f"cannot be resampled from {rate} Hz: {error}") from None
    _check_finite(resampled)  # sums of enormous floats overflow
    return resampled, _facts(channels, rate)


def _facts(channels: np.ndarray, rate: int) -> AudioFacts:
    samples = np.ascontiguousarray(channels)
    clipped = np.count_nonzero((samples >= FULL_SCALE) | (samples <= -FULL_SCALE))
    return AudioFacts(
        seconds=channels.shape[1] / rate,
        sampling_rate=rate,
        channels=len(channels),
        peak=float(max(samples.max(), -samples.min())),
        clipped_share=float(clipped / samples.size),
        content=hashlib.sha256(f"{rate} {samples.shape}".encode() + samples.data).hexdigest(),
    )


def _decode(path: Path, start: float, end: float) -> tuple[np.ndarray, int]:
    offset = 0.0 if math.isnan(start) else start
    duration = None if math.isnan(end) else end - offset
    if offset < 0 or (duration is not None and duration <= 0):
        raise AudioError(f"the segment from {offset:g} to {end:g} s is empty or begins before 0")
    _check_size(path, duration)
    try:
        channels, rate = _read_part(path, offset, duration)
    except FileNotFoundError:  # of a program, not of the audio: check_file has opened that
        with path.open("rb") as file:
            if file.read(4) in LIBSNDFILE:
                raise AudioError("not audio, or damaged: libsndfile cannot decode it") from None
        raise AudioError(f"{path.suffix or 'this format'} is read by ffmpeg only") from None
    except MemoryError:
        raise AudioError("longer than the memory of this machine, or damaged") from None
    except Exception as error:  # decoders raise any type; the other files go on
        message = str(error).strip().partition("\n")[0] or type(error).__name__
        raise AudioError(f"not audio, or damaged: {message}") from None
    return channels, rate


def _check_size(path: Path, duration: float | None) -> None:
    """Refuse audio that the memory cannot hold, before any is allocated.

    A small file can declare, and even contain, years of silence.
    """
    try:
        header = soundfile.info(str(path))
    except Exception:  # a format of ffmpeg, or damaged: decoding will tell
        return
    frames = header.frames if duration is None else min(header.frames, duration * header.samplerate)
    if not 0 <= frames * header.channels <= _MOST_SAMPLES:
        raise AudioError(
            f"{frames / header.samplerate / 3600:.1f} h in {counted(header.channels, 'channel')} "
            "is too long, or damaged; cut it into segments"
        )


def _read_part(path: Path, offset: float, duration: float | None) -> tuple[np.ndarray, int]:
    try:
        return _read(path, offset, duration)
    except ValueError:  # libsndfile cannot seek in it, as in WAV of telephones (GSM 6.10)
        channels, rate = _read(path, 0.0, None)
        begin = round(offset * rate)
        end = None if duration is None else begin + round(duration * rate)
        return channels[:, begin:end], rate


class _Content(io.BytesIO):
    """Bytes in which libsndfile seeks: in its callback, an exception would be printed."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


def _read(path: Path, offset: float, duration: float | None) -> tuple[np.ndarray, int]:
    read = functools.partial(
        audiofile.read, offset=offset, duration=duration, always_2d=True, dtype="float32"
    )
    if path.suffix.lower() not in _KNOWN_SUFFIXES:
        try:
            return read(_Content(path.read_bytes()))  # type: ignore[no-any-return]
        except RuntimeError:
            pass  # libsndfile does not know the format; ffmpeg may
    return read(str(path))  # type: ignore[no-any-return]


def _check_complete(path: Path, start: float, end: float, seconds: float) -> None:
    if not math.isnan(end):
        expected = end - (0.0 if math.isnan(start) else start)
        if seconds < expected - SHORTEST:  # our tolerance for labels that round upwards
            raise AudioError(f"the segment ends {expected - seconds:.2f} s after the audio")
        return
    if reason := truncation(path, seconds, SHORTEST):
        raise AudioError(reason)


def _check_samples(channels: np.ndarray, rate: int) -> None:
    seconds = channels.shape[1] / rate
    if seconds < SHORTEST:
        raise AudioError(
            f"{1000 * seconds:.0f} ms long, shorter than one frame ({1000 * SHORTEST:.0f} ms)"
        )
    _check_finite(channels)


def _check_finite(samples: np.ndarray) -> None:
    if not np.isfinite(samples).all():
        raise AudioError("samples that are NaN or infinite")
