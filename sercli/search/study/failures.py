"""Why points fail: one cause for all that fail alike, with one traceback."""

from __future__ import annotations

import hashlib
import re
import traceback
from dataclasses import dataclass
from pathlib import Path

from sercli.errors import RequestError, SercliError

MAX_ATTEMPTS = 3
"""How often a point is tried (our choice: what fails by chance rarely does so three times)."""

ALIKE = 3
"""How many first points must fail alike for the sweep to stop (our choice)."""

KILLED = "killed"
_OUT_OF_MEMORY = "out of memory"
_LONGEST = 400


@dataclass(frozen=True)
class Cause:
    """Why a point failed.

    Attributes:
        name: The same for all failures of one cause.
        text: One line.
        traceback: Where it happened.
        final: Whether it would fail again: a request that makes no sense is not repeated.
    """

    name: str
    text: str
    traceback: str = ""
    final: bool = False


def cause_of(error: BaseException) -> Cause:
    """Tell the cause of an exception: its type, its place, and its words without numbers."""
    text = (str(error).strip().partition("\n")[0] or type(error).__name__)[:_LONGEST]
    if isinstance(error, MemoryError) or "OutOfMemoryError" in type(error).__name__:
        text = f"{_OUT_OF_MEMORY}: {text}"
    elif not isinstance(error, SercliError):
        text = f"{type(error).__name__}: {text}"
    said = "".join(traceback.format_exception(error))
    words = re.sub(r"[0-9a-f]{10}|\d+(\.\d+)?(e-?\d+)?", "#", text)
    return Cause(
        name=hashlib.sha256(f"{words}{_place(error)}".encode()).hexdigest()[:8],
        text=text,
        traceback=said,
        final=isinstance(error, RequestError),
    )


def killed() -> Cause:
    """The cause of a point whose worker died."""
    return Cause(KILLED, "its worker was killed (out of memory?)")


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name} {frames[-1].name}" if frames else ""
