"""Passwords of database URLs, which must not get into a message, a log, a record or a page."""

from __future__ import annotations

import re

HIDDEN = "***"

_ARGUMENT = re.compile(r"(?s)(://[^:/@]*):.*@")
_PORT = r"(?!\d+(?:[/\s,;.)'\"]|$))"
_URL = re.compile(rf"(://[^:/@\s]*):{_PORT}[^\n]*?@(?:\S*@)?")
_NO_URL = re.compile(r"((?:^|[\s='\"(\[/])[\w.%+-]+):(?!/)\S*@(?=[\w\[])")
"""``user:password@host`` where a typing error left no scheme, or half of it."""
_QUERY = re.compile(r"(?i)([?&]\w*password=)[^&\s'\"]*")


def without_password(argument: str) -> str:
    """Hide the passwords in one argument of a command.

    A password may itself hold ``@`` or blanks, so all up to the last ``@`` goes.

    >>> without_password("--storage=postgresql://me:my secret@host/studies")
    '--storage=postgresql://me:***@host/studies'
    """
    return without_passwords(_ARGUMENT.sub(rf"\1:{HIDDEN}@", argument))


def without_passwords(text: str) -> str:
    """Hide the passwords of all URLs in a text of any length, mistyped ones included.

    >>> without_passwords("postgresql:/me:secret@host/studies is not a database URL")
    'postgresql:/me:***@host/studies is not a database URL'
    """
    if "@" in text:
        text = _URL.sub(rf"\1:{HIDDEN}@", text)
        text = _NO_URL.sub(rf"\1:{HIDDEN}@", text)
    return _QUERY.sub(rf"\1{HIDDEN}", text) if "password=" in text.lower() else text
