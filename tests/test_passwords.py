"""Passwords of database URLs are hidden wherever a URL may appear."""

from __future__ import annotations

import pytest

from sercli.errors import SercliError, one_line
from sercli.passwords import without_passwords
from sercli.search.study.failures import cause_of

MISTYPED = ("postgresql:/me:S3CR3T@db/x", "postgresql//me:S3CR3T@db/x", "me:S3CR3T@db/x")
URLS = (*MISTYPED, "postgresql://me:S3CR3T@db:5432/x", "mysql://h/x?password=S3CR3T&ssl=1")


@pytest.mark.parametrize("url", URLS)
def test_a_password_is_hidden_in_messages_causes_and_tracebacks(url: str) -> None:
    error = SercliError(f"--storage={url} is no URL ('{url}')")
    cause = cause_of(ValueError(f"could not parse {url}"))

    for text in (str(error), one_line(ValueError(url)), cause.text, cause.traceback):
        assert "S3CR3T" not in text
        assert "***" in text


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:5000 does not answer; ask me@example.org",
        "git@github.com:a/b@v1",
        "postgresql://me@host:5432/db",
        'File "x.py", line 3, in call: a @ b',
        "trial 3: arelu.alpha=0.9",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert without_passwords(text) == text
