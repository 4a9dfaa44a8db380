"""Causes of failed trials: one for all trials that fail alike, with one traceback."""

from __future__ import annotations

import hashlib
import re
import traceback
from dataclasses import dataclass
from pathlib import Path

from sercli.errors import RequestError, SercliError
from sercli.passwords import without_passwords

MAX_ATTEMPTS = 3
"""Attempts at a trial (our choice: a chance failure rarely occurs three times in a row)."""

ALIKE = 3
"""First trials that must fail alike for the sweep to stop (our choice)."""

_KILLED = "killed"
_OUT_OF_MEMORY = "out of memory"
_MAX_CHARACTERS = 400


@dataclass(frozen=True)
class Cause:
    """The cause of a failure.

    Attributes:
        name: The same for all failures of one cause.
        text: Description in one line.
        traceback: Traceback of the first failure.
        final: True if a retry would fail again, as for an invalid request.
        proven: False if the trial may be innocent, since its worker was killed by something else.
            It is then retried first, and only the second such failure in a row counts against the
            sweep.
    """

    name: str
    text: str
    traceback: str = ""
    final: bool = False
    proven: bool = True


WORKER_KILLED = Cause(_KILLED, "its worker was killed (out of memory?)", proven=False)
"""The cause of a trial whose worker died."""


def cause_of(error: BaseException) -> Cause:
    """Return the cause of an exception: its type, its place, and its message without numbers.

    >>> cause_of(ValueError("3 of 7 failed")).name == cause_of(ValueError("4 of 9 failed")).name
    True
    """
    first_line = without_passwords(str(error)).strip().partition("\n")[0]
    text = (first_line or type(error).__name__)[:_MAX_CHARACTERS]
    if isinstance(error, MemoryError) or "OutOfMemoryError" in type(error).__name__:
        text = f"{_OUT_OF_MEMORY}: {text}"
    elif not isinstance(error, SercliError):
        text = f"{type(error).__name__}: {text}"
    printed = "".join(traceback.format_exception(error))
    pattern = re.sub(r"[0-9a-f]{10}|\d+(\.\d+)?(e-?\d+)?", "#", text)
    return Cause(
        name=hashlib.sha256(f"{pattern}{_place(error)}".encode()).hexdigest()[:8],
        text=text,
        traceback=without_passwords(printed),
        final=isinstance(error, RequestError),
    )


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name} {frames[-1].name}" if frames else ""
