"""What sercli raises when it can tell the user what to do about it.

A message is one line that names the thing, the place and the remedy. The command
line prints it without a traceback and leaves with the status of its class.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SercliError(Exception):
    """The work failed, or was done only in part (exit status 1)."""

    exit_status = 1


class RequestError(SercliError):
    """The request makes no sense as it stands (exit status 2)."""

    exit_status = 2


class BusyError(RequestError):
    """Another process is at work on the same thing."""


_LISTED = 30


def nearest(wrong: str, known: Iterable[str]) -> str:
    """Say which known name the user may have meant.

    Returns:
        " Did you mean 'x'?", else " Known: a, b, c." – with the leading space, ready to append;
        nothing when nothing is known.
    """
    names = sorted(known)
    by_lower = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(wrong.casefold(), by_lower, n=1, cutoff=0.6)
    if close:
        return f" Did you mean '{by_lower[close[0]]}'?"
    more = ", …" if len(names) > _LISTED else ""
    return f" Known: {', '.join(names[:_LISTED])}{more}." if names else ""


class Interrupted(BaseException):
    """The user or a scheduler asked the program to stop (Ctrl-C, SIGTERM).

    No `Exception`, so that nothing that handles failures takes it for one.
    """
