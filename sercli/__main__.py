"""Run the command line; turn every error into one line and an exit status."""

from __future__ import annotations

import errno
import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn

from sercli.errors import Interrupted, SercliError

INTERRUPTED = 130
"""128 + SIGINT, as in a shell."""

_ANOTHER_FOLDER = "choose another folder (paths.data, paths.store, paths.runs or --output)"
_MORE_SPACE = "free some space and run the same command again"
_REMEDIES = {
    errno.ENOSPC: _MORE_SPACE,
    errno.EDQUOT: _MORE_SPACE,
    errno.EACCES: _ANOTHER_FOLDER,
    errno.EPERM: _ANOTHER_FOLDER,
    errno.EROFS: _ANOTHER_FOLDER,
    errno.ENOTDIR: _ANOTHER_FOLDER,
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
            "interrupted; finished work is kept, and the same command resumes",
            INTERRUPTED,
            error,
        )
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0)
        _leave(f"{error}" + (f"; {remedy}" if remedy else ""), 1, error)
    except Exception as error:
        text = f"{type(error).__name__}: {error}".partition("\n")[0]
        _leave(f"{text} (a bug in sercli; --debug shows where)", 1, error)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted


def _leave(message: str, status: int, error: BaseException) -> NoReturn:
    if "--debug" in sys.argv:
        traceback.print_exception(error)
    sys.stderr.write(f"sercli: {message}\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
