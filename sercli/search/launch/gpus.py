"""The GPUs of this machine, without torch: who starts workers needs no library of 2 GB."""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import takewhile

_HIDDEN = ("", "-1")
"""Where one of these stands in CUDA_VISIBLE_DEVICES, it and what follows is hidden."""


def gpus_for(device: str) -> list[str]:
    """Return the names of the GPUs over which workers may be spread, for CUDA_VISIBLE_DEVICES.

    Those that CUDA_VISIBLE_DEVICES lists, or else all that ``nvidia-smi`` sees. None where
    ``device`` is neither ``auto`` nor ``cuda``: it then says itself where to train.

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
