"""The program: run the command line and turn every error into one line and a status."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn

from sercli.errors import Interrupted, SercliError

INTERRUPTED = 130
"""128 + SIGINT, as shells count it."""

_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EACCES: "permission denied; choose another folder (paths.data, paths.store, paths.runs)",
    errno.EROFS: "read-only; choose another folder (paths.data, paths.store, paths.runs)",
}


def main() -> None:
    """Run ``sercli``."""
    from sercli.cli import app

    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except SercliError as error:
        _leave(str(error), error.exit_status, error)
    except Interrupted as error:
        _leave(
            "interrupted; what was finished is kept, and the same command goes on from there",
            INTERRUPTED,
            error,
        )
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, os.strerror(error.errno or 0))
        _leave(f"{error.filename or 'a file'}: {remedy}", 1, error)
    except Exception as error:
        text = f"{type(error).__name__}: {error}".partition("\n")[0]
        _leave(f"{text} (a fault in sercli: --debug shows where)", 1, error)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted


def _leave(message: str, status: int, error: BaseException) -> NoReturn:
    if "--debug" in sys.argv:
        traceback.print_exception(error)
    sys.stderr.write(f"sercli: {message}\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
