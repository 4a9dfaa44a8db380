"""The GPUs of this machine, found without importing torch (2 GB)."""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import takewhile

_HIDDEN = ("", "-1")
"""Entries of CUDA_VISIBLE_DEVICES that hide themselves and all that follow."""


def gpus_for(device: str) -> list[str]:
    """Return the GPUs to share among workers, as values of CUDA_VISIBLE_DEVICES.

    They are those in CUDA_VISIBLE_DEVICES, or else all that ``nvidia-smi`` lists; none if
    ``device`` names one device.

    >>> gpus_for("cpu")
    []

    Args:
        device: Setting ``device`` of the configuration.
    """
    if device not in ("auto", "cuda"):
        return []
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = _all_gpus() if listed is None else listed.split(",")
    return list(takewhile(lambda name: name not in _HIDDEN, map(str.strip, names)))


def _all_gpus() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=uuid", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.splitlines() if done.returncode == 0 else []
