"""Run the command line; turn every error into one line and an exit status."""

from __future__ import annotations

import atexit
import gc
import os
import shlex
import signal
import sys
import traceback
from contextlib import suppress
from copy import copy
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from sercli.errors import Interrupted, SercliError, one_line, visible
from sercli.passwords import without_passwords
from sercli.remedies import unforeseen
from sercli.streams import prepare_streams, reader_has_left

if TYPE_CHECKING:
    from typer import Typer

INTERRUPTED = 130
"""128 + SIGINT, as in a shell."""

_ALLOCATIONS = 20_000
"""New objects between two garbage collections (our choice; Python: 700). Imports leave hardly any
garbage: to look for it takes a tenth of the CPU time of a short command."""


def main() -> None:
    """Run ``sercli``."""
    gc.set_threshold(_ALLOCATIONS)
    atexit.register(_leave_garbage)
    prepare_streams()
    _complete()
    if sys.platform == "win32":
        _leave("runs on Linux and macOS; on Windows, run it in WSL (`wsl --install`)", 2)
    from typer import TyperException

    from sercli.cli import app

    words = [_with_home(word) for word in sys.argv[1:]]
    if words[:1] == ["sweep"] and words[1:2] in (["status"], ["stop"]):
        del words[0]  # their names before 0.1, in people's scripts
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = _only(app, words)(words, prog_name="sercli", standalone_mode=False)
        sys.exit(int(status or 0))
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # help has been printed
            sys.exit(error.exit_code)
        _leave(_usage(error, words), error.exit_code, error)
    except SercliError as error:
        _leave(str(error), error.exit_status, error)
    except Interrupted as error:
        text = str(error) or "interrupted; finished work is kept, and the same command resumes"
        _leave(text, INTERRUPTED, error)
    except Exception as error:
        _leave_unforeseen(error)


def _leave_garbage() -> None:
    """Skip the garbage collection at exit, which takes 0.6 CPU s among the objects of torch.

    With Triton it is needed: Triton's bindings report uncollected objects as leaks.
    """
    if "triton" not in sys.modules:
        gc.freeze()


def _leave_unforeseen(error: Exception) -> NoReturn:
    """Exit after an error of Python or a library, with a remedy if the machine is the cause."""
    if isinstance(error, BrokenPipeError) and reader_has_left():  # such as `| head`
        sys.exit(0)
    _leave(unforeseen(error, "a bug in sercli; --debug shows where"), 1, error)


def _complete() -> None:
    """Answer a completion request of the shell and exit, unless it is left to Typer."""
    if "_SERCLI_COMPLETE" in os.environ:
        from sercli.completion import answer

        text = answer(os.environ)
        if text is not None:
            sys.stdout.write(f"{text}\n")
            sys.exit(0)


def _only(app: Typer, words: list[str]) -> Typer:
    """Return the app reduced to the command that is called; building all commands is slow."""
    chosen = [
        each
        for each in app.registered_commands
        if words and each.callback is not None and words[0] == (each.name or each.callback.__name__)
    ]
    if not chosen:
        return app
    only = copy(app)
    only.registered_commands, only.registered_groups = chosen, []
    return only


def _with_home(word: str) -> str:
    """Expand the ~ of --runs=~/x; shells expand it only at the start of a word."""
    option, given, value = word.partition("=")
    if given and option.startswith("--") and value.startswith("~"):
        return f"{option}={os.path.expanduser(value)}"  # noqa: PTH111 - the rest as it is written
    return word


def _usage(error: Any, words: list[str]) -> str:
    """Return a usage error as one line, with the corrected command where there is one."""
    from sercli.config import hints
    from sercli.config.compose import mend

    text = one_line(error.format_message()).rstrip(".").replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    if context is None:
        return text
    takes_overrides = any(each.name == "overrides" for each in context.command.params)
    option = getattr(error, "option_name", None)
    if option and takes_overrides:
        hint = hints.unknown_option(option, words, mend)
        if hint is not None:
            return hint
    if context.parent is None and words and mend(words[0]) == words[0]:
        line = shlex.join(["sercli", "train", *words])
        return f"{words[0]} is an override, not a command; write {line}"
    return f"{text} ({context.command_path} --help)"


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted


def _leave(message: str, status: int, error: BaseException | None = None) -> NoReturn:
    with suppress(OSError):  # standard error may be closed or full; the status tells
        if error is not None and "--debug" in sys.argv:
            sys.stderr.write(without_passwords("".join(traceback.format_exception(error))))
        sys.stderr.write(f"sercli: {visible(without_passwords(message))}\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
