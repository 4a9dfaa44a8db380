"""Detect audio files that are cut off, because decoders read them without an error.

A file is compared with what its container declares: the bytes of its audio, the number of its
frames, or a mark on its last page. MP3 with a constant bit rate and without a Xing, Info or VBRI
header, and raw streams such as ADTS or AMR, declare nothing, and cannot be checked.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_UNKNOWN_SIZE = 0x7FFFF000
"""Programs that write WAV into a pipe do not know its size yet, and give one from here up."""

_CHUNKS = {
    b"RIFF": ("<4sI", 12, b"data"),
    b"RIFX": (">4sI", 12, b"data"),
    b"RF64": ("<4sI", 12, b"data"),
    b"FORM": (">4sI", 12, b"SSND"),
    b"caff": (">4sq", 8, b"data"),
    b"riff": ("<16sQ", 40, b"data"),
}
"""First bytes of a format of chunks (WAV, AIFF, CAF, Wave64) → header of a chunk, position of the
first one, beginning of the name of the one with the audio."""

LIBSNDFILE = (*_CHUNKS, b"OggS", b"fLaC", b".snd")
"""First bytes of formats that need no ffmpeg."""

_OGG_HEADER = 27
_OGG_PAGE = _OGG_HEADER + 255 + 255 * 255
"""Most bytes of an Ogg page (RFC 3533)."""

_OGG_LAST = 4
"""Flag of the last page of a stream (RFC 3533)."""

_MP3_SEARCHED = 4096
"""Bytes after the tags in which the first MP3 frame is looked for (our choice)."""

_MP3_VBRI = 36
"""Bytes from the beginning of a frame to its VBRI header."""

Bytes = tuple[int, int]
"""Bytes of audio in the file, and by what it declares; (0, 0): it does not say."""


def truncation(path: Path, seconds: float, tolerance: float) -> str | None:
    """Return the reason why a file is truncated; None if it is whole or does not say.

    Args:
        path: The file.
        seconds: Duration of what could be decoded.
        tolerance: Seconds that may be missing.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if start.startswith(b"OggS"):
            return _ogg_fault(file, size)
        present, expected = _measure(start)(file, size)
    if present < expected and seconds * (expected - present) >= tolerance * present:
        return f"truncated: {present} of {expected} bytes of audio are there"
    return None


def _measure(start: bytes) -> Callable[[BinaryIO, int], Bytes]:
    if start[:4] == b".snd":
        return _au_bytes
    if start[:4] in _CHUNKS:
        return _chunk_bytes
    if start[4:8] == b"ftyp":
        return _mp4_bytes
    return _mp3_bytes


def _au_bytes(file: BinaryIO, size: int) -> Bytes:
    file.seek(4)
    header = file.read(8)
    if len(header) < 8:
        return 0, 0
    begin, length = struct.unpack(">II", header)
    return _known_bytes(size - begin, length)


def _chunk_bytes(file: BinaryIO, size: int) -> Bytes:
    file.seek(0)
    magic = file.read(4)
    layout, position, wanted = _CHUNKS[magic]
    length_64 = _UNKNOWN_SIZE
    while position < size:  # a length of 2⁶³ bytes would be no place to seek
        file.seek(position)
        if len(header := file.read(struct.calcsize(layout))) < struct.calcsize(layout):
            return 0, 0
        name, length = struct.unpack(layout, header)
        if magic == b"riff":  # Wave64 counts the header of the chunk too, and pads to 8
            length -= len(header)
        if name.startswith(wanted):
            is_64 = magic == b"RF64" and length == 0xFFFFFFFF
            return _known_bytes(size - file.tell(), length_64 if is_64 else length)
        if name == b"ds64":
            length_64 = struct.unpack("<Q", file.read(16)[8:].ljust(8, b"\0"))[0]
        if length < 0:
            return 0, 0
        padding = {b"caff": 1, b"riff": 8}.get(magic, 2)
        position += len(header) + length + -length % padding
    return 0, 0


def _mp4_bytes(file: BinaryIO, size: int) -> Bytes:
    """Compare the last box of an MP4 or M4A file, often that of the audio, with the file."""
    position = 0
    while position < size:
        file.seek(position)
        header = file.read(16).ljust(16, b"\0")
        length, long = int.from_bytes(header[:4]), int.from_bytes(header[8:])
        length = long if length == 1 else length
        if length < 8:  # 0: to the end of the file
            return 0, 0
        if position + length > size:
            return size - position, length
        position += length
    return 0, 0


def _mp3_bytes(file: BinaryIO, size: int) -> Bytes:
    """Read the Xing, Info or VBRI header in the first frame."""
    begin = _after_id3(file)
    file.seek(begin)
    head = file.read(_MP3_SEARCHED)
    at = next((i for i in range(len(head) - 1) if head[i] == 0xFF and head[i + 1] >= 0xE0), None)
    if at is None:
        return 0, 0
    frame = head[at:]
    declared = 0
    for tag in (b"Xing", b"Info"):
        place = frame.find(tag, 0, 64)
        if place >= 0 and len(frame) >= place + 16:
            flags = int.from_bytes(frame[place + 4 : place + 8])
            field = place + 8 + 4 * (flags & 1)
            declared = int.from_bytes(frame[field : field + 4]) if flags & 2 else 0
    if frame[_MP3_VBRI : _MP3_VBRI + 4] == b"VBRI":
        declared = int.from_bytes(frame[_MP3_VBRI + 10 : _MP3_VBRI + 14])
    return _known_bytes(size - begin - at, declared) if declared else (0, 0)


def _after_id3(file: BinaryIO) -> int:
    """Return the offset of the first byte after the leading ID3v2 tags."""
    position = 0
    while True:
        file.seek(position)
        header = file.read(10)
        if len(header) < 10 or header[:3] != b"ID3":
            return position
        length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(header[:5:-1]))
        position += 10 + length + 10 * bool(header[5] & 0x10)


def _ogg_fault(file: BinaryIO, size: int) -> str | None:
    file.seek(max(0, size - 2 * _OGG_PAGE))
    tail = file.read()
    at = tail.rfind(b"OggS\0")
    if at < 0:
        return "truncated: its end is no Ogg page"
    page = tail[at:]
    segments = page[_OGG_HEADER - 1] if len(page) >= _OGG_HEADER else 256
    lengths = page[_OGG_HEADER : _OGG_HEADER + segments]
    if len(lengths) < segments or len(page) < _OGG_HEADER + segments + sum(lengths):
        return "truncated: its last Ogg page is cut off"
    if not page[5] & _OGG_LAST:
        return (
            "truncated, or never finished: no Ogg page is marked as the last. If it is whole, "
            "write it anew, as with `ffmpeg -i FILE -c copy NEW`"
        )
    return None


def _known_bytes(present: int, length: int) -> Bytes:
    if length < 0 or _UNKNOWN_SIZE <= length < 2**32:
        return max(present, 0), max(present, 0)
    return min(present, length), length
