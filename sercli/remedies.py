"""Remedies for failures of the machine: a full disk, no permission, too little memory.

Libraries report them in exceptions of their own; without an error number, the message is searched.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from sercli.errors import one_line

ANOTHER_FOLDER = "choose another folder (paths.data, paths.store, paths.runs or --output)"
MORE_SPACE = "free some space and run the same command again"
MORE_MEMORY = (
    "out of memory or address space (`ulimit -v`, a limit of the cluster or of a container): ask "
    "for more, or use fewer --workers"
)
MORE_GPU_MEMORY = (
    "the memory of the GPU is full: use a smaller batch, fewer --workers, or, for a long "
    "utterance, the CPU (device=cpu; of predict, --device cpu)"
)
_LOCKS = "the file system has no locks; choose a folder on another one (paths.runs, paths.data)"
_TEMPORARY = "set TMPDIR to a writable folder"

_BY_NUMBER = {
    errno.ENOSPC: MORE_SPACE,
    errno.EDQUOT: MORE_SPACE,
    errno.EFBIG: "a limit of the size of files (`ulimit -f`) is reached; raise it",
    errno.EACCES: ANOTHER_FOLDER,
    errno.EPERM: ANOTHER_FOLDER,
    errno.EROFS: ANOTHER_FOLDER,
    errno.ENOTDIR: ANOTHER_FOLDER,
    errno.ENOLCK: _LOCKS,
    errno.EOPNOTSUPP: _LOCKS,
    errno.ENOMEM: MORE_MEMORY,
    errno.EAGAIN: "too many processes or threads (`ulimit -u`): use fewer --workers",
    errno.EMFILE: "too many open files; raise `ulimit -n`, or use fewer --workers",
}
"""Error number of the system → remedy."""

_BY_TEXT = {
    "no usable temporary directory": _TEMPORARY,
    "no space left on device": MORE_SPACE,
    "disk quota exceeded": MORE_SPACE,
    "disk is full": MORE_SPACE,
    "read-only file system": ANOTHER_FOLDER,
    "permission denied": ANOTHER_FOLDER,
    "readonly database": ANOTHER_FOLDER,
    "cannot allocate memory": MORE_MEMORY,
    "can't allocate memory": MORE_MEMORY,
    "failed to map segment": MORE_MEMORY,
    "unable to allocate": MORE_MEMORY,
    "can't start new thread": MORE_MEMORY,
    "cuda out of memory": MORE_GPU_MEMORY,
}
"""Part of a message of a library, in lower case → remedy."""


def remedy_for(error: BaseException) -> str | None:
    """Return the remedy for a failure of the machine; None for other errors.

    >>> remedy_for(RuntimeError("I/O error: No space left on device (os error 28)"))
    'free some space and run the same command again'
    >>> remedy_for(ValueError("negative dimensions")) is None
    True
    """
    for each in _chain(error):
        if isinstance(each, MemoryError):
            return MORE_MEMORY
        text = str(each).lower()
        for part, remedy in _BY_TEXT.items():
            if part in text:
                return remedy
        if isinstance(each, OSError) and each.errno in _BY_NUMBER:
            return _BY_NUMBER[each.errno]
    return None


def unforeseen(error: Exception, bug: str = "a bug in sercli") -> str:
    """Return the message of an error of Python or a library, on one line, with its remedy.

    Args:
        error: The error.
        bug: Added if the machine is not the cause.

    >>> unforeseen(ValueError("negative dimensions"))
    'ValueError: negative dimensions (a bug in sercli)'
    """
    foreseen = isinstance(error, OSError)
    text = one_line(error) if foreseen else f"{type(error).__name__}: {error}".partition("\n")[0]
    remedy = remedy_for(error)
    if remedy is not None:
        return f"{text}; {remedy}"
    return text if foreseen else f"{text} ({bug})"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
