"""Another user of the system, where this process may become one (root)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

COLLEAGUE = 54321
"""A user id without a name or a home."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@contextmanager
def as_colleague() -> Iterator[None]:
    """Read and write as another user until the block ends."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(COLLEAGUE)
    os.seteuid(COLLEAGUE)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Yield a temporary folder that everybody may read and write; pytest's is private."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder
