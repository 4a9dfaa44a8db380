"""Run the command line; turn every error into one line and an exit status."""

from __future__ import annotations

import signal
import sys
import traceback
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from sercli.errors import Interrupted, SercliError, one_line
from sercli.remedies import remedy_for
from sercli.streams import prepare_streams

INTERRUPTED = 130
"""128 + SIGINT, as in a shell."""


def main() -> None:
    """Run ``sercli``."""
    prepare_streams()
    if sys.platform == "win32":
        _leave("runs on Linux and macOS; on Windows, run it in WSL (`wsl --install`)", 2)
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
    except Exception as error:
        _leave(_explained(error), 1, error)


def _explained(error: Exception) -> str:
    """Return the message of an error that is not ours, with its remedy."""
    remedy = remedy_for(error)
    text = one_line(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    text = text.partition("\n")[0]
    if remedy is not None:
        return f"{text}; {remedy}"
    return text if isinstance(error, OSError) else f"{text} (a bug in sercli; --debug shows where)"


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted


def _leave(message: str, status: int, error: BaseException | None = None) -> NoReturn:
    if error is not None and "--debug" in sys.argv:
        traceback.print_exception(error)
    with suppress(OSError):  # standard error may be closed or full; the status tells
        sys.stderr.write(f"sercli: {message}\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
