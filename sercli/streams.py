"""Standard streams of any terminal, pipe, container or scheduler.

A result must not be lost because the stream that shows it is closed, has no width, or has an
encoding without its letters.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata

NARROWEST = 20
"""Minimum plausible width of a terminal; containers report 0 (our choice)."""

_PLAIN = {
    **dict.fromkeys("─━╌╍═╸╺╴╶‐‑‒–—−", "-"),
    **dict.fromkeys("│┃", "|"),
    **dict.fromkeys("“”„", '"'),
    **dict.fromkeys("‘’‚", "'"),
    **dict(zip("×·•≈ßłŁø", ("x", ".", "*", "~", "ss", "l", "L", "o"), strict=True)),
    **dict(zip("±…→≤≥✓", ("+/-", "...", "->", "<=", ">=", "ok"), strict=True)),
}
"""Letter → ASCII letters, where Unicode defines no decomposition."""


def prepare_streams() -> None:
    """Make standard input, output and error usable, and ignore an implausible terminal width."""
    _open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)
    width = os.environ.get("COLUMNS", "")
    if not (width.isdecimal() and int(width) >= NARROWEST):
        os.environ.pop("COLUMNS", None)


def write_data_in_utf8() -> None:
    """Write to standard output in UTF-8 from here on, as JSON and the HTML page have to be."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors=_HANDLER)


def reader_has_left() -> bool:
    """Return True if the reader of standard output has closed it; further output is dropped."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return True
    return False


def plain_letters(text: str) -> str:
    r"""Return a text in ASCII: the nearest letters, else ``?``; an undecodable byte as ``\xNN``.

    >>> plain_letters("α = 0.9 ± 0.1 → żółć 喜")
    'alpha = 0.9 +/- 0.1 -> zolc ?'
    """
    return "".join(map(_plain, text))


def _open_missing_streams() -> None:
    """Open the null device in place of closed streams.

    Otherwise the next opened file would get the descriptor of standard output or error, and
    printed text would be written into it.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdin = sys.stdin or open(0, encoding="utf-8")  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115


def _plain(letter: str) -> str:
    if letter.isascii():
        return letter
    if "\udc80" <= letter <= "\udcff":  # a byte of a file name that is not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    if letter in _PLAIN:
        return _PLAIN[letter]
    kind, _, name = unicodedata.name(letter, "").rpartition(" LETTER ")
    if kind.startswith("GREEK") and name.isalpha():
        return name.lower()
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain_letters(error.object[error.start : error.end]), error.end


_HANDLER = "sercli.plain_letters"
codecs.register_error(_HANDLER, _replace)
