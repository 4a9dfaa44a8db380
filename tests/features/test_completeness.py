"""Truncated MP4 and MP3 files, whose decoder (ffmpeg) need not be installed."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.features.completeness import truncation

_FRAME = b"\xff\xfb\x90\x00" + bytes(32)
"""The beginning of an MP3 frame, up to its Xing, Info or VBRI header."""


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def _mp4(*, long: bool = False) -> bytes:
    audio = bytes(10_000)
    last = (
        struct.pack(">I4sQ", 1, b"mdat", 16 + len(audio)) + audio if long else _box(b"mdat", audio)
    )
    return _box(b"ftyp", b"M4A \0\0\0\0") + _box(b"moov", bytes(100)) + last


def _mp3(header: bytes) -> bytes:
    return (_FRAME + header).ljust(10_000, b"\0")


FILES = {
    "MP4": _mp4(),
    "MP4 with a long size": _mp4(long=True),
    "MP3 with frames and bytes": _mp3(b"Xing" + struct.pack(">III", 3, 24, 10_000)),
    "MP3 with bytes": _mp3(b"Info" + struct.pack(">II", 2, 10_000)),
    "MP3 of Fraunhofer": _mp3(b"VBRI" + struct.pack(">HHHII", 1, 0, 0, 10_000, 24)),
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_file_that_is_shorter_than_it_says_is_truncated(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "audio"
    path.write_bytes(content)
    assert truncation(path, seconds=1, tolerance=0.06) is None
    path.write_bytes(content[:5000])
    reason = truncation(path, seconds=0.5, tolerance=0.06)
    assert reason is not None
    assert reason.startswith("truncated: ")
    path.write_bytes(content[:-300])  # 0.03 s
    assert truncation(path, seconds=0.97, tolerance=0.06) is None


_W64_FAR = b"riff" + bytes(36) + struct.pack("<4s12xQ", b"fmt ", 2**63 - 1) + bytes(100)
"""A chunk of Wave64 whose end no file can have."""


@pytest.mark.parametrize(
    "content", [_mp3(b""), _mp3(b"Xing" + struct.pack(">II", 1, 24)), b"#!AMR", _W64_FAR]
)
def test_a_file_that_does_not_say_is_taken_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "audio"
    path.write_bytes(content)
    assert truncation(path, seconds=1, tolerance=0.06) is None


@given(
    start=st.sampled_from([b"OggS\0", b"RIFF", b"RF64", b"caff", b"FORM", b".snd", b"ID3", _FRAME])
    | st.just(b"\0\0\0\x10ftyp"),
    rest=st.binary(max_size=120),
)
def test_no_content_ends_in_another_error_or_without_end(
    tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(start + rest)
    reason = truncation(path, 1, 0.06)
    assert reason is None or reason.startswith("truncated")
