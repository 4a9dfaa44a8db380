"""Find the recordings to classify, and cut long ones into windows."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sercli.corpora.audio_files import find_audio, is_utf8
from sercli.corpora.manifest import Manifest, Refusal, Row, build_manifest
from sercli.corpora.readers.manifest import is_table, read_unlabelled
from sercli.errors import RequestError
from sercli.features.audio import AudioError, check_file, expected_seconds, load_audio
from sercli.inference.speech import check_detector, speech_segments
from sercli.progress import SILENT, Progress

STANDARD_INPUT = "-"

VAD = "vad"
"""Segments of speech, found by a voice-activity detector."""

NO_SPEAKER = "?"
"""The speaker of recordings without one."""

_DATASET = "recordings"
_UNLABELLED = "?"

_SHORTEST = 0.5
"""Seconds of a last window below which it is part of the window before (our choice)."""


@dataclass(frozen=True)
class Recordings:
    """Recordings to classify.

    Attributes:
        manifest: One row per utterance or window, all of them targets.
        speakers: True if every recording has a speaker.
        dialogues: True if every recording has a dialogue.
    """

    manifest: Manifest
    speakers: bool
    dialogues: bool


def find_recordings(
    audio: Sequence[str | Path],
    classes: Sequence[str],
    temporary: Path,
    *,
    segment: float | str | None = None,
    progress: Progress = SILENT,
) -> Recordings:
    """Find the recordings of files, folders, tables and standard input.

    Args:
        audio: Audio files, folders (all audio below them) and tables of recordings
            (`sercli.corpora.readers.manifest.read_unlabelled`). A file that is named twice counts
            once. ``-`` is standard input: one audio file, or the paths of several, one per line.
        classes: The classes, for the manifest.
        temporary: Folder for the audio of standard input.
        segment: Length of the windows that recordings are cut into, in seconds; ``vad``: segments
            of speech (`sercli.inference.speech`); None: whole.
        progress: Notes about tables.

    Raises:
        RequestError: A folder holds no audio, a table cannot be read, nothing can be used, or the
            detector of speech is not installed.

    >>> import tempfile
    >>> import numpy as np
    >>> import soundfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/a.wav", np.zeros(16000 * 25), 16000)
    ...     found = find_recordings([folder], ["anger", "neutral"], Path(folder), segment=10.0)
    >>> found.manifest.table["audio_start"].tolist()
    [0.0, 10.0, 20.0]
    """
    refused: list[Refusal] = []
    rows: list[Row] = []
    for name in audio:
        if str(name) == STANDARD_INPUT:
            rows += _read_standard_input(temporary, refused, progress)
        else:
            rows += _rows(Path(name), refused, progress)
    if not rows and not refused:
        raise RequestError(f"no recording in {', '.join(map(str, audio)) or 'nothing'}")
    speakers = all(row.get("speaker") for row in rows)
    dialogues = all(row.get("dialogue") for row in rows)
    for row in rows:
        row["emotion"] = _UNLABELLED
        row["speaker"] = row.get("speaker") or NO_SPEAKER
    if segment is not None:
        rows = _segments(rows, segment, refused, progress)
    unique = {row["utterance"]: row for row in reversed(rows)}
    manifest = build_manifest(
        _DATASET, reversed(unique.values()), {_UNLABELLED: _UNLABELLED}, refused
    )
    return Recordings(replace(manifest, classes=tuple(classes)), speakers, dialogues)


def shortened(recordings: Recordings, seconds: float) -> Recordings:
    """Limit whole recordings to their first ``seconds``."""
    table = recordings.manifest.table
    stretches = zip(
        table["audio"].tolist(),
        table["audio_start"].fillna(0.0).tolist(),
        table["audio_end"].tolist(),
        strict=True,
    )
    ends = [
        start + seconds if math.isnan(end) and _seconds(audio) > start + seconds else end
        for audio, start, end in stretches
    ]
    shorter = replace(recordings.manifest, table=table.assign(audio_end=ends))
    return replace(recordings, manifest=shorter)


def _rows(path: Path, refused: list[Refusal], progress: Progress) -> Iterator[Row]:
    if path.is_dir():
        found = find_audio(path, refused)
        if not found:
            raise RequestError(f"{path}: holds no audio (.wav, .flac, .mp3, .ogg, …)")
        yield from (_whole(file) for file in found)
    elif is_table(path):
        rows, lines = read_unlabelled(path, progress)
        refused += lines
        yield from map(_named, rows)
    elif not is_utf8(path):
        refused.append(Refusal(repr(str(path)), "its name is not UTF-8; rename it"))
    else:
        yield _whole(path)


def _whole(file: Path, name: str | None = None) -> Row:
    return {"utterance": name or str(file), "audio": str(file)}


def _read_standard_input(
    temporary: Path, refused: list[Refusal], progress: Progress
) -> Iterator[Row]:
    """Read standard input: an audio file, or a list of paths."""
    file = temporary / "standard-input"
    with file.open("wb") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
    with file.open("rb") as copy:
        begin = copy.read(_SNIFFED)
    if begin and b"\0" not in begin and _decodes(begin):
        for line in file.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            if line.strip():
                yield from _rows(Path(line.strip()), refused, progress)
    else:
        yield _whole(file, STANDARD_INPUT)


_SNIFFED = 4096
"""Number of leading bytes that distinguish a list of paths from audio."""


def _decodes(begin: bytes) -> bool:
    """Return True for UTF-8, of which the last letter may be cut off."""
    return len(begin) - len(begin.decode("utf-8", errors="ignore").encode()) < 4


def _named(row: Row) -> Row:
    """Name an utterance that its table does not name, after its file and its time."""
    if row.get("utterance"):
        return row
    start, end = row.get("audio_start"), row.get("audio_end")
    part = "" if start is None and end is None else f" {_time(start)}–{_time(end)}"
    return row | {"utterance": f"{row['audio']}{part}"}


def _segments(
    rows: Sequence[Row], segment: float | str, refused: list[Refusal], progress: Progress
) -> list[Row]:
    """Cut utterances into windows of a length, or into segments of speech."""
    if segment == VAD:
        check_detector()
        found: list[Row] = []
        with progress.task("finding speech", total=len(rows)) as bar:
            for row in rows:
                found += _speech(row, refused)
                bar.advance()
        return found
    try:
        length = float(segment)
    except ValueError:
        raise RequestError(f"--segment {segment}: must be seconds, such as 5, or {VAD}") from None
    if not _SHORTEST <= length < math.inf:
        raise RequestError(f"a segment must be {_SHORTEST:g} s or longer, not {length:g} s")
    return [window for row in rows for window in _windows(row, length)]


def _speech(row: Row, refused: list[Refusal]) -> Iterator[Row]:
    """Cut an utterance into segments of speech; one that cannot be read is left whole."""
    start, end = row.get("audio_start"), row.get("audio_end")
    stretch = [math.nan if each is None else each for each in (start, end)]
    try:
        found = speech_segments(Path(row["audio"]), *stretch)
    except AudioError:
        yield row  # to be refused with its reason
        return
    if not found:
        refused.append(Refusal(row["utterance"], "no speech is found in it"))
    for first, last in found:
        name = f"{row['utterance']} {_time(first)}–{_time(last)}"
        yield row | {"utterance": name, "audio_start": first, "audio_end": last}


def _windows(row: Row, length: float) -> Iterator[Row]:
    """Cut an utterance into windows; one whose length is unknown is left whole, to be refused."""
    begin, end = row.get("audio_start") or 0.0, row.get("audio_end")
    end = _seconds(row["audio"]) if end is None else end
    windows = max(1, math.ceil(round((end - begin) / length, 6)))
    if windows > 1 and end - begin - (windows - 1) * length < _SHORTEST:
        windows -= 1
    if not end > begin:
        yield row
        return
    for number in range(windows):
        start, last = begin + number * length, number == windows - 1
        stop = row.get("audio_end") if last else start + length
        name = f"{row['utterance']} {_time(start)}–{_time(end if last else stop)}"
        yield row | {"utterance": name, "audio_start": start, "audio_end": stop}


def _seconds(audio: str) -> float:
    """Return the duration of a file; 0 if it cannot be read."""
    try:
        check_file(Path(audio))
        seconds = expected_seconds(audio, math.nan, math.nan)
        return seconds or load_audio(Path(audio), math.nan, math.nan, _ANY_RATE)[1].seconds
    except AudioError:
        return 0.0


_ANY_RATE = 8000
"""Hz, for audio whose samples are not used."""


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{round(seconds, 3):.12g} s"
