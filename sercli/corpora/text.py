"""Read label files and transcripts whose encoding nobody wrote down."""

from __future__ import annotations

import codecs
from pathlib import Path

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks, and the codec that reads what follows each."""

_WINDOWS = {code: bytes([code]).decode("cp1252", errors="replace") for code in range(0x80, 0xA0)}
"""Latin-1's control codes, which no text holds, and what cp1252 has instead: “, ”, ’, – …"""


def read_text(path: Path, legacy: str = "cp1252") -> str:
    r"""Read text in UTF-8, in UTF-16 with its mark, or in an older encoding.

    Without a mark, each line that is not UTF-8 is taken for the older encoding by itself, so that
    one file may hold the lines of several hands. Every line ends in "\n".

    Args:
        path: The file.
        legacy: The older encoding, in which no letter has a byte 0x0A; the default is read
            so that Latin-1 is right, too.

    Raises:
        OSError: The file cannot be read.
    """
    text = _decode(path.read_bytes(), legacy)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def restore_windows_letters(text: str) -> str:
    """Put back the letters of cp1252 that a conversion from Latin-1 has made control codes."""
    return text.translate(_WINDOWS)


def _decode(content: bytes, legacy: str) -> str:
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return "\n".join(_decode_line(line, legacy) for line in content.split(b"\n"))


def _decode_line(line: bytes, legacy: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode(legacy, errors="replace")
