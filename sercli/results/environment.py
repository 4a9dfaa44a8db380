"""Provenance of a result: versions, commit, machine, command."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sercli import __version__
from sercli.passwords import without_password

_PACKAGES = (
    "torch",
    "numpy",
    "pandas",
    "scikit-learn",
    "opensmile",
    "optuna",
    "hydra-core",
    "audmetric",
)


def describe_environment(
    *, recurrence: str, origin: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Describe this process for a run record.

    Args:
        recurrence: The backend that computed the recurrences, in words.
        origin: Sweep that asked for the run, if any.
    """
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [without_password(word) for word in sys.argv],
        **({"origin": dict(origin)} if origin else {}),
        **describe_code(),
        "python": platform.python_version(),
        "packages": _versions(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "recurrence": recurrence,
    }


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES}


def describe_code() -> dict[str, Any]:
    """Return version, commit, and a hash of all files of the code."""
    return {"sercli": __version__, "git": _git_commit(), "code": _hash_of_code()}


@cache
def _hash_of_code() -> str:
    package = Path(__file__).resolve().parents[1]
    content = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes())
    return content.hexdigest()[:12]


@cache
def _git_commit() -> dict[str, Any] | None:
    """Commit of the checkout that this package runs from, and whether it was changed."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    try:
        commit = _git(here, "rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git(here, "status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    finished = subprocess.run(  # noqa: S603 - fixed arguments, no shell
        ["git", *arguments],  # noqa: S607 - git is wherever PATH has it
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    return finished.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
