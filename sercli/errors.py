"""Errors with a remedy for the user.

A message is one line: what is wrong, where, and how to mend it. The command line prints it without
a traceback and exits with the status of its class.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from sercli.passwords import without_passwords


class SercliError(Exception):
    """The work failed or is incomplete (exit status 1)."""

    exit_status = 1

    def __str__(self) -> str:
        """Return the message, with the passwords of URLs hidden: it is printed, logged and kept."""
        return without_passwords(super().__str__())


class RequestError(SercliError):
    """The request is invalid (exit status 2)."""

    exit_status = 2


class BusyError(RequestError):
    """Another process holds the resource (exit status 2)."""


_LISTED = 220
"""Characters of known names that a message lists: three lines with the rest of the message."""


CONTROLS = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
CONTROLS |= {0x7F: "\u2421", **dict.fromkeys(range(0x80, 0xA0), "\ufffd")}
CONTROLS |= dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")
"""Control code → visible replacement. The last ones control the direction of text."""


def one_line(error: object) -> str:
    r"""Return the message of an exception on one line, or its type if it has none.

    >>> one_line(ValueError("line 3:  expected a number\n  got 'x'"))
    "line 3: expected a number got 'x'"
    """
    return without_passwords(" ".join(str(error).split())) or type(error).__name__


def visible(text: str) -> str:
    r"""Return a text with control codes replaced, so that they cannot affect the terminal.

    >>> visible("happy\x1b[2J")
    'happy␛[2J'
    """
    return text.translate(CONTROLS)


def counted(n: int, noun: str) -> str:
    """Write a count and its noun, which takes an -s in the plural.

    >>> counted(1, "fold"), counted(2, "fold")
    ('1 fold', '2 folds')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def close(wrong: str, known: Iterable[str]) -> str | None:
    """Return the known name that resembles a wrong one most; None if none does."""
    by_lower = {name.casefold(): name for name in sorted(known)}
    found = difflib.get_close_matches(wrong.casefold(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def nearest(wrong: str, known: Iterable[str]) -> str:
    """Suggest the known name that the user may have meant.

    Returns:
        A hint with a leading space, ready to append: the closest name, else the known ones, or
        the five most alike of many; empty if there are none.

    >>> nearest("relou", ["relu", "tanh"])
    " Did you mean 'relu'?"
    >>> nearest("x", ["relu", "tanh"])
    ' Known: relu, tanh.'
    """
    names = sorted(known)
    found = close(wrong, names)
    if found is not None:
        return f" Did you mean '{found}'?"
    listed = ", ".join(names)
    if len(listed) > _LISTED:
        return f" Nearest: {', '.join(most_alike(wrong, names))}, …"
    return f" Known: {listed}." if names else ""


def most_alike(wrong: str, known: Iterable[str], most: int = 5) -> list[str]:
    """Return the names that resemble a wrong one most, in any of their dotted parts.

    >>> most_alike("activations", ["seeds", "activation.name", "optim.lr"], 1)
    ['activation.name']
    """
    parts = wrong.casefold().split(".")

    def likeness(name: str) -> float:
        pairs = ((one, other) for one in parts for other in name.casefold().split("."))
        best = max(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)
        return best + difflib.SequenceMatcher(None, wrong.casefold(), name.casefold()).ratio()

    return sorted(known, key=lambda name: (-likeness(name), name))[:most]


class Interrupted(BaseException):
    """The user or a scheduler stops the program (Ctrl-C, SIGTERM).

    Not an `Exception`: handlers of failures must not catch it.
    """
